package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/sirupsen/logrus"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	kcmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	schedulerapp "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"lab/k3s/internal/cluster"
)

// ControllerManagerArgs are kube-controller-manager's arguments.
func ControllerManagerArgs(n *cluster.Node, settings cluster.Settings) []string {
	kubeconfig := n.Server("cred/controller.kubeconfig")
	args := Args{
		"allocate-node-cidrs": "true", "authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig,
		"bind-address": "127.0.0.1", "cluster-cidr": settings.ClusterIPRange.String(), "configure-cloud-routes": "false",
		"controllers": "*,tokencleaner,-service-lb-controller,-cloud-node-lifecycle-controller", "kubeconfig": kubeconfig, "profiling": "false",
		"root-ca-file": n.TLS("server-ca.crt"), "secure-port": "10257", "service-account-private-key-file": n.TLS("service.current.key"),
		"service-cluster-ip-range":                  settings.ServiceIPRange.String(),
		"tls-cert-file":                             n.TLS("kube-controller-manager/kube-controller-manager.crt"),
		"tls-private-key-file":                      n.TLS("kube-controller-manager/kube-controller-manager.key"),
		"use-service-account-credentials":           "true",
		"terminated-pod-gc-threshold":               "1000",
		"cluster-signing-kubelet-serving-cert-file": n.TLS("server-ca.nochain.crt"), "cluster-signing-kubelet-serving-key-file": n.TLS("server-ca.key"),
		"cluster-signing-kubelet-client-cert-file": n.TLS("client-ca.nochain.crt"), "cluster-signing-kubelet-client-key-file": n.TLS("client-ca.key"),
		"cluster-signing-kube-apiserver-client-cert-file": n.TLS("client-ca.nochain.crt"), "cluster-signing-kube-apiserver-client-key-file": n.TLS("client-ca.key"),
		"cluster-signing-legacy-unknown-cert-file": n.TLS("server-ca.nochain.crt"), "cluster-signing-legacy-unknown-key-file": n.TLS("server-ca.key"),
	}
	words := args.With(n.Config.List("kube-controller-manager-arg")).Words()
	logrus.Infof("Running kube-controller-manager %s", strings.Join(words, " "))
	return words
}

// ControllerManager runs kube-controller-manager. Losing its lease ends the process with code 1, as it does in k3s.
func ControllerManager(words []string) error {
	ctx := context.Background() // it exits the process when its context ends
	o, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	sets := o.Flags(kcmapp.KnownControllers(), kcmapp.ControllersDisabledByDefault(), kcmapp.ControllerAliases())
	o.ParsedFlags = &sets
	if err := parse("kube-controller-manager", sets, words); err != nil {
		return err
	}
	if err := o.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(o.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	config, err := o.Config(ctx, kcmapp.KnownControllers(), kcmapp.ControllersDisabledByDefault(), kcmapp.ControllerAliases())
	if err != nil {
		return fmt.Errorf("kube-controller-manager: %w", err)
	}
	return kcmapp.Run(ctx, config.Complete())
}

// SchedulerArgs are kube-scheduler's arguments.
func SchedulerArgs(n *cluster.Node) []string {
	kubeconfig := n.Server("cred/scheduler.kubeconfig")
	args := Args{
		"authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig, "bind-address": "127.0.0.1", "kubeconfig": kubeconfig,
		"profiling": "false", "secure-port": "10259", "tls-cert-file": n.TLS("kube-scheduler/kube-scheduler.crt"), "tls-private-key-file": n.TLS("kube-scheduler/kube-scheduler.key"),
	}
	words := args.With(n.Config.List("kube-scheduler-arg")).Words()
	logrus.Infof("Running kube-scheduler %s", strings.Join(words, " "))
	return words
}

// Scheduler runs kube-scheduler.
func Scheduler(words []string) error {
	ctx := context.Background()
	o := scheduleroptions.NewOptions()
	if err := parse("kube-scheduler", *o.Flags, words); err != nil {
		return err
	}
	if err := o.ComponentGlobalsRegistry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(o.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return err
	}
	config, scheduler, err := schedulerapp.Setup(ctx, o)
	if err != nil {
		return fmt.Errorf("kube-scheduler: %w", err)
	}
	return schedulerapp.Run(ctx, config, scheduler)
}
