package server

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/pki"
	"lab/k3s/internal/token"
)

// authorities makes the cluster's CAs and shared keys where missing: the first server's, or none on a joiner, which has
// received them.
func authorities(n *cluster.Node) error {
	for _, ca := range []struct{ file, name string }{
		{"client-ca", "k3s-client-ca"}, {"server-ca", "k3s-server-ca"}, {"request-header-ca", "k3s-request-header-ca"},
		{"etcd/peer-ca", "etcd-peer-ca"}, {"etcd/server-ca", "etcd-server-ca"},
	} {
		if err := pki.EnsureCA(n.TLS(ca.file+".crt"), n.TLS(ca.file+".key"), ca.name); err != nil {
			return err
		}
	}
	for _, name := range []string{"client-ca", "server-ca"} {
		text, err := os.ReadFile(n.TLS(name + ".crt"))
		if err != nil {
			return err
		}
		if err := pki.Write(n.TLS(name+".nochain.crt"), text, 0o644); err != nil {
			return err
		}
	}
	if err := pki.EnsureServiceKey(n.TLS("service.key")); err != nil {
		return err
	}
	key, err := os.ReadFile(n.TLS("service.key"))
	if err != nil {
		return err
	}
	if err := pki.Write(n.TLS("service.current.key"), key, 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(n.Server("cred/ipsec.psk")); err != nil {
		return pki.Write(n.Server("cred/ipsec.psk"), []byte(pki.RandomHex(48)+"\n"), 0o600)
	}
	return nil
}

// leaves makes this server's own certificates and kubeconfigs.
func leaves(n *cluster.Node, settings cluster.Settings) error {
	node := []string{n.Name, "localhost", "127.0.0.1", "::1", n.IP.String()}
	api := append([]string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + settings.ClusterDomain, settings.ServiceIP(1).String()}, node...)
	api = append(api, n.Config.List("tls-san")...)
	for _, leaf := range []struct {
		file, ca string
		leaf     pki.Leaf
	}{
		{"client-admin", "client-ca", pki.Leaf{CommonName: "system:admin", Organizations: []string{"system:masters"}, Client: true}},
		{"client-supervisor", "client-ca", pki.Leaf{CommonName: "system:k3s-supervisor", Organizations: []string{"system:masters"}, Client: true}},
		{"client-controller", "client-ca", pki.Leaf{CommonName: "system:kube-controller-manager", Client: true}},
		{"client-scheduler", "client-ca", pki.Leaf{CommonName: "system:kube-scheduler", Client: true}},
		{"client-k3s-cloud-controller", "client-ca", pki.Leaf{CommonName: "k3s-cloud-controller-manager", Client: true}},
		{"client-kube-apiserver", "client-ca", pki.Leaf{CommonName: "system:apiserver", Organizations: []string{"system:masters"}, Client: true}},
		{"client-auth-proxy", "request-header-ca", pki.Leaf{CommonName: "system:auth-proxy", Client: true}},
		{"serving-kube-apiserver", "server-ca", pki.Leaf{CommonName: "kube-apiserver", Server: true, Names: api}},
		{"kube-controller-manager/kube-controller-manager", "server-ca", pki.Leaf{CommonName: "kube-controller-manager", Server: true, Names: node}},
		{"kube-scheduler/kube-scheduler", "server-ca", pki.Leaf{CommonName: "kube-scheduler", Server: true, Names: node}},
		{"etcd/client", "etcd/server-ca", pki.Leaf{CommonName: "etcd-client", Client: true}},
		{"etcd/server-client", "etcd/server-ca", pki.Leaf{CommonName: "etcd-server", Server: true, Client: true, Names: node}},
		{"etcd/peer-server-client", "etcd/peer-ca", pki.Leaf{CommonName: "etcd-peer", Server: true, Client: true, Names: node}},
	} {
		ca, err := pki.LoadCA(n.TLS(leaf.ca+".crt"), n.TLS(leaf.ca+".key"))
		if err != nil {
			return err
		}
		if err := ca.Ensure(n.TLS(leaf.file+".crt"), n.TLS(leaf.file+".key"), leaf.leaf); err != nil {
			return err
		}
	}
	for _, name := range []string{"client-k3s-controller", "client-kube-proxy", "client-kubelet", "serving-kubelet"} {
		if _, err := pki.EnsureKey(n.TLS(name + ".key")); err != nil {
			return err
		}
	}
	for name, cert := range map[string]string{
		"admin": "client-admin", "supervisor": "client-supervisor", "controller": "client-controller", "scheduler": "client-scheduler",
		"cloud-controller": "client-k3s-cloud-controller", "api-server": "client-kube-apiserver",
	} {
		text := cluster.Kubeconfig("https://127.0.0.1:6444", n.TLS("server-ca.crt"), n.TLS(cert+".crt"), n.TLS(cert+".key"))
		if err := pki.Write(n.Server("cred", name+".kubeconfig"), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(n.TLS("temporary-certs"), 0o700); err != nil {
		return err
	}
	return pki.Write(n.Server("etc/cloud-config.yaml"), []byte("{\"loadBalancerEnabled\":false,\"nodeEnabled\":true}\n"), 0o600)
}

// passwords writes the token files: server/token with its two links, and cred/passwd, which requests are held against.
func passwords(n *cluster.Node, password string) error {
	ca, err := os.ReadFile(n.TLS("server-ca.crt"))
	if err != nil {
		return err
	}
	file := n.Server("token")
	if err := pki.Write(file, []byte(token.Format(ca, "server", password)+"\n"), 0o600); err != nil {
		return err
	}
	agent := password
	if given := n.Config.Get("agent-token"); given != "" {
		agent = given
	}
	for _, name := range []string{"node-token", "agent-token"} {
		link := n.Server(name)
		if name == "agent-token" && agent != password {
			if err := pki.Write(link, []byte(token.Format(ca, "node", agent)+"\n"), 0o600); err != nil {
				return err
			}
			continue
		}
		if to, err := os.Readlink(link); err == nil && to == file {
			continue
		}
		os.Remove(link)
		if err := os.Symlink(file, link); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s,node,node,k3s:agent\n%s,server,server,k3s:server\n", agent, password)
	return pki.Write(n.Server("cred/passwd"), []byte(text), 0o600)
}

// adminKubeconfig writes the file that people and kubectl use.
func adminKubeconfig(n *cluster.Node) (string, error) {
	read := func(path string) string {
		text, _ := os.ReadFile(path)
		return base64.StdEncoding.EncodeToString(text)
	}
	text := fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: https://127.0.0.1:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, read(n.TLS("server-ca.crt")), read(n.TLS("client-admin.crt")), read(n.TLS("client-admin.key")))
	path := n.Config.Get("write-kubeconfig")
	mode := os.FileMode(0o600)
	if given := n.Config.Get("write-kubeconfig-mode"); given != "" {
		bits, err := strconv.ParseUint(given, 8, 32)
		if err != nil {
			return "", fmt.Errorf("invalid write-kubeconfig-mode %s: %w", given, err)
		}
		mode = os.FileMode(bits)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, pki.Write(path, []byte(text), mode)
}
