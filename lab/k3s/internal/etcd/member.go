// Package etcd runs the embedded etcd member as k3s does: its configuration, joining as a learner, promotion and
// eviction of learners, what the cluster is told about members.
package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/client/pkg/v3/logutil"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"sigs.k8s.io/yaml"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/pki"
)

// Endpoint is where this server's own member serves clients.
const Endpoint = "https://127.0.0.1:2379"

// Member is this server's etcd.
type Member struct {
	node *cluster.Node
	// Name is `<node>-<8 hex>`, kept in db/etcd/name.
	Name   string
	server *embed.Etcd
	client *clientv3.Client
	// Failed gets the error that ends this k3s.
	Failed  chan error
	removed atomic.Bool
}

// New prepares the member: its name, and a client to itself. Nothing is started.
func New(n *cluster.Node) (*Member, error) {
	m := &Member{node: n, Failed: make(chan error, 4)}
	if err := os.MkdirAll(m.dir(), 0o700); err != nil {
		return nil, err
	}
	file := m.dir("name")
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		text = []byte(n.Name + "-" + pki.RandomHex(4))
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		return nil, err
	}
	m.Name = string(text)
	m.client, err = Client(n, Endpoint)
	return m, err
}

// Initialized says whether this server has been a member before.
func Initialized(n *cluster.Node) bool {
	info, err := os.Stat(n.Server("db/etcd/member/wal"))
	return err == nil && info.IsDir()
}

// dir is a path in the member's directory.
func (m *Member) dir(parts ...string) string {
	return m.node.Server(append([]string{"db", "etcd"}, parts...)...)
}

func (m *Member) peerURL() string   { return "https://" + net.JoinHostPort(m.node.IP.String(), "2380") }
func (m *Member) clientURL() string { return "https://" + net.JoinHostPort(m.node.IP.String(), "2379") }

// Client is an etcd client with this server's client certificate.
func Client(n *cluster.Node, endpoints ...string) (*clientv3.Client, error) {
	cert, err := tls.LoadX509KeyPair(n.TLS("etcd/client.crt"), n.TLS("etcd/client.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(n.TLS("etcd/server-ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return clientv3.New(clientv3.Config{
		Endpoints: endpoints, DialTimeout: 2 * time.Second, DialKeepAliveTime: 30 * time.Second, DialKeepAliveTimeout: 10 * time.Second,
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool}, Logger: zap.NewNop(),
		// By itself grpc lets up to two minutes pass between its tries; a joiner that waited for its turn must not wait on.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second}, MinConnectTimeout: 2 * time.Second,
		})},
	})
}

// Start starts the member of a new cluster (cluster = "", state "new"), of one being joined ("existing"), or, where
// the write-ahead log is there, the member it was.
func (m *Member) Start(ctx context.Context, initial, state string) error {
	if initial == "" {
		initial = m.Name + "=" + m.peerURL()
	}
	if err := os.Chmod(m.dir(), 0o700); err != nil {
		return err
	}
	settings := map[string]any{
		"name": m.Name, "data-dir": m.dir(), "initial-cluster": initial, "initial-cluster-state": state,
		"advertise-client-urls": m.clientURL(), "initial-advertise-peer-urls": m.peerURL(),
		"listen-client-urls":      "https://127.0.0.1:2379," + m.clientURL(),
		"listen-peer-urls":        "https://127.0.0.1:2380," + m.peerURL(),
		"listen-client-http-urls": "https://127.0.0.1:2382",
		"listen-metrics-urls":     "http://127.0.0.1:2381",
		"heartbeat-interval":      500, "election-timeout": 5000, "snapshot-count": 10000,
		"experimental-initial-corrupt-check": true, "experimental-watch-progress-notify-interval": 5000000000,
		"bootstrap-defrag-threshold-megabytes": 100,
		"logger":                               "zap", "log-outputs": []string{"stderr"},
		"socket-options":            map[string]any{"reuse-address": true, "reuse-port": true},
		"client-transport-security": security(m.node.TLS("etcd"), "server-client", "server-ca"),
		"peer-transport-security":   security(m.node.TLS("etcd"), "peer-server-client", "peer-ca"),
	}
	if m.node.Config.On("etcd-expose-metrics") {
		settings["listen-metrics-urls"] = "http://127.0.0.1:2381,http://" + net.JoinHostPort(m.node.IP.String(), "2381")
	}
	for _, arg := range m.node.Config.List("etcd-arg") {
		key, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		settings[key] = scalar(value)
	}
	text, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.dir("config"), text, 0o600); err != nil {
		return err
	}
	config, err := embed.ConfigFromFile(m.dir("config"))
	if err != nil {
		return err
	}
	logger, err := m.logger(config.LogLevel)
	if err != nil {
		return err
	}
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger)
	m.server, err = embed.StartEtcd(config)
	if err != nil {
		return err
	}
	go m.watch(ctx)
	return nil
}

// logger is etcd's own, with an ear for the one line by which etcd tells that its peers have removed it: it has no other
// way to say so.
func (m *Member) logger(level string) (*zap.Logger, error) {
	settings := logutil.DefaultZapLoggerConfig
	settings.Level = zap.NewAtomicLevelAt(logutil.ConvertToZapLevel(level))
	return settings.Build(zap.Hooks(func(entry zapcore.Entry) error {
		if entry.Message == "data-dir used by this member must be removed" {
			m.removed.Store(true)
		}
		return nil
	}))
}

// security is the TLS part of etcd's configuration.
func security(dir, cert, ca string) map[string]any {
	return map[string]any{
		"cert-file": filepath.Join(dir, cert+".crt"), "key-file": filepath.Join(dir, cert+".key"),
		"trusted-ca-file": filepath.Join(dir, ca+".crt"), "client-cert-auth": true,
	}
}

// scalar is an etcd-arg's value as YAML would have read it.
func scalar(text string) any {
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return number
	}
	if truth, err := strconv.ParseBool(text); err == nil {
		return truth
	}
	return text
}

// watch waits for etcd's own end. A member that its peers have removed leaves a tombstone, and k3s stays up without etcd:
// active if it was (k3s-captures/22), activating for ever if it was starting (71). Any other end ends this k3s. The listeners
// of a removed member fail first, so the reason counts, not which of the two is noticed first.
func (m *Member) watch(ctx context.Context) {
	err := errors.New("etcd server stopped")
	select {
	case <-ctx.Done():
		return
	case <-m.server.Server.StopNotify():
	case failure := <-m.server.Err():
		err = fmt.Errorf("etcd exited: %w", failure)
	}
	switch {
	case ctx.Err() != nil:
	case m.removed.Load():
		m.markRemoved()
	default:
		m.Failed <- err
	}
}

// markRemoved writes the tombstone, by which the next start moves the data away and rejoins.
func (m *Member) markRemoved() {
	if err := os.WriteFile(m.dir("tombstone"), nil, 0o600); err != nil {
		logrus.Errorf("Failed to write tombstone file to %s: %v", m.dir("tombstone"), err)
	}
	m.server.Close()
	m.server = nil
	logrus.Info("This node has been removed from the cluster - please restart k3s to rejoin the cluster")
}

// Stop stops the member after handing its leadership over where it has it. It does not wait for its clients to go: the
// apiserver's watches would keep it for seconds, and they end with this process anyway.
func (m *Member) Stop() {
	if m.server == nil {
		return
	}
	logrus.Info("Stopping etcd server...")
	stopped := make(chan struct{})
	go func() {
		if err := m.server.Server.TryTransferLeadershipOnShutdown(); err != nil {
			logrus.Warnf("Failed to hand over etcd leadership: %v", err)
		}
		m.server.Server.HardStop()
		close(stopped)
	}()
	select {
	case <-stopped:
		logrus.Info("etcd server stopped")
	case <-time.After(5 * time.Second):
	}
}

// Test tells why this server's member does not serve yet, or nil: it is up, a voter, and known to the cluster.
func (m *Member) Test(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	status, err := m.client.Status(ctx, Endpoint)
	if err != nil {
		return fmt.Errorf("failed to get etcd status: %w", err)
	}
	if status.IsLearner {
		return errors.New("this server has not yet been promoted from learner to voting member")
	}
	if _, err := m.client.Get(ctx, "/registry/ranges/serviceips"); err != nil {
		return fmt.Errorf("failed to read from etcd: %w", err)
	}
	list, err := m.client.MemberList(ctx)
	if err != nil {
		return fmt.Errorf("failed to get etcd MemberList: %w", err)
	}
	var found []string
	for _, member := range list.Members {
		for _, url := range member.PeerURLs {
			if url == m.peerURL() && member.Name == m.Name {
				logrus.Infof("Connected to etcd v%s - datastore using %d of %d bytes", status.Version, status.DbSizeInUse, status.DbSize)
				return nil
			}
			found = append(found, member.Name+"="+url)
		}
	}
	return fmt.Errorf("this server is a not a member of the etcd cluster. Found %v, expect: %s=%s", found, m.Name, m.peerURL())
}

// WaitReady returns when Test has nothing to say, asking every five seconds.
func (m *Member) WaitReady(ctx context.Context) error {
	for {
		err := m.Test(ctx)
		if err == nil {
			logrus.Info("Connection to etcd is ready")
			logrus.Info("ETCD server is now running")
			return nil
		}
		logrus.Infof("Failed to test etcd connection: %v", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Second):
		}
	}
}

// KV is the client to this server's own member.
func (m *Member) KV() *clientv3.Client { return m.client }

// EtcdVersion is the version of the etcd that is built in.
func EtcdVersion() string { return version.Version }
