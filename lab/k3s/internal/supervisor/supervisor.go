// Package supervisor is what listens on 6443: k3s's own paths, and everything else handed to the apiserver. What it
// answers to whom is k3s-captures/07-http.txt and 31-unauth-during-restart.txt.
package supervisor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"lab/k3s/internal/bootstrap"
	"lab/k3s/internal/cluster"
)

// Supervisor answers on 6443.
type Supervisor struct {
	node     *cluster.Node
	settings cluster.Settings
	cert     *Certificate
	// Info answers /db/info.
	Info func(context.Context) any
	// Snapshot answers /db/snapshot.
	Snapshot http.HandlerFunc

	started atomic.Bool
	api     atomic.Pointer[http.Handler]
	kube    atomic.Pointer[kubernetes.Clientset]
	http    *http.Server
}

// New makes a supervisor that does not listen yet.
func New(n *cluster.Node, settings cluster.Settings, cert *Certificate) *Supervisor {
	return &Supervisor{node: n, settings: settings, cert: cert}
}

// Listen opens 6443; until Open everything is answered 503 `starting`.
func (s *Supervisor) Listen() error {
	listener, err := net.Listen("tcp", ":"+s.node.Config.Get("https-listen-port"))
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	text, err := os.ReadFile(s.node.TLS("client-ca.crt"))
	if err != nil {
		return err
	}
	clients.AppendCertsFromPEM(text)
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve),
		TLSConfig: &tls.Config{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.Current(), nil },
			ClientAuth:     tls.RequestClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		},
		ErrorLog: quiet(),
	}
	go func() {
		if err := s.http.ServeTLS(listener, "", ""); err != nil && !errors.Is(err, http.ErrServerClosed) {
			logrus.Fatalf("server stopped: %v", err)
		}
	}()
	return nil
}

// Close stops listening at once.
func (s *Supervisor) Close() {
	if s.http != nil {
		s.http.Close()
	}
}

// Open ends `starting`.
func (s *Supervisor) Open() { s.started.Store(true) }

// SetAPI gives the apiserver's handler: from now on everything but k3s's own paths is its.
func (s *Supervisor) SetAPI(handler http.Handler) { s.api.Store(&handler) }

// SetKube gives the cluster's client, which some of k3s's paths need.
func (s *Supervisor) SetKube(client *kubernetes.Clientset) { s.kube.Store(client) }

func (s *Supervisor) serve(w http.ResponseWriter, r *http.Request) {
	if !s.started.Load() {
		sendStatus(w, r, http.StatusServiceUnavailable, "starting")
		return
	}
	switch {
	case r.URL.Path == "/ping":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("pong"))
	case r.URL.Path == "/cacerts":
		text, err := os.ReadFile(s.node.TLS("server-ca.crt"))
		if err != nil {
			sendStatus(w, r, http.StatusInternalServerError, err.Error())
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(text)
	case strings.HasPrefix(r.URL.Path, "/v1-k3s/"):
		s.supervise(w, r, strings.TrimPrefix(r.URL.Path, "/v1-k3s/"))
	case strings.HasPrefix(r.URL.Path, "/db/"):
		if s.allow(w, r, "server") {
			if r.URL.Path == "/db/info" {
				sendJSON(w, s.Info(r.Context()))
			} else if r.URL.Path == "/db/snapshot" {
				s.Snapshot(w, r)
			} else {
				http.NotFound(w, r)
			}
		}
	default:
		if api := s.api.Load(); api != nil {
			(*api).ServeHTTP(w, r)
			return
		}
		sendStatus(w, r, http.StatusServiceUnavailable, "apiserver not ready")
	}
}

// supervise answers k3s's own paths.
func (s *Supervisor) supervise(w http.ResponseWriter, r *http.Request, path string) {
	switch path {
	case "server-bootstrap":
		if !s.allow(w, r, "server") {
			return
		}
		data, err := bootstrap.Read(s.node)
		if err != nil {
			sendStatus(w, r, http.StatusInternalServerError, err.Error())
			return
		}
		sendJSON(w, data)
		return
	case "config", "readyz", "apiservers", "client-ca.crt", "server-ca.crt", "client-kube-proxy.crt", "client-k3s-controller.crt", "client-kubelet.crt", "serving-kubelet.crt":
		if !s.allow(w, r, "node") {
			return
		}
	default:
		sendStatus(w, r, http.StatusNotFound, "not found")
		return
	}
	switch path {
	case "config":
		sendJSON(w, s.settings)
	case "readyz":
		if s.kube.Load() == nil {
			s.refuse(w, r, http.StatusServiceUnavailable, "runtime core not ready")
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok"))
	case "apiservers":
		client := s.kube.Load()
		if client == nil {
			s.refuse(w, r, http.StatusServiceUnavailable, "runtime core not ready")
			return
		}
		addresses, err := servers(r.Context(), client)
		if err != nil {
			s.refuse(w, r, http.StatusServiceUnavailable, err.Error())
			return
		}
		sendJSON(w, addresses)
	case "client-ca.crt", "server-ca.crt":
		text, err := os.ReadFile(s.node.TLS(path))
		if err != nil {
			sendStatus(w, r, http.StatusInternalServerError, err.Error())
			return
		}
		_, _ = w.Write(text)
	default:
		s.certificate(w, r, path)
	}
}

// servers are the apiservers' addresses.
func servers(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				addresses = append(addresses, net.JoinHostPort(address, "6443"))
			}
		}
	}
	return addresses, nil
}

// refuse answers with an error and logs it as k3s does.
func (s *Supervisor) refuse(w http.ResponseWriter, r *http.Request, code int, message string) {
	logrus.Errorf("Sending %s %d response to %s: %s", r.Proto, code, r.RemoteAddr, message)
	sendStatus(w, r, code, message)
}

// sendStatus answers with a Status object as k3s writes it: indented, and without apiVersion.
func sendStatus(w http.ResponseWriter, _ *http.Request, code int, message string) {
	reasons := map[int]metav1.StatusReason{
		http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusUnauthorized: metav1.StatusReasonUnauthorized, http.StatusNotFound: metav1.StatusReasonNotFound,
		http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable, http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusBadRequest: metav1.StatusReasonBadRequest,
	}
	status := apierrors.StatusError{ErrStatus: metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status"}, Status: metav1.StatusFailure, Message: message, Reason: reasons[code], Code: int32(code)}}
	text, _ := json.MarshalIndent(status.ErrStatus, "", "  ")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text)
}

func sendJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// WaitPort returns when something listens on a loopback port.
func WaitPort(ctx context.Context, port string) error {
	for {
		connection, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
