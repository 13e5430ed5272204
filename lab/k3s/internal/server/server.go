package server

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"lab/k3s/internal/bootstrap"
	"lab/k3s/internal/cluster"
	"lab/k3s/internal/control"
	"lab/k3s/internal/deploy"
	"lab/k3s/internal/etcd"
	"lab/k3s/internal/notify"
	"lab/k3s/internal/snapshot"
	"lab/k3s/internal/supervisor"
	"lab/k3s/internal/version"
)

// Server is a running `k3s server`.
type Server struct {
	node       *cluster.Node
	prepared   *prepared
	member     *etcd.Member
	supervisor *supervisor.Supervisor
	cert       *supervisor.Certificate
	client     atomic.Pointer[kubernetes.Clientset]
	// APIReady is closed once the API answers /readyz.
	APIReady chan struct{}
}

// Run runs a server until its context ends, or a part of it fails. An error of the etcd join ends it with exit code 0, as
// in k3s: the caller gets ErrShutdown then.
func Run(ctx context.Context, n *cluster.Node, startAgent func(ctx context.Context, apiReady <-chan struct{}) error) error {
	logrus.Infof("Starting k3s %s (%s)", version.Version, version.Commit)
	p, err := prepare(n)
	if err != nil {
		return fmt.Errorf("preparing server: %w", err)
	}
	s := &Server{node: n, prepared: p, APIReady: make(chan struct{})}
	if s.cert, err = supervisor.NewCertificate(n, p.settings); err != nil {
		return err
	}
	s.supervisor = supervisor.New(n, p.settings, s.cert)
	if err := s.supervisor.Listen(); err != nil {
		return err
	}
	if s.member, err = etcd.New(n); err != nil {
		return fmt.Errorf("starting kubernetes: failed to start cluster: start managed database: %w", err)
	}
	s.supervisor.Info = func(ctx context.Context) any { return s.member.Info(ctx) }
	snapshots := snapshot.New(n, s.member, p.password, func() kubernetes.Interface { return s.kube() })
	s.supervisor.Snapshot = snapshots.Serve
	failed := make(chan error, 8)
	go s.member.ManageLearners(ctx, s.kube)
	joined := make(chan struct{})
	switch {
	case etcd.Initialized(n) || p.join == nil:
		logrus.Info("Starting etcd for new cluster, cluster-reset=false")
		if err := s.member.Start(ctx, "", "new"); err != nil {
			return fmt.Errorf("starting kubernetes: failed to start cluster: start managed database: %w", err)
		}
		close(joined)
	default:
		go func() {
			if err := s.member.Join(ctx, p.join); err != nil {
				failed <- Shutdown{fmt.Sprintf("etcd cluster join failed: %v", err)}
				return
			}
			close(joined)
		}()
	}
	if err := s.announce(); err != nil {
		return err
	}
	s.supervisor.Open()
	go func() {
		if err := s.controlPlane(ctx, joined, failed, snapshots); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}()
	go func() {
		if err := startAgent(ctx, s.APIReady); err != nil && ctx.Err() == nil {
			failed <- err
		}
	}()
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-s.member.Failed:
	}
	shutdown, asked := err.(Shutdown)
	if err != nil && !asked {
		return err // the caller ends the process at once
	}
	if asked {
		logrus.Errorf("Shutdown request received: %q", shutdown.Why)
	}
	notify.Send("STOPPING=1")
	s.supervisor.Close()
	s.member.Stop()
	return err
}

// Shutdown is an end that k3s takes for a request to stop: it exits 0 (k3s-captures/19, 27).
type Shutdown struct{ Why string }

// Error is why.
func (s Shutdown) Error() string { return s.Why }

// kube is the cluster's client, nil until the API is there.
func (s *Server) kube() kubernetes.Interface {
	if client := s.client.Load(); client != nil {
		return client
	}
	return nil
}

// announce tells where the tokens are and writes the kubeconfig.
func (s *Server) announce() error {
	n := s.node
	logrus.Infof("Server node token is available at %s", n.Server("token"))
	logrus.Infof("To join server node to cluster: k3s server -s https://%s:6443 -t ${SERVER_NODE_TOKEN}", n.IP)
	logrus.Infof("Agent node token is available at %s", n.Server("agent-token"))
	logrus.Infof("To join agent node to cluster: k3s agent -s https://%s:6443 -t ${AGENT_NODE_TOKEN}", n.IP)
	path, err := adminKubeconfig(n)
	if err != nil {
		return err
	}
	logrus.Infof("Wrote kubeconfig %s", path)
	logrus.Info("Run: k3s kubectl")
	return nil
}

// controlPlane brings up etcd, then the apiserver, then all that needs it, and tells systemd.
func (s *Server) controlPlane(ctx context.Context, joined <-chan struct{}, failed chan<- error, snapshots *snapshot.Store) error {
	n, settings := s.node, s.prepared.settings
	scheduler := control.SchedulerArgs(n)
	manager := control.ControllerManagerArgs(n, settings)
	cloud := control.CloudControllerArgs(n, settings)
	polling := make(chan struct{})
	go s.pollReady(ctx, polling)
	select {
	case <-joined:
	case <-ctx.Done():
		return nil
	}
	if err := s.member.WaitReady(ctx); err != nil {
		return err
	}
	if err := s.saveBootstrap(ctx); err != nil {
		return err
	}
	handler, run, err := control.APIServer(ctx, n, settings)
	if err != nil {
		return fmt.Errorf("apiserver exited: %w", err)
	}
	go func() {
		if err := run(); ctx.Err() == nil {
			failed <- fmt.Errorf("apiserver exited: %v", err)
		}
	}()
	if err := supervisor.WaitPort(ctx, "6444"); err != nil {
		return err
	}
	s.supervisor.SetAPI(handler)
	select {
	case <-polling:
	case <-ctx.Done():
		return nil
	}
	logrus.Info("Kube API server is now running")
	logrus.Info("k3s is up and running")
	notify.Send("READY=1\nSTATUS=")
	config, client, err := clients(n.Server("cred/supervisor.kubeconfig"))
	if err != nil {
		return err
	}
	s.client.Store(client)
	s.supervisor.SetKube(client)
	close(s.APIReady)
	component := func(name string, words []string, run func([]string) error) {
		go func() { failed <- fmt.Errorf("%s exited: %v", name, run(words)) }()
	}
	component("kube-scheduler", scheduler, control.Scheduler)
	component("kube-controller-manager", manager, control.ControllerManager)
	if !settings.DisableCCM {
		component("cloud-controller-manager", cloud, func(words []string) error {
			if err := control.WaitForCloudRights(ctx, n); err != nil {
				return err
			}
			return control.CloudController(words)
		})
	}
	if err := deploy.CRDs(ctx, config); err != nil {
		return err
	}
	if err := deploy.Stage(n, settings); err != nil {
		return err
	}
	go snapshots.Run(ctx)
	go s.cert.Share(ctx, client)
	go s.member.MarkNode(ctx, client)
	go s.keepPassword(ctx, client)
	s.lead(ctx, client, "k3s-etcd", failed, func(ctx context.Context) { s.member.WatchNodes(ctx, client) })
	s.lead(ctx, client, "k3s", failed, func(ctx context.Context) { deploy.Run(ctx, n, config) })
	return nil
}

// keepPassword records this node's own password, which was checked against the file until now.
func (s *Server) keepPassword(ctx context.Context, client kubernetes.Interface) {
	for ctx.Err() == nil {
		text, err := os.ReadFile("/etc/rancher/node/password")
		if err == nil {
			if _, err = client.CoreV1().Nodes().Get(ctx, s.node.Name, metav1.GetOptions{}); err == nil {
				if err = supervisor.EnsureNodePassword(ctx, client, s.node.Name, strings.TrimSpace(string(text))); err == nil {
					return
				}
				logrus.Errorf("Node password validation failed for %s: %v", s.node.Name, err)
			}
		}
		time.Sleep(2 * time.Second)
	}
}

// pollReady asks the API for readiness every two seconds and closes ready when it is.
func (s *Server) pollReady(ctx context.Context, ready chan<- struct{}) {
	config, err := clientcmd.BuildConfigFromFlags("", s.node.Server("cred/supervisor.kubeconfig"))
	if err != nil {
		logrus.Fatalf("Failed to read supervisor kubeconfig: %v", err)
	}
	config.Host = "https://127.0.0.1:" + s.node.Config.Get("https-listen-port")
	config.Timeout = 15 * time.Second
	client := kubernetes.NewForConfigOrDie(config)
	for {
		_, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil {
			close(ready)
			return
		}
		logrus.Infof("Polling for API server readiness: GET /readyz failed: %v", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// saveBootstrap puts the shared data into the datastore, unless it is there.
func (s *Server) saveBootstrap(ctx context.Context) error {
	logrus.Info("Saving cluster bootstrap data to datastore")
	logrus.Infof("Opening etcd client connection with endpoints [%s]", etcd.Endpoint)
	key := bootstrap.Key(s.prepared.password)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	found, err := s.member.KV().Get(ctx, key)
	if err != nil {
		return err
	}
	if len(found.Kvs) > 0 {
		logrus.Warn("Bootstrap key already exists")
		return nil
	}
	data, err := bootstrap.Read(s.node)
	if err != nil {
		return err
	}
	sealed, err := data.Seal(s.prepared.password)
	if err != nil {
		return err
	}
	_, err = s.member.KV().Put(ctx, key, sealed)
	return err
}

// lead runs work while this server holds a lease in kube-system. Losing it ends the process, as in k3s.
func (s *Server) lead(ctx context.Context, client *kubernetes.Clientset, name string, failed chan<- error, work func(context.Context)) {
	lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}, Client: client.CoordinationV1(), LockConfig: resourcelock.ResourceLockConfig{Identity: s.node.Name}}
	go leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
		Lock: lock, LeaseDuration: 45 * time.Second, RenewDeadline: 30 * time.Second, RetryPeriod: 2 * time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: work,
			OnStoppedLeading: func() {
				if ctx.Err() == nil {
					failed <- fmt.Errorf("leaderelection lost for %s", name)
				}
			},
		},
		Name: name, ReleaseOnCancel: true,
	})
}

// clients reads a kubeconfig.
func clients(path string) (*rest.Config, *kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, nil, err
	}
	config.QPS, config.Burst = 50, 100
	client, err := kubernetes.NewForConfig(config)
	return config, client, err
}
