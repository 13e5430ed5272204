package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config is what one process was told by its environment. Every field names the variable it comes from; the defaults are kube-vip's own
// (v1.2.3, its command line's), so that a manifest that leaves one out gets the same here and there.
type Config struct {
	Address        netip.Addr    // address: the VIP; IPv4 only here
	Bits           int           // vip_subnet: length of the prefix it is set with, "32" or "/32"
	Interface      string        // vip_interface: "" means the one with the default route
	NodeName       string        // vip_nodename: who we are in the lease; "" means the host's name, lower case
	Port           uint16        // port: where the API answers on the VIP; only shown, as kube-vip without its load balancer does
	Namespace      string        // cp_namespace: of the lease
	LeaseName      string        // vip_leasename
	LeaseDuration  time.Duration // vip_leaseduration, seconds
	RenewDeadline  time.Duration // vip_renewdeadline, seconds
	RetryPeriod    time.Duration // vip_retryperiod, seconds
	BroadcastEvery time.Duration // vip_arpRate, milliseconds; below 500 kube-vip takes its default, and so do we
	Metrics        string        // prometheus_server: host:port to serve /metrics on; "" serves none
	Kubeconfig     string        // k8s_config_file: "" or a file that isn't there means the pod's service account
}

const defaultBroadcast = 3 * time.Second

// unsupported are the modes of the real kube-vip that this program does not have. Asked for one, it must not pretend.
var unsupported = []string{"bgp_enable", "wireguard_enable", "vip_routingtable", "svc_enable", "lb_enable", "vip_ddns", "vip_preserve_on_leadership_loss"}

// ReadConfig reads the environment through lookup (os.LookupEnv in earnest). The error lists everything that is wrong, a line each.
func ReadConfig(lookup func(name string) (string, bool)) (Config, error) {
	r := reader{lookup: lookup}
	c := Config{
		Address:        r.address("address"),
		Bits:           r.bits("vip_subnet", 32),
		Interface:      r.text("vip_interface", ""),
		NodeName:       strings.ToLower(r.text("vip_nodename", "")),
		Port:           uint16(r.number("port", 6443, 1, 65535)),
		Namespace:      r.text("cp_namespace", "kube-system"),
		LeaseName:      r.text("vip_leasename", "plndr-cp-lock"),
		LeaseDuration:  time.Duration(r.number("vip_leaseduration", 15, 1, 3600)) * time.Second,
		RenewDeadline:  time.Duration(r.number("vip_renewdeadline", 10, 1, 3600)) * time.Second,
		RetryPeriod:    time.Duration(r.number("vip_retryperiod", 2, 1, 3600)) * time.Second,
		BroadcastEvery: time.Duration(r.number("vip_arpRate", int(defaultBroadcast/time.Millisecond), 0, 3_600_000)) * time.Millisecond,
		Metrics:        r.text("prometheus_server", ":2112"),
		Kubeconfig:     r.text("k8s_config_file", ""),
	}
	if c.BroadcastEvery < 500*time.Millisecond {
		c.BroadcastEvery = defaultBroadcast
	}
	if !r.flag("vip_arp") {
		r.fail("vip_arp", "must be true: this stand-in has kube-vip's ARP mode only")
	}
	if !r.flag("cp_enable") {
		r.fail("cp_enable", "must be true: this stand-in holds a control plane's address and nothing else")
	}
	r.flag("vip_leaderelection") // read so that a bad value is told; in ARP mode kube-vip elects whatever it says
	for _, name := range unsupported {
		if r.flag(name) {
			r.fail(name, "is not in this stand-in; unset it, or run the real kube-vip")
		}
	}
	if c.NodeName == "" {
		host, err := os.Hostname()
		if err != nil {
			r.fail("vip_nodename", "is not set and the host has no name: "+err.Error())
		}
		c.NodeName = strings.ToLower(host)
	}
	return c, errors.Join(r.problems...)
}

// reader collects what is wrong instead of stopping at the first.
type reader struct {
	lookup   func(string) (string, bool)
	problems []error
}

func (r *reader) fail(name, what string) {
	r.problems = append(r.problems, fmt.Errorf("environment variable %s %s", name, what))
}

// text treats an empty value as unset, as kube-vip does.
func (r *reader) text(name, otherwise string) string {
	if value, ok := r.lookup(name); ok && value != "" {
		return value
	}
	return otherwise
}

func (r *reader) number(name string, otherwise, least, most int) int {
	value := r.text(name, "")
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		r.fail(name, fmt.Sprintf("is %q; allowed is a whole number from %d to %d", value, least, most))
		return otherwise
	}
	return n
}

func (r *reader) flag(name string) bool {
	value := r.text(name, "false")
	b, err := strconv.ParseBool(value)
	if err != nil {
		r.fail(name, fmt.Sprintf("is %q; allowed is true or false", value))
	}
	return b
}

func (r *reader) address(name string) netip.Addr {
	value := r.text(name, "")
	addr, err := netip.ParseAddr(value)
	if err != nil || !addr.Is4() {
		r.fail(name, fmt.Sprintf("is %q; allowed is one IPv4 address", value))
	}
	return addr
}

func (r *reader) bits(name string, otherwise int) int {
	value := strings.TrimPrefix(r.text(name, strconv.Itoa(otherwise)), "/")
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 32 {
		r.fail(name, fmt.Sprintf("is %q; allowed is a prefix length from 1 to 32", value))
		return otherwise
	}
	return n
}
