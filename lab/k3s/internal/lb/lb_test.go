package lb

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// greeter listens and says its name to whoever connects.
func greeter(t *testing.T, name string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(connection, name)
			connection.Close()
		}
	}()
	return listener
}

func TestAConnectionGoesToAServerThatAnswers(t *testing.T) {
	first, second := greeter(t, "first"), greeter(t, "second")
	defer second.Close()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(probe.Addr().String())
	probe.Close()
	file := filepath.Join(t.TempDir(), "lb.json")
	b, err := Start(context.Background(), port, first.Addr().String(), file)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() string {
		connection, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		var text strings.Builder
		_, _ = io.Copy(&text, connection)
		return text.String()
	}
	if got := ask(); got != "first" {
		t.Errorf("with one server %q answers", got)
	}
	b.Update([]string{first.Addr().String(), second.Addr().String()})
	first.Close()
	if got := ask(); got != "second" {
		t.Errorf("after the first server's end %q answers", got)
	}
}
