//go:build !agentonly

package main

import (
	"context"
	"errors"
	"io"
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"

	"lab/k3s/internal/agent"
	"lab/k3s/internal/cluster"
	"lab/k3s/internal/server"
	"lab/k3s/internal/snapshot"
)

// runServer runs a server with an agent beside it.
func runServer(ctx context.Context, node *cluster.Node) error {
	err := server.Run(ctx, node, func(ctx context.Context, apiReady <-chan struct{}) error {
		return agent.RunWithServer(ctx, node, apiReady)
	})
	if errors.As(err, &server.Shutdown{}) {
		os.Exit(0)
	}
	return err
}

// kubectl is kubectl, with this host's kubeconfig where none is named.
func kubectl(args []string) {
	if os.Getenv("KUBECONFIG") == "" {
		if _, err := os.Stat("/etc/rancher/k3s/k3s.yaml"); err == nil {
			os.Setenv("KUBECONFIG", "/etc/rancher/k3s/k3s.yaml")
		}
	}
	os.Args = append([]string{"kubectl"}, args...)
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
}

func snapshotCommand(args, environ []string, out io.Writer) error {
	return snapshot.Command(args, environ, out)
}
