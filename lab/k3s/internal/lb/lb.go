// Package lb is the agent's load balancer: 127.0.0.1:6444 to whichever server answers, so that an agent outlives the
// server it joined by.
package lb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"lab/k3s/internal/pki"
)

// Balancer passes connections on.
type Balancer struct {
	file    string
	first   string
	mu      sync.Mutex
	servers []string
	open    map[net.Conn]string
}

// kept is the list on disk, which a restart goes by.
type kept struct {
	ServerURL       string   `json:"ServerURL"`
	ServerAddresses []string `json:"ServerAddresses"`
}

// Start listens on a loopback port; first is the server given by the user (host:port), always tried last.
func Start(ctx context.Context, port, first, file string) (*Balancer, error) {
	b := &Balancer{file: file, first: first, open: map[net.Conn]string{}}
	var old kept
	if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &old) == nil && old.ServerURL == "https://"+first {
		b.servers = old.ServerAddresses
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	logrus.Infof("Running load balancer k3s-agent-load-balancer 127.0.0.1:%s -> %v [default: %s]", port, b.servers, first)
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go b.pass(connection)
		}
	}()
	return b, nil
}

// Update takes the servers' present addresses; connections to servers that are gone are closed.
func (b *Balancer) Update(servers []string) {
	if len(servers) == 0 {
		return
	}
	slices.Sort(servers)
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.Equal(servers, b.servers) {
		return
	}
	logrus.Infof("Updated load balancer k3s-agent-load-balancer server addresses -> %v [default: %s]", servers, b.first)
	b.servers = servers
	for connection, server := range b.open {
		if server != b.first && !slices.Contains(servers, server) {
			connection.Close()
		}
	}
	text, err := json.MarshalIndent(kept{ServerURL: "https://" + b.first, ServerAddresses: servers}, "", "  ")
	if err == nil {
		err = pki.Write(b.file, text, 0o600)
	}
	if err != nil {
		logrus.Warnf("Failed to save load balancer state: %v", err)
	}
}

// dial tries each server in turn.
func (b *Balancer) dial() (net.Conn, string, error) {
	b.mu.Lock()
	servers := append(slices.Clone(b.servers), b.first)
	b.mu.Unlock()
	var last error
	for _, server := range servers {
		connection, err := net.DialTimeout("tcp", server, 3*time.Second)
		if err == nil {
			return connection, server, nil
		}
		last = err
	}
	return nil, "", fmt.Errorf("all servers failed: %w", last)
}

// pass carries one connection. A server that answers first goes first from then on.
func (b *Balancer) pass(client net.Conn) {
	defer client.Close()
	server, name, err := b.dial()
	if err != nil {
		logrus.Debugf("load balancer: %v", err)
		return
	}
	defer server.Close()
	b.mu.Lock()
	if i := slices.Index(b.servers, name); i > 0 {
		b.servers = append([]string{name}, slices.Delete(slices.Clone(b.servers), i, i+1)...)
	}
	b.open[server] = name
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.open, server)
		b.mu.Unlock()
	}()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			done <- struct{}{}
		}()
	}
	<-done
}
