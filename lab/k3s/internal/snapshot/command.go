package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/sirupsen/logrus"
	"sigs.k8s.io/yaml"

	"lab/k3s/internal/config"
	"lab/k3s/internal/token"
)

// Command is `k3s etcd-snapshot ...`: it asks the server on this host and prints to out; what it says goes to stderr.
func Command(args []string, environ []string, out io.Writer) error {
	c, err := config.Load("etcd-snapshot", args, environ)
	if err != nil {
		return err
	}
	for _, warning := range c.Warnings {
		logrus.Warn(warning)
	}
	if names := c.Unsupported(); len(names) > 0 {
		return fmt.Errorf("the k3s stand-in does not carry out %v", names)
	}
	operation := "save"
	if len(c.Args) > 0 {
		operation = c.Args[0]
		c.Args = c.Args[1:]
	}
	retention, err := strconv.Atoi(c.Get("snapshot-retention"))
	if err != nil {
		return fmt.Errorf("invalid snapshot-retention %s", c.Get("snapshot-retention"))
	}
	request := Request{Operation: operation, Name: []string{c.Get("name")}, Retention: &retention}
	switch operation {
	case "save", "prune":
	case "ls", "list", "l":
		request.Operation = "list"
	case "delete":
		if len(c.Args) == 0 {
			return errors.New("no snapshots given for removal")
		}
		request.Name = c.Args
	default:
		return fmt.Errorf("no help topic for '%s'", operation)
	}
	secret := c.Get("etcd-token")
	if secret == "" {
		secret = token.ReadFile(filepath.Join(c.Get("data-dir"), "server/token"))
	}
	if long := token.ReadFile(filepath.Join(c.Get("data-dir"), "server/token")); long != "" {
		if given, err := token.Parse(secret, "server"); err == nil && given.CAHash == "" {
			if known, err := token.Parse(long, "server"); err == nil && known.Password == given.Password {
				secret = long
			}
		}
	}
	client, err := token.Connect(c.Get("etcd-server"), secret, "server")
	if err != nil {
		return err
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answer, err := client.Do(ctx, http.MethodPost, "/db/snapshot", body, nil)
	if err != nil {
		return fmt.Errorf("see server log for details: %w", err)
	}
	if request.Operation == "list" {
		return show(answer, c.Get("output"), out)
	}
	var did Answer
	if err := json.Unmarshal(answer, &did); err != nil {
		return err
	}
	for _, name := range did.Created {
		logrus.Infof("Snapshot %s saved.", name)
	}
	for _, name := range did.Deleted {
		logrus.Infof("Snapshot %s deleted.", name)
	}
	if operation == "delete" {
		for _, name := range request.Name {
			found := false
			for _, deleted := range did.Deleted {
				found = found || deleted == name
			}
			if !found {
				logrus.Warnf("Snapshot %s not found.", name)
			}
		}
	}
	return nil
}

// show prints a list as a table, JSON or YAML.
func show(answer []byte, format string, out io.Writer) error {
	var list List
	if err := json.Unmarshal(answer, &list); err != nil {
		return err
	}
	switch format {
	case "json":
		text, err := json.MarshalIndent(list, "", "    ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, string(text))
		return err
	case "yaml":
		text, err := yaml.Marshal(list)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	case "table":
		table := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
		fmt.Fprintln(table, "Name\tLocation\tSize\tCreated")
		for _, file := range list.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", file.Spec.SnapshotName, file.Spec.Location, file.Status.Size, file.Status.CreationTime.Format(time.RFC3339))
		}
		return table.Flush()
	default:
		return fmt.Errorf("invalid output format %s", format)
	}
}
