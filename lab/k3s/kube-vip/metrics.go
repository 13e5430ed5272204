package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Metrics are the few of kube-vip's that say something about a control plane's address, under kube-vip's names.
type Metrics struct {
	node        string
	mu          sync.Mutex
	leader      int
	transitions int
}

// Leading notes that this process won or lost the lease.
func (m *Metrics) Leading(leading bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := 0
	if leading {
		now = 1
	}
	if now != m.leader {
		m.leader = now
		m.transitions++
	}
}

// ServeHTTP answers in Prometheus's text format.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprintf(w, "# HELP kube_vip_is_leader 1 if this node currently holds the lease\n# TYPE kube_vip_is_leader gauge\nkube_vip_is_leader %d\n", m.leader)
	fmt.Fprintf(w, "# HELP kube_vip_leader_election_transitions_total Times this process won or lost the lease\n"+
		"# TYPE kube_vip_leader_election_transitions_total counter\nkube_vip_leader_election_transitions_total %d\n", m.transitions)
	fmt.Fprintf(w, "# HELP kube_vip_build_info Constant 1\n# TYPE kube_vip_build_info gauge\nkube_vip_build_info{node=%q,version=%q} 1\n", m.node, version)
}

// Serve answers GET /metrics on address until the process ends. A port that is taken is an error, told at once.
func (m *Metrics) Serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("prometheus_server is %q: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m)
	go (&http.Server{Handler: mux, ReadHeaderTimeout: 3 * time.Second}).Serve(listener)
	return nil
}
