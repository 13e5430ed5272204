// The flannel CNI plugin, which k3s bundles: it reads the node's pod network from /run/flannel/subnet.env and lets the
// bridge plugin do the work. (The upstream module is not to be had everywhere, and this much of it is all that is used.)
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// state is where the configuration of each container's delegate is kept, for its removal.
const state = "/var/lib/cni/flannel"

func main() {
	if err := run(); err != nil {
		text, _ := json.Marshal(map[string]any{"cniVersion": "1.0.0", "code": 100, "msg": err.Error()})
		fmt.Println(string(text))
		os.Exit(1)
	}
}

func run() error {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	if os.Getenv("CNI_COMMAND") == "VERSION" {
		fmt.Println(`{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}`)
		return nil
	}
	file := filepath.Join(state, filepath.Base(os.Getenv("CNI_CONTAINERID")))
	text, err := os.ReadFile(file)
	if err != nil {
		if os.Getenv("CNI_COMMAND") == "DEL" {
			return nil
		}
		if text, err = delegate(input); err != nil {
			return err
		}
		if err := os.MkdirAll(state, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
	}
	var plugin string
	for _, dir := range filepath.SplitList(os.Getenv("CNI_PATH")) {
		if path := filepath.Join(dir, "bridge"); plugin == "" && exists(path) {
			plugin = path
		}
	}
	if plugin == "" {
		return fmt.Errorf("failed to find plugin \"bridge\" in path %s", os.Getenv("CNI_PATH"))
	}
	command := exec.Command(plugin)
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(text), os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		if _, exited := err.(*exec.ExitError); exited {
			os.Exit(1) // the delegate has printed its error
		}
		return err
	}
	if os.Getenv("CNI_COMMAND") == "DEL" {
		return os.Remove(file)
	}
	return nil
}

// delegate makes the bridge plugin's configuration.
func delegate(input []byte) ([]byte, error) {
	var config struct {
		Name       string         `json:"name"`
		CNIVersion string         `json:"cniVersion"`
		SubnetFile string         `json:"subnetFile"`
		Delegate   map[string]any `json:"delegate"`
	}
	if err := json.Unmarshal(input, &config); err != nil {
		return nil, err
	}
	if config.SubnetFile == "" {
		config.SubnetFile = "/run/flannel/subnet.env"
	}
	subnet, err := readEnv(config.SubnetFile)
	if err != nil {
		return nil, fmt.Errorf("loadFlannelSubnetEnv failed: %w", err)
	}
	mtu, err := strconv.Atoi(subnet["FLANNEL_MTU"])
	if err != nil {
		return nil, err
	}
	bridge := map[string]any{}
	for key, value := range config.Delegate {
		bridge[key] = value
	}
	for key, value := range map[string]any{
		"name": config.Name, "cniVersion": config.CNIVersion, "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "mtu": mtu,
		"ipam": map[string]any{
			"type": "host-local", "ranges": []any{[]any{map[string]string{"subnet": subnet["FLANNEL_SUBNET"]}}},
			"routes": []any{map[string]string{"dst": subnet["FLANNEL_NETWORK"]}},
		},
	} {
		bridge[key] = value
	}
	// host-local wants the network, subnet.env has the gateway's address in it
	ip, bits, _ := strings.Cut(subnet["FLANNEL_SUBNET"], "/")
	octets := strings.Split(ip, ".")
	octets[len(octets)-1] = "0"
	bridge["ipam"].(map[string]any)["ranges"] = []any{[]any{map[string]string{"subnet": strings.Join(octets, ".") + "/" + bits}}}
	return json.Marshal(bridge)
}

func readEnv(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	values := map[string]string{}
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if key, value, found := strings.Cut(scanner.Text(), "="); found {
			values[key] = value
		}
	}
	return values, scanner.Err()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
