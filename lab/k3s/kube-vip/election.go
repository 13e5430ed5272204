package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordination "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// requestTimeout and the rates are the ones kube-vip gives its client; how long a hanging API server is waited for depends on them.
const requestTimeout = 10 * time.Second

// newLeases makes the client for the API server that this process follows: the kubeconfig's if there is one, else the pod's service
// account and KUBERNETES_SERVICE_HOST and _PORT, which a manifest may point at the host's own API server.
func newLeases(kubeconfig string) (coordination.LeasesGetter, string, error) {
	var config *rest.Config
	var err error
	if _, missing := os.Stat(kubeconfig); kubeconfig != "" && missing == nil {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	} else {
		config, err = rest.InClusterConfig()
	}
	if err != nil {
		return nil, "", fmt.Errorf("no Kubernetes API to follow (k8s_config_file %q): %w", kubeconfig, err)
	}
	config.Timeout, config.QPS, config.Burst = requestTimeout, 100, 250
	client, err := coordination.NewForConfig(config)
	return client, config.Host, err
}

// Address is what the leader holds: a VIP.
type Address interface {
	Take() error
	GiveUp() error
}

// Elect takes part in the election until ctx ends or the lease, once won, is lost; then the address is off the interface and it returns.
// client-go's elector decides all of it: a holder whose API server stops answering tries for RenewDeadline and then steps down; a stopped
// one empties the lease, so that the next need not wait for it to run out.
func Elect(ctx context.Context, c Config, leases coordination.LeasesGetter, vip Address, seen *Metrics) error {
	giveUp := func() {
		if err := vip.GiveUp(); err != nil {
			slog.Error("giving up the address", "err", err)
		}
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: c.LeaseName, Namespace: c.Namespace},
			Client:     leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: c.NodeName},
		},
		ReleaseOnCancel: true,
		LeaseDuration:   c.LeaseDuration,
		RenewDeadline:   c.RenewDeadline,
		RetryPeriod:     c.RetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				seen.Leading(true)
				if err := vip.Take(); err != nil {
					slog.Error("taking the address", "err", err)
				}
				// A stop takes the address away here, at once: emptying the lease can take as long as the API server likes.
				<-leading.Done()
				giveUp()
			},
			OnStoppedLeading: func() {
				slog.Info("This node is becoming a follower within the cluster")
				seen.Leading(false)
				giveUp()
			},
			OnNewLeader: func(identity string) { slog.Info("New leader", "leader", identity) },
		},
	})
	if err != nil {
		return fmt.Errorf("vip_leaseduration %v, vip_renewdeadline %v, vip_retryperiod %v: %w", c.LeaseDuration, c.RenewDeadline, c.RetryPeriod, err)
	}
	elector.Run(ctx)
	return nil
}
