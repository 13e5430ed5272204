package main

import (
	"strings"
	"testing"
	"time"
)

// asDocumented is the environment that upstream's DaemonSet manifest sets, with the lease that its page recommends.
var asDocumented = map[string]string{
	"vip_arp": "true", "port": "6443", "vip_nodename": "Node-1", "vip_interface": "eth0", "vip_subnet": "32", "cp_enable": "true",
	"cp_namespace": "kube-system", "vip_leaderelection": "true", "vip_leasename": "plndr-cp-lock", "vip_leaseduration": "5",
	"vip_renewdeadline": "3", "vip_retryperiod": "1", "address": "10.89.7.100", "prometheus_server": ":2112",
}

func read(changes map[string]string) (Config, error) {
	return ReadConfig(func(name string) (string, bool) {
		if value, ok := changes[name]; ok {
			return value, true
		}
		value, ok := asDocumented[name]
		return value, ok
	})
}

func TestTheDocumentedEnvironmentIsRead(t *testing.T) {
	c, err := read(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.LeaseDuration != 5*time.Second || c.RenewDeadline != 3*time.Second || c.RetryPeriod != time.Second {
		t.Errorf("lease %v/%v/%v", c.LeaseDuration, c.RenewDeadline, c.RetryPeriod)
	}
	if c.Address.String() != "10.89.7.100" || c.Bits != 32 || c.Interface != "eth0" {
		t.Errorf("address %v/%d on %q", c.Address, c.Bits, c.Interface)
	}
	if c.NodeName != "node-1" {
		t.Errorf("the identity is %q; kube-vip lowers it", c.NodeName)
	}
	if c.LeaseName != "plndr-cp-lock" || c.Namespace != "kube-system" || c.Metrics != ":2112" || c.Port != 6443 {
		t.Errorf("%+v", c)
	}
	if c.BroadcastEvery != 3*time.Second {
		t.Errorf("broadcasts every %v", c.BroadcastEvery)
	}
}

func TestWhatIsUnsetOrEmptyIsKubeVipsDefault(t *testing.T) {
	c, err := read(map[string]string{
		"vip_leaseduration": "", "vip_renewdeadline": "", "vip_retryperiod": "", "vip_leasename": "", "cp_namespace": "", "prometheus_server": "",
		"vip_subnet": "", "vip_arpRate": "100",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.LeaseDuration != 15*time.Second || c.RenewDeadline != 10*time.Second || c.RetryPeriod != 2*time.Second {
		t.Errorf("lease %v/%v/%v", c.LeaseDuration, c.RenewDeadline, c.RetryPeriod)
	}
	if c.LeaseName != "plndr-cp-lock" || c.Namespace != "kube-system" || c.Metrics != ":2112" || c.Bits != 32 {
		t.Errorf("%+v", c)
	}
	if c.BroadcastEvery != 3*time.Second {
		t.Errorf("a rate below 500 ms gives %v; kube-vip takes its default", c.BroadcastEvery)
	}
}

func TestAPrefixMayHaveItsSlash(t *testing.T) {
	if c, err := read(map[string]string{"vip_subnet": "/24"}); err != nil || c.Bits != 24 {
		t.Errorf("%d, %v", c.Bits, err)
	}
}

func TestEverythingWrongIsToldAtOnceByName(t *testing.T) {
	_, err := read(map[string]string{"address": "fd00::1", "vip_leaseduration": "15s", "vip_arp": "yes", "vip_subnet": "64", "bgp_enable": "true"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"address", "vip_leaseduration", "vip_arp", "vip_subnet", "bgp_enable"} {
		if !strings.Contains(err.Error(), "environment variable "+name+" ") {
			t.Errorf("%s is not named in:\n%v", name, err)
		}
	}
}
