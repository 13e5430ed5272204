// Package notify speaks to systemd.
package notify

import (
	"net"
	"os"
)

// socket is taken from the environment once, so that children do not inherit it.
var socket = take()

func take() string {
	path := os.Getenv("NOTIFY_SOCKET")
	os.Unsetenv("NOTIFY_SOCKET")
	return path
}

// Send tells systemd a state such as READY=1; without systemd it does nothing.
func Send(state string) {
	if socket == "" {
		return
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer connection.Close()
	_, _ = connection.Write([]byte(state))
}
