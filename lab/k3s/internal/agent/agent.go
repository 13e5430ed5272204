// Package agent is what every node runs: containers, kubelet, kube-proxy, flannel. A server has one beside it.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	kubeletapp "k8s.io/kubernetes/cmd/kubelet/app"

	kubeproxyapp "k8s.io/kubernetes/cmd/kube-proxy/app"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/containerd"
	"lab/k3s/internal/fakecri"
	"lab/k3s/internal/flannel"
	"lab/k3s/internal/lb"
	"lab/k3s/internal/notify"
	"lab/k3s/internal/pki"
	"lab/k3s/internal/token"
	"lab/k3s/internal/version"
)

// Agent is a running agent.
type Agent struct {
	node     *cluster.Node
	server   *token.Client
	settings cluster.Settings
	failed   chan error
}

// Run is `k3s agent`: it reaches the cluster through its own load balancer.
func Run(ctx context.Context, n *cluster.Node) error {
	logrus.Infof("Starting k3s agent %s (%s)", version.Version, version.Commit)
	server, secret := n.Config.Get("server"), n.Token()
	if server == "" {
		return errors.New("--server is required")
	}
	if secret == "" {
		return errors.New("--token is required")
	}
	if names := n.Config.Unsupported(); len(names) > 0 {
		return fmt.Errorf("the k3s stand-in does not carry out %s", strings.Join(names, ", "))
	}
	first, err := url.Parse(server)
	if err != nil {
		return fmt.Errorf("invalid server URL %q: %w", server, err)
	}
	host := first.Host
	if first.Port() == "" {
		host += ":443"
	}
	port := n.Config.Get("lb-server-port")
	balancer, err := lb.Start(ctx, port, host, n.Agent("etc/k3s-agent-load-balancer.json"))
	if err != nil {
		return err
	}
	a := &Agent{node: n, failed: make(chan error, 8)}
	if err := a.connect(ctx, "https://127.0.0.1:"+port, server, secret); err != nil {
		return err
	}
	if err := a.configure(ctx); err != nil {
		return err
	}
	go a.followServers(ctx, balancer)
	ready := make(chan struct{})
	go func() {
		for ctx.Err() == nil {
			if _, err := a.server.Get("/v1-k3s/readyz"); err == nil {
				close(ready)
				return
			}
			time.Sleep(2 * time.Second)
		}
	}()
	go func() {
		if err := a.run(ctx, ready, func() {
			logrus.Info("k3s agent is up and running")
			notify.Send("READY=1\nSTATUS=")
		}); err != nil && ctx.Err() == nil {
			a.failed <- err
		}
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// RunWithServer is the agent beside a server; it returns with the first error.
func RunWithServer(ctx context.Context, n *cluster.Node, apiReady <-chan struct{}) error {
	a := &Agent{node: n, failed: make(chan error, 8)}
	base := "https://127.0.0.1:" + n.Config.Get("https-listen-port")
	if err := a.connect(ctx, base, base, token.ReadFile(n.Server("agent-token"))); err != nil {
		return err
	}
	if err := a.configure(ctx); err != nil {
		return err
	}
	go func() {
		if err := a.run(ctx, apiReady, func() {}); err != nil && ctx.Err() == nil {
			a.failed <- err
		}
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// connect holds the token against the cluster until it answers; a wrong one is said again and again, as k3s does.
func (a *Agent) connect(ctx context.Context, base, shown, secret string) error {
	for {
		client, err := token.Connect(base, secret, "node")
		if err == nil {
			a.server = client
			return nil
		}
		logrus.Errorf("Failed to validate connection to cluster at %s: %v", shown, err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

// configure gets what a node needs of the cluster: settings, certificates, kubeconfigs.
func (a *Agent) configure(ctx context.Context) error {
	for {
		err := a.fetch(ctx)
		if err == nil {
			return nil
		}
		if strings.Contains(err.Error(), "hash does not match") {
			err = errors.New("Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag")
		}
		logrus.Infof("Waiting to retrieve agent configuration; server is not ready: %v", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}

func (a *Agent) fetch(ctx context.Context) error {
	n := a.node
	text, err := a.server.Get("/v1-k3s/config")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &a.settings); err != nil {
		return err
	}
	password, err := nodePassword()
	if err != nil {
		return err
	}
	for _, name := range []string{"client-ca.crt", "server-ca.crt"} {
		text, err := a.server.Get("/v1-k3s/" + name)
		if err != nil {
			return err
		}
		if err := pki.Write(n.Agent(name), text, 0o600); err != nil {
			return err
		}
	}
	header := http.Header{"K3s-Node-Name": {n.Name}, "K3s-Node-Password": {password}, "K3s-Node-Ip": {n.IP.String()}}
	for _, name := range []string{"serving-kubelet", "client-kubelet", "client-kube-proxy", "client-k3s-controller"} {
		request, err := pki.Request(n.Agent(name + ".key"))
		if err != nil {
			return err
		}
		text, err := a.server.Do(ctx, http.MethodPost, "/v1-k3s/"+name+".crt", request, header)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Agent(name+".crt"), err)
		}
		if err := pki.Write(n.Agent(name+".crt"), text, 0o600); err != nil {
			return err
		}
	}
	for name, cert := range map[string]string{"kubelet": "client-kubelet", "kubeproxy": "client-kube-proxy", "k3scontroller": "client-k3s-controller"} {
		text := cluster.Kubeconfig("https://127.0.0.1:6444", n.Agent("server-ca.crt"), n.Agent(cert+".crt"), n.Agent(cert+".key"))
		if n.Config.Command == "agent" {
			text = cluster.Kubeconfig("https://127.0.0.1:"+n.Config.Get("lb-server-port"), n.Agent("server-ca.crt"), n.Agent(cert+".crt"), n.Agent(cert+".key"))
		}
		if err := pki.Write(n.Agent(name+".kubeconfig"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// nodePassword reads or makes the node's password, by which the cluster knows it again.
func nodePassword() (string, error) {
	const path = "/etc/rancher/node/password"
	if text, err := os.ReadFile(path); err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	password := pki.RandomHex(16)
	return password, pki.Write(path, []byte(password+"\n"), 0o600)
}

// followServers keeps the load balancer at the servers there are.
func (a *Agent) followServers(ctx context.Context, balancer *lb.Balancer) {
	for ctx.Err() == nil {
		if text, err := a.server.Get("/v1-k3s/apiservers"); err == nil {
			var servers []string
			if json.Unmarshal(text, &servers) == nil {
				balancer.Update(servers)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

// run starts the node's parts in order; up is called when the kubelet's node is registered.
func (a *Agent) run(ctx context.Context, apiReady <-chan struct{}, up func()) error {
	n := a.node
	if err := prepareNetwork(n); err != nil {
		return err
	}
	if n.Emulated {
		logrus.Warnf("k3s stand-in: this host is emulated and carries no containers; its pods are only pretended (annotation %s)", version.PretendedPods)
		if err := fakecri.Serve(ctx, containerd.Socket, n.Name); err != nil {
			return err
		}
	} else {
		if err := containerd.Run(ctx, n, a.failed); err != nil {
			return err
		}
		if err := containerd.Import(ctx, n); err != nil {
			return err
		}
	}
	kubelet, err := kubeletArgs(n, a.settings)
	if err != nil {
		return err
	}
	proxy := proxyArgs(n, a.settings)
	select {
	case <-apiReady:
	case <-ctx.Done():
		return nil
	}
	component := func(name string, run func() error) {
		go func() {
			if err := run(); ctx.Err() == nil {
				a.failed <- fmt.Errorf("%s exited: %v", name, err)
			}
		}()
	}
	component("kubelet", func() error {
		command := kubeletapp.NewKubeletCommand(ctx)
		command.SetArgs(kubelet)
		return command.ExecuteContext(ctx)
	})
	config, err := clientcmd.BuildConfigFromFlags("", n.Agent("k3scontroller.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := a.annotate(ctx, client); err != nil {
		return err
	}
	up()
	logrus.Info("Waiting for untainted node")
	if !n.Emulated && a.settings.FlannelBackend == "vxlan" {
		for ctx.Err() == nil {
			err := flannel.Run(ctx, n, a.settings.ClusterIPRange, client)
			if err == nil {
				break
			}
			logrus.Errorf("%v", err)
			time.Sleep(2 * time.Second)
		}
	}
	if !n.Emulated && !a.settings.DisableKubeProxy {
		component("kube-proxy", func() error {
			command := kubeproxyapp.NewProxyCommand()
			command.SetArgs(proxy)
			return command.ExecuteContext(ctx)
		})
	}
	return nil
}

// annotate writes k3s's annotations on the node as soon as the kubelet has registered it, and the stand-in's labels, which
// the kubelet itself gives to new nodes only.
func (a *Agent) annotate(ctx context.Context, client kubernetes.Interface) error {
	n := a.node
	annotations := map[string]string{
		"k3s.io/hostname": n.Name, "k3s.io/internal-ip": n.IP.String(),
		"k3s.io/node-args": n.Config.NodeArgs(), "k3s.io/node-env": n.Config.NodeEnv(), "k3s.io/node-config-hash": n.Config.NodeHash(),
	}
	if ips := n.Config.List("node-external-ip"); len(ips) > 0 {
		annotations["k3s.io/external-ip"] = strings.Join(ips, ",")
	}
	labels := map[string]string{version.StandInLabel: "standin"}
	if n.Emulated {
		annotations[version.PretendedPods], labels[version.PretendedPods] = "pretended", "pretended"
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations, "labels": labels}})
	if err != nil {
		return err
	}
	var said atomic.Bool
	for {
		_, err := client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		if err == nil {
			logrus.Infof("Annotations and labels have been set successfully on node: %s", n.Name)
			return nil
		}
		if !strings.Contains(err.Error(), "not found") && !said.Swap(true) {
			logrus.Infof("Waiting to set node %s annotations: %v", n.Name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// prepareNetwork sets the kernel's switches that k3s sets and writes the CNI configuration's directories.
func prepareNetwork(n *cluster.Node) error {
	for path, value := range map[string]string{
		"net/ipv4/ip_forward": "1", "net/bridge/bridge-nf-call-iptables": "1",
		"net/netfilter/nf_conntrack_tcp_timeout_established": "86400", "net/netfilter/nf_conntrack_tcp_timeout_close_wait": "3600",
	} {
		if err := os.WriteFile(filepath.Join("/proc/sys", path), []byte(value), 0o644); err == nil {
			logrus.Infof("Set sysctl '%s' to %s", path, value)
		}
	}
	for _, dir := range []string{n.Agent("images"), n.Agent("etc"), n.Agent("etc/cni")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return os.MkdirAll(n.Agent("pod-manifests"), 0o750)
}
