// Package cluster holds what the parts of one k3s share: its paths, its settings, its place in the network.
package cluster

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	utilnet "k8s.io/apimachinery/pkg/util/net"

	"lab/k3s/internal/config"
)

// Node is one k3s: where its files are and how it is reached.
type Node struct {
	Config *config.Config
	// Name is the Kubernetes node's name.
	Name string
	// IP is the address that peers use.
	IP net.IP
	// Data is the data directory (/var/lib/rancher/k3s).
	Data string
	// Emulated says that this runs under qemu-user, which carries neither containers nor netfilter.
	Emulated bool
}

// NewNode works out name, address and paths.
func NewNode(c *config.Config) (*Node, error) {
	n := &Node{Config: c, Data: c.Get("data-dir"), Name: strings.ToLower(c.Get("node-name"))}
	if n.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		n.Name = strings.ToLower(strings.Split(host, ".")[0])
	}
	if ips := c.List("node-ip"); len(ips) > 0 {
		n.IP = net.ParseIP(ips[0])
		if n.IP == nil {
			return nil, fmt.Errorf("invalid node-ip: %s", ips[0])
		}
	} else {
		ip, err := utilnet.ChooseHostInterface()
		if err != nil {
			return nil, err
		}
		n.IP = ip
	}
	n.Emulated = emulated()
	return n, nil
}

// Server is a path under server/.
func (n *Node) Server(parts ...string) string {
	return filepath.Join(append([]string{n.Data, "server"}, parts...)...)
}

// TLS is a path under server/tls/.
func (n *Node) TLS(parts ...string) string {
	return n.Server(append([]string{"tls"}, parts...)...)
}

// Agent is a path under agent/.
func (n *Node) Agent(parts ...string) string {
	return filepath.Join(append([]string{n.Data, "agent"}, parts...)...)
}

// Token is the token that was given, by flag or file; a server without one has its file from an earlier start.
func (n *Node) Token() string {
	if token := n.Config.Get("token"); token != "" {
		return token
	}
	if file := n.Config.Get("token-file"); file != "" {
		text, _ := os.ReadFile(file)
		return strings.TrimSpace(string(text))
	}
	return ""
}

// IPNet is a network as encoding/json writes net.IPNet, which is how /v1-k3s/config shows it.
type IPNet struct {
	IP   net.IP
	Mask []byte
}

// Settings is what all servers must agree on, and what agents ask for (/v1-k3s/config, k3s-captures/35-api-bodies.txt).
type Settings struct {
	ClusterDNSs        []net.IP
	ClusterIPRanges    []IPNet
	ClusterDNS         net.IP
	ClusterDomain      string
	ClusterIPRange     IPNet
	DisableCCM         bool
	DisableHelm        bool `json:"DisableHelmController"`
	DisableNPC         bool
	EncryptSecrets     bool
	EncryptProvider    string
	EmbeddedRegistry   bool
	FlannelBackend     string
	FlannelIPv6Masq    bool
	FlannelExternalIP  bool
	EgressSelectorMode string
	ServiceIPRange     IPNet
	ServiceIPRanges    []IPNet
	SupervisorMetrics  bool
	AdvertisePort      int
	AdvertiseIP        string
	HTTPSPort          int
	SupervisorPort     int
	APIServerPort      int
	DisableKubeProxy   bool
	Disables           map[string]bool
	Skips              map[string]bool
}

// SettingsOf reads the settings from flags.
func SettingsOf(c *config.Config) (Settings, error) {
	s := Settings{
		ClusterDomain: c.Get("cluster-domain"), DisableCCM: c.On("disable-cloud-controller"), DisableHelm: c.On("disable-helm-controller"),
		DisableNPC: c.On("disable-network-policy"), EncryptSecrets: c.On("secrets-encryption"), EncryptProvider: c.Get("secrets-encryption-provider"),
		EmbeddedRegistry: c.On("embedded-registry"), FlannelBackend: c.Get("flannel-backend"), FlannelIPv6Masq: c.On("flannel-ipv6-masq"),
		FlannelExternalIP: c.On("flannel-external-ip"), EgressSelectorMode: c.Get("egress-selector-mode"), SupervisorMetrics: c.On("supervisor-metrics"),
		AdvertisePort: 6443, HTTPSPort: 6443, SupervisorPort: 6443, APIServerPort: 6444, DisableKubeProxy: c.On("disable-kube-proxy"),
		Disables: map[string]bool{}, Skips: map[string]bool{},
	}
	for _, name := range c.List("disable") {
		s.Disables[name] = true
	}
	for name, target := range map[string]*IPNet{"cluster-cidr": &s.ClusterIPRange, "service-cidr": &s.ServiceIPRange} {
		_, network, err := net.ParseCIDR(c.Get(name))
		if err != nil {
			return s, fmt.Errorf("invalid %s %s: %w", name, c.Get(name), err)
		}
		*target = IPNet{IP: network.IP, Mask: network.Mask}
	}
	s.ClusterIPRanges, s.ServiceIPRanges = []IPNet{s.ClusterIPRange}, []IPNet{s.ServiceIPRange}
	dns := net.ParseIP(c.Get("cluster-dns"))
	if dns == nil {
		return s, fmt.Errorf("invalid cluster-dns %s", c.Get("cluster-dns"))
	}
	if c.Get("service-cidr") != "10.43.0.0/16" && c.Get("cluster-dns") == "10.43.0.10" {
		dns = s.ServiceIP(10)
	}
	s.ClusterDNS, s.ClusterDNSs = dns, []net.IP{dns}
	if s.FlannelBackend != "vxlan" && s.FlannelBackend != "none" && s.FlannelBackend != "host-gw" && s.FlannelBackend != "wireguard-native" {
		return s, fmt.Errorf("invalid flannel-backend %s", s.FlannelBackend)
	}
	return s, nil
}

// String is the network in CIDR form.
func (n IPNet) String() string { return (&net.IPNet{IP: n.IP, Mask: n.Mask}).String() }

// ServiceIP is the n-th address of the service network.
func (s Settings) ServiceIP(n byte) net.IP {
	ip := append(net.IP{}, s.ServiceIPRange.IP.To4()...)
	ip[3] += n
	return ip
}

// Mismatches compares a joiner's settings with a server's and names the differing critical ones as k3s logs them
// (k3s-captures/18-join-mismatch.txt; the list is k3s-ha-facts.md section 2, "Must match on all servers").
func (s Settings) Mismatches(theirs Settings) []string {
	var names []string
	differ := func(name string, mine, other any) {
		a, _ := json.Marshal(mine)
		b, _ := json.Marshal(other)
		if string(a) != string(b) {
			names = append(names, name)
		}
	}
	network := func(name string, mine, other IPNet) {
		for i, b := range mine.IP.To16() {
			if o := other.IP.To16(); o == nil || o[i] != b {
				names = append(names, fmt.Sprintf("%s.IP.slice[%d]", name, i))
				return
			}
		}
		for i, b := range mine.Mask {
			if i >= len(other.Mask) || other.Mask[i] != b {
				names = append(names, fmt.Sprintf("%s.Mask.slice[%d]", name, i))
				return
			}
		}
	}
	differ("cluster-dns", s.ClusterDNS, theirs.ClusterDNS)
	differ("cluster-domain", s.ClusterDomain, theirs.ClusterDomain)
	network("ClusterIPRange", s.ClusterIPRange, theirs.ClusterIPRange)
	differ("disable-cloud-controller", s.DisableCCM, theirs.DisableCCM)
	differ("disable-helm-controller", s.DisableHelm, theirs.DisableHelm)
	differ("disable-network-policy", s.DisableNPC, theirs.DisableNPC)
	differ("disable-kube-proxy", s.DisableKubeProxy, theirs.DisableKubeProxy)
	differ("disable", s.Disables, theirs.Disables)
	differ("egress-selector-mode", s.EgressSelectorMode, theirs.EgressSelectorMode)
	differ("embedded-registry", s.EmbeddedRegistry, theirs.EmbeddedRegistry)
	differ("flannel-backend", s.FlannelBackend, theirs.FlannelBackend)
	differ("flannel-external-ip", s.FlannelExternalIP, theirs.FlannelExternalIP)
	differ("flannel-ipv6-masq", s.FlannelIPv6Masq, theirs.FlannelIPv6Masq)
	differ("secrets-encryption", s.EncryptSecrets, theirs.EncryptSecrets)
	if s.EncryptSecrets {
		differ("secrets-encryption-provider", s.EncryptProvider, theirs.EncryptProvider)
	}
	network("ServiceIPRange", s.ServiceIPRange, theirs.ServiceIPRange)
	return names
}

// emulated looks for qemu-user: the first process then runs in the emulator's own file, or the processor described is
// another architecture's.
func emulated() bool {
	if exe, err := os.Readlink("/proc/1/exe"); err == nil && strings.Contains(exe, "qemu-") {
		return true
	}
	maps, _ := os.ReadFile("/proc/1/maps")
	return strings.Contains(string(maps), "/qemu-")
}
