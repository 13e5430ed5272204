// Package server is `k3s server`: what it does before etcd, with etcd, and once the API is there.
package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"lab/k3s/internal/bootstrap"
	"lab/k3s/internal/cluster"
	"lab/k3s/internal/etcd"
	"lab/k3s/internal/pki"
	"lab/k3s/internal/token"
)

// prepared is what a server knows before it starts etcd.
type prepared struct {
	settings cluster.Settings
	password string
	// join is the server to join; nil for the first server and for one that is a member already.
	join *token.Client
}

// prepare settles which cluster this server is of, before anything listens: the errors are those of a failing join
// (k3s-captures/17, 18, 26).
func prepare(n *cluster.Node) (*prepared, error) {
	settings, err := cluster.SettingsOf(n.Config)
	if err != nil {
		return nil, err
	}
	p := &prepared{settings: settings}
	for _, dir := range []string{n.Server("tls"), n.Server("cred"), n.Server("etc"), n.Server("manifests")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(n.TLS("etcd"), 0o755); err != nil {
		return nil, err
	}
	text := n.Token()
	if text == "" {
		text = token.ReadFile(n.Server("token"))
	}
	if text != "" {
		parsed, err := token.Parse(text, "server")
		if err != nil {
			return nil, fmt.Errorf("failed to validate token: %w", err)
		}
		p.password = parsed.Password
	}
	url := n.Config.Get("server")
	switch {
	case etcd.Initialized(n):
		logrus.Info("Managed etcd cluster bootstrap already complete and initialized")
		err = p.reconcile(n, url, text)
	case url != "":
		err = p.joining(n, url, text)
	case n.Config.On("cluster-init"):
		logrus.Info("Managed etcd cluster initializing")
		if p.password == "" {
			p.password = pki.RandomHex(16)
		}
		err = authorities(n)
	default:
		err = errors.New("the k3s stand-in has no sqlite datastore: set cluster-init, or server and token to join a cluster")
	}
	if err != nil {
		return nil, fmt.Errorf("failed to bootstrap cluster data: %w", err)
	}
	if names := n.Config.Unsupported(); len(names) > 0 {
		return nil, fmt.Errorf("the k3s stand-in does not carry out %s", strings.Join(names, ", "))
	}
	if err := moveRemovedData(n); err != nil {
		return nil, err
	}
	if err := authorities(n); err != nil {
		return nil, err
	}
	if err := leaves(n, settings); err != nil {
		return nil, err
	}
	return p, passwords(n, p.password)
}

// joining takes over the shared data of the cluster at url, after comparing what servers must agree on.
func (p *prepared) joining(n *cluster.Node, url, text string) error {
	if text == "" {
		return errors.New("K3S_TOKEN is required to join a cluster")
	}
	client, err := token.Connect(url, text, "server")
	if err != nil {
		return fmt.Errorf("failed to check if bootstrap data has been initialized: failed to validate token: %w", err)
	}
	logrus.Info("Managed etcd cluster not yet initialized")
	if err := p.compare(url, text); err != nil {
		return fmt.Errorf("failed to validate server configuration: %w", err)
	}
	logrus.Info("Opening etcd client connection with endpoints []")
	answer, err := client.Get("/v1-k3s/server-bootstrap")
	if err != nil {
		return err
	}
	logrus.Info("Reconciling bootstrap data between datastore and disk")
	var data bootstrap.Data
	if err := json.Unmarshal(answer, &data); err != nil {
		return err
	}
	p.join = client
	return data.Write(n)
}

// compare holds this server's critical settings against the cluster's.
func (p *prepared) compare(url, text string) error {
	client, err := token.Connect(url, text, "node")
	if err != nil {
		return err
	}
	answer, err := client.Get("/v1-k3s/config")
	if err != nil {
		logrus.Warnf("Skipping cluster configuration validation: %v", err)
		return nil
	}
	var theirs cluster.Settings
	if err := json.Unmarshal(answer, &theirs); err != nil {
		return err
	}
	if names := p.settings.Mismatches(theirs); len(names) > 0 {
		logrus.Warnf("critical configuration mismatched: %s", strings.Join(names, ","))
		return errors.New("critical configuration value mismatch between servers")
	}
	return nil
}

// reconcile checks a member's token against its own datastore. The server it once joined by may be gone: that only warns
// (k3s-captures/25-restarts.txt).
func (p *prepared) reconcile(n *cluster.Node, url, text string) error {
	var remote bootstrap.Data
	if url != "" {
		client, err := token.Connect(url, text, "server")
		if err == nil {
			p.join = client
			var answer []byte
			if answer, err = client.Get("/v1-k3s/server-bootstrap"); err == nil {
				err = json.Unmarshal(answer, &remote)
			}
		} else if inner := errors.Unwrap(err); inner != nil {
			err = errors.New(strings.Replace(inner.Error(), "/cacerts", "/v1-k3s/server-bootstrap", 1))
		}
		if err != nil {
			logrus.Warnf("Unable to reconcile with remote datastore: %v", err)
		}
	}
	logrus.Info("Reconciling bootstrap data between datastore and disk")
	kept, err := etcd.ReadLocal(n, bootstrap.Prefix)
	if err != nil {
		return fmt.Errorf("failed to reconcile with local datastore: %w", err)
	}
	sealed, found := kept[bootstrap.Key(p.password)]
	if !found && len(kept) > 0 {
		return errors.New("failed to reconcile with local datastore: bootstrap data already found and encrypted with different token")
	}
	if !found || sealed == "" {
		return nil
	}
	data, err := bootstrap.Open(sealed, p.password)
	if err != nil {
		return fmt.Errorf("failed to reconcile with local datastore: %w", err)
	}
	if _, err := os.Stat(n.TLS("server-ca.key")); err == nil {
		return nil
	}
	return data.Write(n)
}

// maxBackups is how many etcd-backup-* directories are kept.
const maxBackups = 5

// moveRemovedData moves a removed member's data away, so that the server rejoins as a new one (k3s-captures/22, 71).
func moveRemovedData(n *cluster.Node) error {
	if _, err := os.Stat(n.Server("db/etcd/tombstone")); err != nil {
		return nil
	}
	logrus.Info("tombstone file has been detected, removing ${datadir}/server/db to rejoin the cluster")
	backup := n.Server("db", fmt.Sprintf("etcd-backup-%d", time.Now().Unix()))
	if err := os.Rename(n.Server("db/etcd"), backup); err != nil {
		return err
	}
	old, _ := filepath.Glob(n.Server("db/etcd-backup-*"))
	sort.Strings(old)
	for len(old) > maxBackups {
		if err := os.RemoveAll(old[0]); err != nil {
			return err
		}
		old = old[1:]
	}
	return nil
}
