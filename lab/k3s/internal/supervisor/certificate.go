package supervisor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/pki"
)

const (
	servingSecret = "k3s-serving"
	namePrefix    = "listener.cattle.io/cn-"
)

// Certificate is the serving certificate on 6443: O=k3s, CN=k3s, for every name and address of every server and every
// tls-san, kept in step among the servers through the secret kube-system/k3s-serving.
type Certificate struct {
	node  *cluster.Node
	names []string
	mu    sync.RWMutex
	pair  *tls.Certificate
	cert  []byte
	key   []byte
}

// NewCertificate reads the cached certificate, or makes one for this server's names.
func NewCertificate(n *cluster.Node, settings cluster.Settings) (*Certificate, error) {
	names := append(slices.Clone(n.Config.List("tls-san")), "127.0.0.1", "::1", "localhost", n.Name, n.IP.String(), settings.ServiceIP(1).String(),
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+settings.ClusterDomain)
	c := &Certificate{node: n, names: names}
	var cached corev1.Secret
	if text, err := os.ReadFile(n.TLS("dynamic-cert.json")); err == nil && json.Unmarshal(text, &cached) == nil {
		c.take(&cached)
	}
	if c.pair == nil {
		logrus.Warn("dynamiclistener [::]:6443: no cached certificate available for preload - deferring certificate load until storage initialization or first client request")
	}
	return c, c.cover(nil)
}

// Names are the names this server asks for.
func (c *Certificate) Names() []string { return c.names }

// Current is the certificate to serve.
func (c *Certificate) Current() *tls.Certificate {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.pair
}

// take adopts a secret's pair if it reads and our CA signed it.
func (c *Certificate) take(secret *corev1.Secret) {
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		return
	}
	certs, err := pki.Parse(secret.Data["tls.crt"])
	ca, caErr := pki.LoadCA(c.node.TLS("server-ca.crt"), c.node.TLS("server-ca.key"))
	if err != nil || caErr != nil || !ca.Signed(certs[0]) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pair, c.cert, c.key = &pair, secret.Data["tls.crt"], secret.Data["tls.key"]
}

// covered are the names in the current certificate.
func (c *Certificate) covered() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	certs, err := pki.Parse(c.cert)
	if err != nil {
		return nil
	}
	names := slices.Clone(certs[0].DNSNames)
	for _, ip := range certs[0].IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// cover makes a certificate that has this server's names, what it had, and more, where the current one lacks any.
func (c *Certificate) cover(more []string) error {
	have := c.covered()
	all := slices.Clone(have)
	for _, name := range append(slices.Clone(c.names), more...) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if len(all) == len(have) {
		return nil
	}
	sort.Strings(all)
	ca, err := pki.LoadCA(c.node.TLS("server-ca.crt"), c.node.TLS("server-ca.key"))
	if err != nil {
		return err
	}
	cert, key, err := ca.Pair(pki.Leaf{CommonName: "k3s", Organizations: []string{"k3s"}, Names: all, Server: true})
	if err != nil {
		return err
	}
	secret := c.secret(cert, key, all)
	logrus.Infof("Active TLS secret / (ver=) (count %d): %v", len(all), secret.Annotations)
	c.take(secret)
	return c.save()
}

func (c *Certificate) secret(cert, key []byte, names []string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: servingSecret, Namespace: "kube-system", Annotations: map[string]string{}}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{"tls.crt": cert, "tls.key": key}}
	for _, name := range names {
		secret.Annotations[namePrefix+strings.ReplaceAll(name, ":", "_")] = name
	}
	return secret
}

// save keeps the certificate on disk for the next start.
func (c *Certificate) save() error {
	names := c.covered()
	c.mu.RLock()
	defer c.mu.RUnlock()
	text, err := json.Marshal(c.secret(c.cert, c.key, names))
	if err != nil {
		return err
	}
	return pki.Write(c.node.TLS("dynamic-cert.json"), text, 0o600)
}

// Share keeps the certificate in step with the other servers': names only ever come in.
func (c *Certificate) Share(ctx context.Context, client kubernetes.Interface) {
	logrus.Infof("Starting dynamiclistener CN filter node controller with SANs: %v", c.names)
	for ctx.Err() == nil {
		if err := c.share(ctx, client); err != nil && ctx.Err() == nil {
			logrus.Warnf("Failed to share the serving certificate: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Second):
		}
	}
}

func (c *Certificate) share(ctx context.Context, client kubernetes.Interface) error {
	secrets := client.CoreV1().Secrets("kube-system")
	theirs, err := secrets.Get(ctx, servingSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		c.mu.RLock()
		mine := c.secret(c.cert, c.key, nil)
		c.mu.RUnlock()
		mine.Annotations = c.secret(nil, nil, c.covered()).Annotations
		logrus.Infof("Creating new TLS secret for kube-system/k3s-serving (count: %d): %v", len(mine.Annotations), mine.Annotations)
		_, err = secrets.Create(ctx, mine, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	var known []string
	for key, name := range theirs.Annotations {
		if strings.HasPrefix(key, namePrefix) {
			known = append(known, name)
		}
	}
	missing := slices.ContainsFunc(c.covered(), func(name string) bool { return !slices.Contains(known, name) })
	if !missing {
		if string(theirs.Data["tls.crt"]) != string(c.cert) {
			c.take(theirs)
			return c.save()
		}
		return nil
	}
	if err := c.cover(known); err != nil {
		return err
	}
	c.mu.RLock()
	next := c.secret(c.cert, c.key, nil)
	c.mu.RUnlock()
	next.Annotations = c.secret(nil, nil, c.covered()).Annotations
	next.ResourceVersion = theirs.ResourceVersion
	updated, err := secrets.Update(ctx, next, metav1.UpdateOptions{})
	if err == nil {
		logrus.Infof("Active TLS secret kube-system/k3s-serving (ver=%s) (count %d): %v", updated.ResourceVersion, len(next.Annotations), next.Annotations)
	}
	return err
}
