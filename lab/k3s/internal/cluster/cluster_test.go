package cluster

import (
	"encoding/json"
	"reflect"
	"testing"

	"lab/k3s/internal/config"
)

// settings are what a server with these flags has.
func settings(t *testing.T, args ...string) Settings {
	t.Helper()
	c, err := config.Load("server", args, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := SettingsOf(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMismatches(t *testing.T) {
	text, err := json.Marshal(settings(t))
	if err != nil {
		t.Fatal(err)
	}
	var theirs Settings
	if err := json.Unmarshal(text, &theirs); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, nil},
		{[]string{"--tls-san=x", "--node-label=a=b", "--kubelet-arg=v=2"}, nil},
		{[]string{"--disable-network-policy"}, []string{"disable-network-policy"}},
		{[]string{"--cluster-cidr=10.50.0.0/16"}, []string{"ClusterIPRange.IP.slice[13]"}},
		{[]string{"--flannel-backend=none", "--secrets-encryption"}, []string{"flannel-backend", "secrets-encryption"}},
		{[]string{"--disable=traefik"}, []string{"disable"}},
	} {
		if got := settings(t, c.args...).Mismatches(theirs); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: mismatches %v, want %v", c.args, got, c.want)
		}
	}
}
