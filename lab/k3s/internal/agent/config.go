package agent

import (
	"fmt"
	"net"
	"os"
	"sort"
	"strings"

	"github.com/sirupsen/logrus"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/containerd"
	"lab/k3s/internal/pki"
	"lab/k3s/internal/version"
)

// kubeletArgs writes the kubelet's configuration (k3s-captures/05-tree.txt) and returns its arguments.
func kubeletArgs(n *cluster.Node, settings cluster.Settings) ([]string, error) {
	driver := "cgroupfs"
	if containerd.SystemdCgroups() && !n.Emulated {
		driver = "systemd"
	}
	resolver := n.Config.Get("resolv-conf")
	if resolver == "" {
		var err error
		if resolver, err = resolvConf(n); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(`address: 0.0.0.0
allowedUnsafeSysctls:
- net.ipv4.ip_forward
- net.ipv6.conf.all.forwarding
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 2m0s
    enabled: true
  x509:
    clientCAFile: %s
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 5m0s
    cacheUnauthorizedTTL: 30s
cgroupDriver: %s
clusterDNS:
- %s
clusterDomain: %s
containerRuntimeEndpoint: unix://%s
cpuManagerReconcilePeriod: 10s
evictionHard:
  imagefs.available: 5%%
  nodefs.available: 5%%
evictionMinimumReclaim:
  imagefs.available: 10%%
  nodefs.available: 10%%
failSwapOn: false
healthzBindAddress: 127.0.0.1
kind: KubeletConfiguration
resolvConf: %s
serializeImagePulls: false
staticPodPath: %s
streamingConnectionIdleTimeout: 4h0m0s
syncFrequency: 1m0s
tlsCertFile: %s
tlsPrivateKeyFile: %s
`, n.Agent("client-ca.crt"), driver, settings.ClusterDNS, settings.ClusterDomain, containerd.Socket, resolver,
		n.Agent("pod-manifests"), n.Agent("serving-kubelet.crt"), n.Agent("serving-kubelet.key"))
	if err := os.MkdirAll(n.Agent("etc/kubelet.conf.d"), 0o700); err != nil {
		return nil, err
	}
	if err := pki.Write(n.Agent("etc/kubelet.conf.d/00-k3s-defaults.conf"), []byte(text), 0o600); err != nil {
		return nil, err
	}
	if err := writeCNI(n, settings); err != nil {
		return nil, err
	}
	labels := append([]string{version.StandInLabel + "=standin"}, n.Config.List("node-label")...)
	if n.Emulated {
		labels = append(labels, version.PretendedPods+"=pretended")
	}
	args := map[string]string{
		"cloud-provider": "external", "config-dir": n.Agent("etc/kubelet.conf.d"), "containerd": containerd.Socket, "hostname-override": n.Name,
		"kubeconfig": n.Agent("kubelet.kubeconfig"), "node-ip": n.IP.String(), "node-labels": strings.Join(labels, ","), "read-only-port": "0",
	}
	if taints := n.Config.List("node-taint"); len(taints) > 0 {
		args["register-with-taints"] = strings.Join(taints, ",")
	}
	words := merge(args, n.Config.List("kubelet-arg"))
	logrus.Infof("Running kubelet %s", strings.Join(words, " "))
	return words, nil
}

// proxyArgs are kube-proxy's arguments.
func proxyArgs(n *cluster.Node, settings cluster.Settings) []string {
	words := merge(map[string]string{
		"cluster-cidr": settings.ClusterIPRange.String(), "conntrack-tcp-timeout-close-wait": "0s", "conntrack-tcp-timeout-established": "0s",
		"healthz-bind-address": "127.0.0.1", "hostname-override": n.Name, "kubeconfig": n.Agent("kubeproxy.kubeconfig"), "proxy-mode": "iptables",
	}, n.Config.List("kube-proxy-arg"))
	logrus.Infof("Running kube-proxy %s", strings.Join(words, " "))
	return words
}

// merge adds `name=value` words, which win, and returns flags in alphabetical order.
func merge(args map[string]string, more []string) []string {
	for _, word := range more {
		name, value, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		args[name] = value
	}
	var words []string
	for name, value := range args {
		words = append(words, "--"+name+"="+value)
	}
	sort.Strings(words)
	return words
}

// writeCNI writes 10-flannel.conflist, which names the flannel plugin: that one reads the pod network from
// /run/flannel/subnet.env, which is written once the network is known.
func writeCNI(n *cluster.Node, settings cluster.Settings) error {
	if settings.FlannelBackend == "none" {
		return nil
	}
	if err := os.MkdirAll(n.Agent("etc/cni/net.d"), 0o700); err != nil {
		return err
	}
	text := `{
  "name":"cbr0",
  "cniVersion":"1.0.0",
  "plugins":[
    {
      "type":"flannel",
      "delegate":{
        "hairpinMode":true,
        "forceAddress":true,
        "isDefaultGateway":true
      },
      "subnetFile":"/run/flannel/subnet.env"
    },
    {
      "type":"portmap",
      "capabilities":{
        "portMappings":true
      }
    }
  ]
}
`
	if err := pki.Write(n.Agent("etc/cni/net.d/10-flannel.conflist"), []byte(text), 0o644); err != nil {
		return err
	}
	network := fmt.Sprintf("{\n\t\"Network\": %q,\n\t\"EnableIPv6\": false,\n\t\"EnableIPv4\": true,\n\t\"IPv6Network\": \"::/0\",\n\t\"Backend\": {\n\t\"Type\": %q\n}\n}\n", settings.ClusterIPRange, settings.FlannelBackend)
	return pki.Write(n.Agent("etc/flannel/net-conf.json"), []byte(network), 0o644)
}

// resolvConf is the host's resolv.conf, or one of ours where that names no server that pods could reach.
func resolvConf(n *cluster.Node) (string, error) {
	for _, path := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(text), "\n") {
			fields := strings.Fields(line)
			if len(fields) > 1 && fields[0] == "nameserver" {
				if ip := net.ParseIP(fields[1]); ip != nil && ip.IsGlobalUnicast() {
					return path, nil
				}
			}
		}
	}
	logrus.Warn("Host resolv.conf includes loopback or multicast nameservers - kubelet will use autogenerated resolv.conf with nameserver 8.8.8.8")
	path := n.Agent("etc/resolv.conf")
	return path, pki.Write(path, []byte("nameserver 8.8.8.8\n"), 0o644)
}
