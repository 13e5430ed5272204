// The kube-vip stand-in of the Heartwood lab: where the real image can't be had, this does what kube-vip does for a control plane's
// address in ARP mode, and no more. README.md lists each behaviour and where it was learnt.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// version says at once that this isn't kube-vip, and which kube-vip it follows.
const version = "v1.2.3 stand-in"

const banner = "kube-vip stand-in (Heartwood lab; not kube-vip), after kube-vip v1.2.3"

const usage = banner + `

Usage: kube-vip manager     hold the address in the environment variable "address" while this node has the lease
       kube-vip version     (or --version) say what this is

It reads kube-vip's environment: address, vip_arp, vip_interface, vip_subnet, vip_nodename, vip_arpRate, port, cp_enable, cp_namespace,
vip_leaderelection, vip_leasename, vip_leaseduration, vip_renewdeadline, vip_retryperiod, prometheus_server, k8s_config_file.
`

func main() {
	command := ""
	if len(os.Args) == 2 {
		command = os.Args[1]
	}
	switch command {
	case "manager":
		slog.Info(banner)
		if err := manage(); err != nil {
			slog.Error(err.Error())
			os.Exit(1)
		}
		slog.Info("Shutting down Kube-Vip")
	case "version", "--version":
		fmt.Println(banner)
	case "help", "--help", "-h":
		fmt.Print(usage)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}

// manage returns when it was told to stop, or when it lost the lease: kube-vip then ends too, with exit status 0, and leaves it to the
// kubelet to start it afresh.
func manage() error {
	config, err := ReadConfig(os.LookupEnv)
	if err != nil {
		return err
	}
	slog.Info("using node name", "name", config.NodeName)
	metrics := &Metrics{node: config.NodeName}
	if config.Metrics != "" {
		if err := metrics.Serve(config.Metrics); err != nil {
			slog.Error("no metrics", "err", err) // an address matters more than its figures
		}
	}
	leases, host, err := newLeases(config.Kubeconfig)
	if err != nil {
		return err
	}
	vip, err := NewVIP(config)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	go vip.Broadcast(config.BroadcastEvery, ctx.Done())

	slog.Info("cluster membership", "namespace", config.Namespace, "lock", config.LeaseName, "id", config.NodeName, "api", host,
		"vip", config.Address, "port", config.Port, "lease", config.LeaseDuration, "renew", config.RenewDeadline, "retry", config.RetryPeriod)
	if err := Elect(ctx, config, leases, vip, metrics); err != nil {
		return err
	}
	if ctx.Err() == nil {
		slog.Error("lost leadership, restarting kube-vip")
	}
	return nil
}
