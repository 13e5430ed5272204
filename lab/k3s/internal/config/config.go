package config

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is what one k3s was told, every source merged.
type Config struct {
	// Command is "server", "agent" or "etcd-snapshot".
	Command string
	// Args are the words after the flags (a snapshot's subcommand arguments).
	Args []string
	// Warnings are what k3s says about the sources before it starts.
	Warnings []string
	values   map[string][]string
	words    []string
	env      []string
}

// Load merges, in k3s's order of strength: flags, then config.yaml with its .d directory, then K3S_* variables, then
// defaults. (k3s turns the files into flags that stand before the given ones, which is why a file beats a variable, and
// why a list flag adds to a file's list.) An unknown flag is an error in k3s's words; an unknown key in a server's
// file only warns, since k3s strips it; an agent's is refused.
func Load(command string, args []string, environ []string) (*Config, error) {
	env := map[string]string{}
	for _, pair := range environ {
		key, value, _ := strings.Cut(pair, "=")
		env[key] = value
	}
	flags := known(command)
	c := &Config{Command: command, values: map[string][]string{}}
	for _, pair := range environ {
		if strings.HasPrefix(pair, "K3S_") {
			c.env = append(c.env, pair)
		}
	}
	sort.Strings(c.env)

	file, explicit := configFile(args, env)
	fromFile, err := readFiles(file, explicit)
	if err != nil {
		return nil, err
	}
	if command != "agent" {
		var kept []string
		for _, word := range fromFile {
			name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if flags[name] == nil {
				shown, _, _ := strings.Cut(word, "=")
				if command == "etcd-snapshot" && len(c.Warnings) > 0 {
					continue // only the first was seen to be said (k3s-captures/10-snapshots.txt)
				}
				c.Warnings = append(c.Warnings, fmt.Sprintf("Unknown flag %s found in config.yaml, skipping\n", shown))
				continue
			}
			kept = append(kept, word)
		}
		fromFile = kept
	}
	c.words = append(slices.Clone(fromFile), args...)
	if err := c.parse(flags, c.words); err != nil {
		return nil, err
	}
	for _, flag := range flags {
		if _, set := c.values[flag.Name]; set {
			continue
		}
		if value := env[flag.Env]; flag.Env != "" && value != "" {
			if flag.Kind == List {
				c.values[flag.Name] = strings.Split(value, ",")
			} else {
				c.values[flag.Name] = []string{value}
			}
		}
	}
	return c, nil
}

// parse reads words as flags into values.
func (c *Config) parse(flags map[string]*Flag, words []string) error {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") || word == "-" {
			c.Args = append(c.Args, word)
			continue
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		flag := flags[name]
		if flag == nil {
			return fmt.Errorf("flag provided but not defined: -%s", name)
		}
		if flag.Kind == Bool {
			if !hasValue {
				value = "true"
			}
			switch value {
			case "true", "false", "1", "0", "t", "f":
				value = map[bool]string{true: "true", false: "false"}[value == "true" || value == "1" || value == "t"]
			default:
				return fmt.Errorf("invalid boolean value %q for -%s: parse error", value, name)
			}
		} else if !hasValue {
			if i+1 >= len(words) {
				return fmt.Errorf("flag needs an argument: -%s", name)
			}
			i++
			value = words[i]
		}
		if flag.Kind == List {
			c.values[flag.Name] = append(c.values[flag.Name], strings.Split(value, ",")...)
		} else {
			c.values[flag.Name] = []string{value}
		}
	}
	return nil
}

// Get is a flag's value, or its default.
func (c *Config) Get(name string) string {
	if values := c.values[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	if flag := known(c.Command)[name]; flag != nil {
		return flag.Default
	}
	return ""
}

// On says whether a boolean flag is true.
func (c *Config) On(name string) bool { return c.Get(name) == "true" }

// List is a list flag's values.
func (c *Config) List(name string) []string { return c.values[name] }

// Unsupported names the flags that were set, are real, and that the stand-in does not carry out.
func (c *Config) Unsupported() []string {
	var names []string
	for name, flag := range known(c.Command) {
		if name == flag.Name && flag.Unsupported && len(c.values[name]) > 0 && c.Get(name) != "false" && c.Get(name) != "" {
			names = append(names, "--"+name)
		}
	}
	sort.Strings(names)
	return names
}

// NodeArgs is the k3s.io/node-args annotation: the command line with the file's values in it, secrets masked.
func (c *Config) NodeArgs() string {
	out := []string{c.Command}
	for _, word := range c.words {
		name, value, has := strings.Cut(word, "=")
		if strings.HasPrefix(word, "--") && has {
			out = append(out, name, value)
		} else {
			out = append(out, word)
		}
	}
	flags := known(c.Command)
	for i := range out[:len(out)-1] {
		if flag := flags[strings.TrimLeft(out[i], "-")]; strings.HasPrefix(out[i], "-") && flag != nil && flag.Secret {
			out[i+1] = "********"
		}
	}
	text, _ := json.Marshal(out)
	return string(text)
}

// NodeEnv is the k3s.io/node-env annotation: the K3S_* variables, secrets masked.
func (c *Config) NodeEnv() string {
	out := map[string]string{}
	for _, pair := range c.env {
		key, value, _ := strings.Cut(pair, "=")
		if strings.Contains(key, "TOKEN") || strings.Contains(key, "DATASTORE_ENDPOINT") || strings.Contains(key, "VPN_AUTH") {
			value = "********"
		}
		if key == "K3S_DATA_DIR" || key == "K3S_RESOLVED" {
			continue
		}
		out[key] = value
	}
	text, _ := json.Marshal(out)
	return string(text)
}

// NodeHash is the k3s.io/node-config-hash annotation: it changes whenever the arguments or variables do.
func (c *Config) NodeHash() string {
	sum := sha256.Sum256([]byte(strings.Join(c.words, "\x00") + "\x01" + strings.Join(c.env, "\x00")))
	return base32.StdEncoding.EncodeToString(sum[:])
}

// configFile finds the config file's path: --config, then K3S_CONFIG_FILE, then the default, which may be missing.
func configFile(args []string, env map[string]string) (path string, explicit bool) {
	for i, arg := range args {
		name, value, has := strings.Cut(arg, "=")
		if name != "--config" && name != "-c" {
			continue
		}
		if has {
			return value, true
		}
		if i+1 < len(args) {
			return args[i+1], true
		}
	}
	if value := env["K3S_CONFIG_FILE"]; value != "" {
		return value, true
	}
	return "/etc/rancher/k3s/config.yaml", false
}

// readFiles turns config.yaml and config.yaml.d/*.yaml (by name) into flags. A later file's key replaces an earlier
// one's; `key+:` adds to it.
func readFiles(path string, explicit bool) ([]string, error) {
	files := []string{}
	if _, err := os.Stat(path); err == nil {
		files = append(files, path)
	} else if explicit {
		return nil, err
	}
	for _, pattern := range []string{"/*.yaml", "/*.yml"} {
		more, _ := filepath.Glob(path + ".d" + pattern)
		files = append(files, more...)
	}
	if len(files) > 1 {
		sort.Strings(files[1:])
		if files[0] != path {
			sort.Strings(files)
		}
	}
	var order []string
	values := map[string][]string{}
	lists := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var document yaml.Node
		if err := yaml.Unmarshal(text, &document); err != nil {
			return nil, fmt.Errorf("failed to parse config file %s: %w", file, err)
		}
		if len(document.Content) == 0 {
			continue
		}
		mapping := document.Content[0]
		if mapping.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("failed to parse config file %s: line %d: a mapping is wanted", file, mapping.Line)
		}
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			key, appends := strings.CutSuffix(mapping.Content[i].Value, "+")
			node := mapping.Content[i+1]
			var found []string
			if node.Kind == yaml.SequenceNode {
				lists[key] = true
				for _, item := range node.Content {
					found = append(found, item.Value)
				}
			} else if node.Tag != "!!null" {
				found = []string{node.Value}
			}
			if _, seen := values[key]; !seen {
				order = append(order, key)
			}
			if appends {
				lists[key] = true
				values[key] = append(values[key], found...)
			} else {
				values[key] = found
			}
		}
	}
	var words []string
	for _, key := range order {
		prefix := "--"
		if len(key) == 1 {
			prefix = "-"
		}
		for _, value := range values[key] {
			words = append(words, prefix+key+"="+value)
		}
	}
	return words, nil
}
