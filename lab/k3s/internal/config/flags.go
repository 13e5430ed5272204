// Package config reads what a k3s is told: config.yaml and its .d directory, flags, K3S_* variables.
package config

// Kind says how a flag's values are read.
type Kind int

const (
	// String is a flag with one value; the last one wins.
	String Kind = iota
	// Bool is a flag that may stand alone.
	Bool
	// List is a flag whose every occurrence adds a value.
	List
)

// Flag is one flag of `k3s server` or `k3s agent`.
type Flag struct {
	Name    string
	Aliases []string
	Kind    Kind
	Default string
	// Env is the variable that is read when neither a flag nor a config file sets the value.
	Env string
	// Agent says that `k3s agent` knows the flag too; ServerOnly flags leave it false.
	Agent bool
	// AgentOnly says that only `k3s agent` knows the flag.
	AgentOnly bool
	// Secret values are masked in the node-args annotation.
	Secret bool
	// Unsupported flags are known to k3s but not carried out by the stand-in, which then refuses to start.
	Unsupported bool
}

// Flags is every flag of `k3s server` and `k3s agent` in k3s v1.36 (its --help).
var Flags = []Flag{
	{Name: "config", Aliases: []string{"c"}, Default: "/etc/rancher/k3s/config.yaml", Env: "K3S_CONFIG_FILE", Agent: true},
	{Name: "debug", Kind: Bool, Env: "K3S_DEBUG", Agent: true},
	{Name: "v", Default: "0", Agent: true},
	{Name: "vmodule", Agent: true},
	{Name: "log", Aliases: []string{"l"}, Agent: true, Unsupported: true},
	{Name: "alsologtostderr", Kind: Bool, Agent: true},
	{Name: "bind-address", Unsupported: true},
	{Name: "https-listen-port", Default: "6443"},
	{Name: "advertise-address"},
	{Name: "advertise-port"},
	{Name: "tls-san", Kind: List},
	{Name: "tls-san-security", Kind: Bool, Default: "true"},
	{Name: "data-dir", Aliases: []string{"d"}, Default: "/var/lib/rancher/k3s", Env: "K3S_DATA_DIR", Agent: true},
	{Name: "cluster-cidr", Default: "10.42.0.0/16"},
	{Name: "service-cidr", Default: "10.43.0.0/16"},
	{Name: "service-node-port-range", Default: "30000-32767"},
	{Name: "cluster-dns", Default: "10.43.0.10"},
	{Name: "cluster-domain", Default: "cluster.local"},
	{Name: "flannel-backend", Default: "vxlan"},
	{Name: "flannel-ipv6-masq", Kind: Bool},
	{Name: "flannel-external-ip", Kind: Bool},
	{Name: "egress-selector-mode", Default: "agent"},
	{Name: "servicelb-namespace", Default: "kube-system"},
	{Name: "write-kubeconfig", Aliases: []string{"o"}, Default: "/etc/rancher/k3s/k3s.yaml", Env: "K3S_KUBECONFIG_OUTPUT"},
	{Name: "write-kubeconfig-mode", Env: "K3S_KUBECONFIG_MODE"},
	{Name: "write-kubeconfig-group", Env: "K3S_KUBECONFIG_GROUP"},
	{Name: "helm-job-image"},
	{Name: "token", Aliases: []string{"t"}, Env: "K3S_TOKEN", Agent: true, Secret: true},
	{Name: "token-file", Env: "K3S_TOKEN_FILE", Agent: true},
	{Name: "agent-token", Env: "K3S_AGENT_TOKEN", Secret: true},
	{Name: "agent-token-file", Env: "K3S_AGENT_TOKEN_FILE"},
	{Name: "server", Aliases: []string{"s"}, Env: "K3S_URL", Agent: true},
	{Name: "cluster-init", Kind: Bool, Env: "K3S_CLUSTER_INIT"},
	{Name: "cluster-reset", Kind: Bool, Env: "K3S_CLUSTER_RESET", Unsupported: true},
	{Name: "cluster-reset-restore-path", Unsupported: true},
	{Name: "kube-apiserver-arg", Kind: List},
	{Name: "etcd-arg", Kind: List},
	{Name: "kube-controller-manager-arg", Kind: List},
	{Name: "kube-scheduler-arg", Kind: List},
	{Name: "kube-cloud-controller-manager-arg", Kind: List},
	{Name: "datastore-endpoint", Env: "K3S_DATASTORE_ENDPOINT", Secret: true, Unsupported: true},
	{Name: "datastore-cafile", Env: "K3S_DATASTORE_CAFILE", Unsupported: true},
	{Name: "datastore-certfile", Env: "K3S_DATASTORE_CERTFILE", Unsupported: true},
	{Name: "datastore-keyfile", Env: "K3S_DATASTORE_KEYFILE", Unsupported: true},
	{Name: "etcd-expose-metrics", Kind: Bool},
	{Name: "etcd-disable-snapshots", Kind: Bool},
	{Name: "etcd-snapshot-name", Default: "etcd-snapshot"},
	{Name: "etcd-snapshot-schedule-cron", Default: "0 */12 * * *"},
	{Name: "etcd-snapshot-reconcile-interval", Default: "10m0s"},
	{Name: "etcd-snapshot-retention", Default: "5"},
	{Name: "etcd-snapshot-dir"},
	{Name: "etcd-snapshot-compress", Kind: Bool, Unsupported: true},
	{Name: "etcd-s3", Kind: Bool, Unsupported: true},
	{Name: "default-local-storage-path"},
	{Name: "disable", Kind: List},
	{Name: "disable-scheduler", Kind: Bool},
	{Name: "disable-cloud-controller", Kind: Bool},
	{Name: "disable-kube-proxy", Kind: Bool},
	{Name: "disable-network-policy", Kind: Bool},
	{Name: "disable-helm-controller", Kind: Bool},
	{Name: "disable-apiserver", Kind: Bool, Unsupported: true},
	{Name: "disable-controller-manager", Kind: Bool, Unsupported: true},
	{Name: "disable-etcd", Kind: Bool, Unsupported: true},
	{Name: "disable-agent", Kind: Bool, Unsupported: true},
	{Name: "embedded-registry", Kind: Bool, Unsupported: true},
	{Name: "supervisor-metrics", Kind: Bool},
	{Name: "secrets-encryption", Kind: Bool, Unsupported: true},
	{Name: "secrets-encryption-provider", Default: "aescbc"},
	{Name: "node-name", Env: "K3S_NODE_NAME", Agent: true},
	{Name: "with-node-id", Kind: Bool, Agent: true, Unsupported: true},
	{Name: "node-label", Kind: List, Agent: true},
	{Name: "node-taint", Kind: List, Agent: true},
	{Name: "docker", Kind: Bool, Agent: true, Unsupported: true},
	{Name: "container-runtime-endpoint", Agent: true, Unsupported: true},
	{Name: "default-runtime", Agent: true, Unsupported: true},
	{Name: "disable-default-registry-endpoint", Kind: Bool, Agent: true},
	{Name: "nonroot-devices", Kind: Bool, Agent: true},
	{Name: "pause-image", Default: "rancher/mirrored-pause:3.6", Agent: true},
	{Name: "snapshotter", Default: "overlayfs", Env: "K3S_SNAPSHOTTER", Agent: true},
	{Name: "private-registry", Default: "/etc/rancher/k3s/registries.yaml", Agent: true},
	{Name: "system-default-registry", Env: "K3S_SYSTEM_DEFAULT_REGISTRY", Agent: true, Unsupported: true},
	{Name: "node-ip", Aliases: []string{"i"}, Kind: List, Agent: true},
	{Name: "node-external-ip", Kind: List, Agent: true},
	{Name: "resolv-conf", Env: "K3S_RESOLV_CONF", Agent: true},
	{Name: "flannel-iface", Agent: true},
	{Name: "flannel-conf", Agent: true, Unsupported: true},
	{Name: "flannel-cni-conf", Agent: true, Unsupported: true},
	{Name: "vpn-auth", Env: "K3S_VPN_AUTH", Agent: true, Secret: true, Unsupported: true},
	{Name: "kubelet-arg", Kind: List, Agent: true},
	{Name: "kube-proxy-arg", Kind: List, Agent: true},
	{Name: "protect-kernel-defaults", Kind: Bool, Agent: true},
	{Name: "rootless", Kind: Bool, Agent: true, Unsupported: true},
	{Name: "prefer-bundled-bin", Kind: Bool, Agent: true},
	{Name: "selinux", Kind: Bool, Env: "K3S_SELINUX", Agent: true, Unsupported: true},
	{Name: "lb-server-port", Default: "6444", Env: "K3S_LB_SERVER_PORT", Agent: true},
	{Name: "disable-apiserver-lb", Kind: Bool, AgentOnly: true, Unsupported: true},
}

// SnapshotFlags is every flag of `k3s etcd-snapshot` (k3s-captures/32-misc.txt).
var SnapshotFlags = []Flag{
	{Name: "debug", Kind: Bool, Env: "K3S_DEBUG"},
	{Name: "config", Aliases: []string{"c"}, Default: "/etc/rancher/k3s/config.yaml", Env: "K3S_CONFIG_FILE"},
	{Name: "log", Aliases: []string{"l"}},
	{Name: "alsologtostderr", Kind: Bool},
	{Name: "node-name", Env: "K3S_NODE_NAME"},
	{Name: "data-dir", Aliases: []string{"d"}, Default: "/var/lib/rancher/k3s", Env: "K3S_DATA_DIR"},
	{Name: "etcd-token", Aliases: []string{"t", "token"}, Env: "K3S_TOKEN", Secret: true},
	{Name: "etcd-server", Aliases: []string{"s"}, Default: "https://127.0.0.1:6443"},
	{Name: "dir", Aliases: []string{"etcd-snapshot-dir"}},
	{Name: "name", Default: "on-demand"},
	{Name: "snapshot-compress", Aliases: []string{"etcd-snapshot-compress"}, Kind: Bool, Unsupported: true},
	{Name: "snapshot-retention", Aliases: []string{"etcd-snapshot-retention"}, Default: "5"},
	{Name: "s3", Aliases: []string{"etcd-s3"}, Kind: Bool, Unsupported: true},
	{Name: "output", Aliases: []string{"o"}, Default: "table"},
}

// known returns the flags of a command ("server", "agent" or "etcd-snapshot") by every name they go by.
func known(command string) map[string]*Flag {
	byName := map[string]*Flag{}
	list := Flags
	if command == "etcd-snapshot" {
		list = SnapshotFlags
	}
	for i := range list {
		flag := &list[i]
		if command == "agent" && !flag.Agent && !flag.AgentOnly || command == "server" && flag.AgentOnly {
			continue
		}
		byName[flag.Name] = flag
		for _, alias := range flag.Aliases {
			byName[alias] = flag
		}
	}
	return byName
}
