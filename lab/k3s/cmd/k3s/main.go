// k3s is the one file that hosts get: it unpacks the programs it carries, as the real one does, and becomes one of them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sirupsen/logrus"

	"lab/k3s/internal/config"
	"lab/k3s/internal/payload"
	"lab/k3s/internal/version"
)

const usage = `NAME:
   k3s - Kubernetes, but small and simple (a stand-in for tests)

USAGE:
   k3s [global options] command [command options]

COMMANDS:
   server         Run management server
   agent          Run node agent
   kubectl        Run kubectl
   etcd-snapshot  Manage etcd snapshots
   help, h        Shows a list of commands or help for one command

GLOBAL OPTIONS:
   --help, -h     show help
   --version, -v  print the version
`

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args[1:]
	command := name
	if name != "kubectl" && name != "crictl" && name != "ctr" {
		if len(args) == 0 {
			fmt.Print(usage)
			return
		}
		command = args[0]
	}
	switch command {
	case "--version", "-v":
		fmt.Print(version.Text())
	case "--help", "-h", "help", "h":
		fmt.Print(usage)
	case "server", "agent", "etcd-snapshot", "kubectl":
		if err := become(command, args); err != nil {
			logrus.Fatalf("Error: %v", err)
		}
	case "crictl", "ctr", "check-config", "token", "secrets-encrypt", "certificate", "completion":
		logrus.Fatalf("Error: `k3s %s` is not part of the k3s stand-in", command)
	default:
		fmt.Printf("No help topic for '%s'\n", command)
		os.Exit(3)
	}
}

// become unpacks where needed and replaces this process by the program for the command.
func become(command string, args []string) error {
	data := dataDir(command, args)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	packed, err := payload.Open(self)
	if err != nil {
		return err
	}
	dir := filepath.Join(data, "data", packed.Hash)
	program := filepath.Join(dir, "bin", "k3s-server")
	if _, err := os.Stat(program); err != nil {
		if err := unpack(packed, filepath.Join(data, "data"), dir); err != nil {
			return err
		}
	}
	path := filepath.Join(dir, "bin")
	if err := os.Setenv("PATH", path+":"+os.Getenv("PATH")+":"+filepath.Join(path, "aux")); err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, os.Environ())
}

// unpack unpacks under a lock, and leads data/current and data/cni to what was unpacked.
func unpack(packed *payload.Payload, data, dir string) error {
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	lockPath := filepath.Join(data, ".lock")
	logrus.Infof("Acquiring lock file %s", lockPath)
	lock, err := os.OpenFile(lockPath, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil // another process was faster
	}
	logrus.Infof("Preparing data dir %s", dir)
	temporary := dir + "-tmp"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	if err := packed.Unpack(temporary); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(temporary, "etc"), 0o755); err != nil {
		return err
	}
	if err := os.Rename(temporary, dir); err != nil {
		return err
	}
	links := map[string]string{filepath.Join(data, "current"): dir}
	for _, plugin := range []string{"bridge", "flannel", "host-local", "loopback", "portmap"} {
		links[filepath.Join(data, "cni", plugin)] = filepath.Join(dir, "bin", plugin)
	}
	if err := os.MkdirAll(filepath.Join(data, "cni"), 0o755); err != nil {
		return err
	}
	for link, target := range links {
		if err := os.Remove(link); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}

// dataDir is where k3s keeps its data; what it was told wrongly is said later, by the program itself.
func dataDir(command string, args []string) string {
	data := "/var/lib/rancher/k3s"
	if command == "kubectl" {
		if given := os.Getenv("K3S_DATA_DIR"); given != "" {
			data = given
		}
		return data
	}
	rest := args
	if len(args) > 0 && args[0] == command {
		rest = args[1:]
	}
	if c, err := config.Load(command, rest, os.Environ()); err == nil && strings.HasPrefix(c.Get("data-dir"), "/") {
		data = c.Get("data-dir")
	}
	return data
}
