package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	api "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
)

// leaseServer is as much of an API server as an election needs: one lease, refusing writes based on an old version.
type leaseServer struct {
	mu      sync.Mutex
	version int
	lease   *api.Lease
}

func (s *leaseServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refuse := func(code int, reason metav1.StatusReason) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: reason, Code: int32(code)})
	}
	if r.Method != http.MethodGet {
		var given api.Lease
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
			refuse(http.StatusBadRequest, metav1.StatusReasonBadRequest)
			return
		}
		if (s.lease != nil) != (r.Method == http.MethodPut) || (s.lease != nil && given.ResourceVersion != s.lease.ResourceVersion) {
			refuse(http.StatusConflict, metav1.StatusReasonConflict)
			return
		}
		s.version++
		given.ResourceVersion = strconv.Itoa(s.version)
		s.lease = &given
	}
	if s.lease == nil {
		refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
		return
	}
	answer := *s.lease
	answer.TypeMeta = metav1.TypeMeta{Kind: "Lease", APIVersion: "coordination.k8s.io/v1"}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *leaseServer) holder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil || s.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *s.lease.Spec.HolderIdentity
}

// rest returns between a renewal, which follows the winning at once, and the next. A lease that is given up while it is renewed may
// stay as it was: client-go gives up the version it has read, and the renewal on its way makes another.
func (s *leaseServer) rest(t *testing.T) {
	t.Helper()
	renewed := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.version >= 2
	}
	for start := time.Now(); !renewed(); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			t.Fatal("the lease is not renewed within 30 s")
		}
	}
	time.Sleep(time.Second)
}

// candidate runs Elect with an address that only tells when it is taken and given up.
type candidate struct {
	taken chan struct{}
	ended chan struct{}
	stop  context.CancelFunc
	mu    sync.Mutex
	held  bool
}

func (c *candidate) Take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
	close(c.taken)
	return nil
}

func (c *candidate) GiveUp() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	return nil
}

func (c *candidate) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// seldom leaves seconds between one renewal and the next.
var seldom = Config{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 5 * time.Second}

// often steps down soon after the API server is gone.
var often = Config{LeaseDuration: 4 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: 200 * time.Millisecond}

func stand(t *testing.T, name, url string, config Config) *candidate {
	leases, err := coordination.NewForConfig(&rest.Config{Host: url, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &candidate{taken: make(chan struct{}), ended: make(chan struct{}), stop: stop}
	config.NodeName, config.Namespace, config.LeaseName = name, "kube-system", "plndr-cp-lock"
	go func() {
		defer close(c.ended)
		if err := Elect(ctx, config, leases, c, &Metrics{}); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-c.ended })
	return c
}

func wait(t *testing.T, what string, happens <-chan struct{}) {
	t.Helper()
	select {
	case <-happens:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not within 30 s", what)
	}
}

func TestAStoppedLeaderEmptiesTheLeaseAndTheNextTakesTheAddress(t *testing.T) {
	leases := &leaseServer{}
	server := httptest.NewServer(leases)
	defer server.Close()
	one := stand(t, "node-1", server.URL, seldom)
	wait(t, "node-1 takes the address", one.taken)
	leases.rest(t)
	one.stop()
	wait(t, "node-1 ends", one.ended)
	if one.holds() {
		t.Error("it ended holding the address")
	}
	if holder := leases.holder(); holder != "" {
		t.Errorf("the lease still names %q", holder)
	}
	two := stand(t, "node-2", server.URL, seldom)
	wait(t, "node-2 takes the address", two.taken)
	two.stop()
	wait(t, "node-2 ends", two.ended)
}

func TestALeaderWhoseAPIServerIsGoneGivesTheAddressUpAndEnds(t *testing.T) {
	leases := &leaseServer{}
	server := httptest.NewServer(leases)
	one := stand(t, "node-1", server.URL, often)
	wait(t, "node-1 takes the address", one.taken)
	server.CloseClientConnections()
	server.Close()
	wait(t, "node-1 ends", one.ended)
	if one.holds() {
		t.Error("it ended holding the address")
	}
	if holder := leases.holder(); holder != "node-1" {
		t.Errorf("the lease names %q: nobody could have written to it", holder)
	}
}
