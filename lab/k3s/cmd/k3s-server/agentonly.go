//go:build agentonly

package main

import (
	"context"
	"errors"
	"io"

	"lab/k3s/internal/cluster"
)

var errAgentOnly = errors.New("this build of the k3s stand-in is for agents only: it has no server, kubectl or etcd-snapshot")

func runServer(context.Context, *cluster.Node) error { return errAgentOnly }

func kubectl([]string) { fail(errAgentOnly) }

func snapshotCommand([]string, []string, io.Writer) error { return errAgentOnly }
