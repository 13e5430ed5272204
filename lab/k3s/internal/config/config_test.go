package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// load writes the files into a fresh directory and loads a config from them.
func load(t *testing.T, command string, files map[string]string, args, env []string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(command, append([]string{"--config", filepath.Join(dir, "config.yaml")}, args...), env)
}

func TestPrecedence(t *testing.T) {
	files := map[string]string{
		"config.yaml":          "token: file\nnode-name: base\ntls-san:\n  - a\ncluster-init: true\n",
		"config.yaml.d/2.yaml": "node-name: two\n",
		"config.yaml.d/1.yaml": "node-name: one\ntls-san+:\n  - b\n",
	}
	c, err := load(t, "server", files, []string{"--tls-san", "c", "--cluster-cidr=10.50.0.0/16"}, []string{"K3S_TOKEN=env", "K3S_URL=https://x:6443"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"token": "file", "node-name": "two", "cluster-cidr": "10.50.0.0/16", "server": "https://x:6443", "service-cidr": "10.43.0.0/16", "cluster-init": "true"} {
		if got := c.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := c.List("tls-san"); !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Errorf("tls-san = %v", got)
	}
	if args := c.NodeArgs(); strings.Contains(args, `"file"`) || !strings.Contains(args, `"--token","********"`) || !strings.HasPrefix(args, `["server",`) {
		t.Errorf("node args = %s", args)
	}
}

func TestUnknownFlags(t *testing.T) {
	if _, err := load(t, "server", map[string]string{"config.yaml": ""}, []string{"--no-such"}, nil); err == nil || err.Error() != "flag provided but not defined: -no-such" {
		t.Errorf("an unknown flag gives %v", err)
	}
	c, err := load(t, "server", map[string]string{"config.yaml": "no-such: 1\n"}, nil, nil)
	if err != nil || len(c.Warnings) != 1 || c.Warnings[0] != "Unknown flag --no-such found in config.yaml, skipping\n" {
		t.Errorf("an unknown key in a server's file gives %v, %v", c, err)
	}
	if _, err := load(t, "agent", map[string]string{"config.yaml": "cluster-init: true\n"}, nil, nil); err == nil {
		t.Error("an agent takes a server's flag")
	}
	c, err = load(t, "etcd-snapshot", map[string]string{"config.yaml": "cluster-init: true\ntoken: x\n"}, []string{"save", "--name", "x"}, nil)
	if err != nil || len(c.Warnings) != 1 || !reflect.DeepEqual(c.Args, []string{"save"}) || c.Get("name") != "x" {
		t.Errorf("etcd-snapshot reads %+v, %v", c, err)
	}
}
