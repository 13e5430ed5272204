// The k3s stand-in itself: what the self-unpacking `k3s` starts after it has unpacked.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"

	"lab/k3s/internal/agent"
	"lab/k3s/internal/cluster"
	"lab/k3s/internal/config"
)

func main() {
	logrus.SetFormatter(&logrus.TextFormatter{})
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	if name == "kubectl" {
		kubectl(args)
		return
	}
	if len(args) == 0 {
		fail(errors.New("a command is wanted: server, agent, kubectl, etcd-snapshot"))
	}
	command, rest := args[0], args[1:]
	switch command {
	case "kubectl":
		kubectl(rest)
	case "server", "agent":
		daemon(command, rest)
	case "etcd-snapshot":
		if err := snapshotCommand(rest, os.Environ(), os.Stdout); err != nil {
			fail(err)
		}
	default:
		fail(fmt.Errorf("No help topic for '%s'", command))
	}
}

// daemon runs a server or an agent until it is told to stop (exit 0) or fails (exit 1). A failed etcd join counts as
// being told to stop, as it does in k3s.
func daemon(command string, args []string) {
	c, err := config.Load(command, args, os.Environ())
	if err != nil {
		fmt.Fprintf(os.Stderr, "Incorrect Usage: %v\n\n", err)
		fail(err)
	}
	for _, warning := range c.Warnings {
		logrus.Warn(warning)
	}
	node, err := cluster.NewNode(c)
	if err != nil {
		fail(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		cancel()
		// what does not stop by itself is left behind
		time.Sleep(10 * time.Second)
		os.Exit(0)
	}()
	if command == "agent" {
		err = agent.Run(ctx, node)
	} else {
		err = runServer(ctx, node)
	}
	if err != nil && ctx.Err() == nil {
		fail(err)
	}
	os.Exit(0)
}

// fail says the last word as k3s does.
func fail(err error) {
	logrus.Fatalf("Error: %v", err)
}
