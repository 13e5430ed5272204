// Package snapshot takes, lists and prunes etcd snapshots on behalf of `k3s etcd-snapshot` (k3s-captures/10-snapshots.txt).
package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"lab/k3s/internal/bootstrap"
	"lab/k3s/internal/cluster"
	"lab/k3s/internal/etcd"
)

// Request is what the command asks of the server.
type Request struct {
	// Operation is save, list, prune or delete.
	Operation string   `json:"operation"`
	Name      []string `json:"name"`
	Dir       *string  `json:"dir,omitempty"`
	Retention *int     `json:"retention,omitempty"`
}

// Answer is what the server did.
type Answer struct {
	Created []string `json:"created,omitempty"`
	Deleted []string `json:"deleted,omitempty"`
}

// File is an ETCDSnapshotFile.
type File struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status"`
}

// Spec is where a snapshot is.
type Spec struct {
	SnapshotName string `json:"snapshotName"`
	NodeName     string `json:"nodeName"`
	Location     string `json:"location"`
}

// Status is how a snapshot is.
type Status struct {
	Size         string      `json:"size"`
	CreationTime metav1.Time `json:"creationTime"`
	ReadyToUse   bool        `json:"readyToUse"`
}

// List is a list of snapshots.
type List struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        struct{} `json:"metadata"`
	Items           []File   `json:"items"`
}

// Store is one server's snapshots.
type Store struct {
	node     *cluster.Node
	member   *etcd.Member
	password string
	kube     func() kubernetes.Interface
	mu       sync.Mutex
}

// New makes the store; kube is nil until the API is there.
func New(n *cluster.Node, member *etcd.Member, password string, kube func() kubernetes.Interface) *Store {
	return &Store{node: n, member: member, password: password, kube: kube}
}

// dir is where snapshots go.
func (s *Store) dir() string {
	if dir := s.node.Config.Get("etcd-snapshot-dir"); dir != "" {
		return dir
	}
	return s.node.Server("db/snapshots")
}

// Serve answers /db/snapshot.
func (s *Store) Serve(w http.ResponseWriter, r *http.Request) {
	var request Request
	text, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err == nil {
		err = json.Unmarshal(text, &request)
	}
	var answer any
	if err == nil {
		s.mu.Lock()
		answer, err = s.do(r.Context(), request)
		s.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		logrus.Errorf("Error in etcd-snapshot handler: %v", err)
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status"}, Status: "Failure", Message: err.Error(), Code: 500})
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// do carries a request out.
func (s *Store) do(ctx context.Context, request Request) (any, error) {
	retention := 5
	if request.Retention != nil {
		retention = *request.Retention
	}
	base := "on-demand"
	if len(request.Name) > 0 && request.Name[0] != "" {
		base = request.Name[0]
	}
	switch request.Operation {
	case "list":
		return s.list()
	case "save":
		name, err := s.save(ctx, base)
		return Answer{Created: []string{name}}, err
	case "prune":
		deleted, err := s.prune(base, retention)
		s.reconcile(ctx)
		return Answer{Deleted: deleted}, err
	case "delete":
		var deleted []string
		for _, name := range request.Name {
			path := filepath.Join(s.dir(), filepath.Base(name))
			if os.Remove(path) != nil {
				logrus.Infof("Snapshot %s not found locally", name)
				continue
			}
			deleted = append(deleted, name)
		}
		s.reconcile(ctx)
		return Answer{Deleted: deleted}, nil
	default:
		return nil, fmt.Errorf("unknown snapshot operation %q", request.Operation)
	}
}

// save takes a snapshot named `<base>-<node>-<epoch>`; two within a second have one name, and the second overwrites.
func (s *Store) save(ctx context.Context, base string) (string, error) {
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s-%s-%d", base, s.node.Name, time.Now().Unix())
	path := filepath.Join(s.dir(), name)
	logrus.Infof("Saving etcd snapshot to %s", path)
	reader, err := s.member.KV().Snapshot(ctx)
	if err != nil {
		return "", fmt.Errorf("failed to save local snapshot: %w", err)
	}
	defer reader.Close()
	file, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer os.Remove(path + ".part")
	if _, err := io.Copy(file, reader); err != nil {
		file.Close()
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return "", err
	}
	s.reconcile(ctx)
	return name, nil
}

// prune removes the oldest snapshots of a base name beyond the number to keep.
func (s *Store) prune(base string, retention int) ([]string, error) {
	logrus.Infof("Applying snapshot retention=%d to local snapshots with prefix %s in %s", retention, base, s.dir())
	if retention < 1 {
		return nil, nil
	}
	list, err := s.list()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range list.Items {
		if strings.HasPrefix(file.Spec.SnapshotName, base+"-") {
			names = append(names, file.Spec.SnapshotName)
		}
	}
	sort.Slice(names, func(i, j int) bool { return epoch(names[i]) < epoch(names[j]) })
	var deleted []string
	for len(names) > retention {
		if err := os.Remove(filepath.Join(s.dir(), names[0])); err != nil {
			return deleted, err
		}
		deleted, names = append(deleted, names[0]), names[1:]
	}
	return deleted, nil
}

func epoch(name string) int64 {
	seconds, _ := strconv.ParseInt(name[strings.LastIndex(name, "-")+1:], 10, 64)
	return seconds
}

// list reads the directory.
func (s *Store) list() (List, error) {
	// Without a snapshot the items are null in JSON, as k3s has them.
	list := List{TypeMeta: metav1.TypeMeta{Kind: "List", APIVersion: "v1"}}
	entries, err := os.ReadDir(s.dir())
	if err != nil && !os.IsNotExist(err) {
		return list, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.IsDir() || strings.HasSuffix(entry.Name(), ".part") {
			continue
		}
		list.Items = append(list.Items, File{
			TypeMeta:   metav1.TypeMeta{Kind: "ETCDSnapshotFile", APIVersion: "k3s.cattle.io/v1"},
			ObjectMeta: metav1.ObjectMeta{Name: "local-" + entry.Name(), Labels: map[string]string{"etcd.k3s.cattle.io/snapshot-storage-node": s.node.Name}},
			Spec:       Spec{SnapshotName: entry.Name(), NodeName: s.node.Name, Location: "file://" + filepath.Join(s.dir(), entry.Name())},
			Status:     Status{Size: strconv.FormatInt(info.Size(), 10), CreationTime: metav1.NewTime(info.ModTime().UTC().Truncate(time.Second)), ReadyToUse: true},
		})
	}
	return list, nil
}

var resource = schema.GroupVersionResource{Group: "k3s.cattle.io", Version: "v1", Resource: "etcdsnapshotfiles"}

// reconcile makes the cluster's ETCDSnapshotFiles of this server what its directory holds.
func (s *Store) reconcile(ctx context.Context) {
	if s.kube() == nil {
		return
	}
	logrus.Info("Reconciling ETCDSnapshotFile resources")
	if err := s.sync(ctx); err != nil {
		logrus.Errorf("Failed to reconcile snapshot resources: %v", err)
		return
	}
	logrus.Info("Reconciliation of ETCDSnapshotFile resources complete")
}

func (s *Store) sync(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", s.node.Server("cred/supervisor.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	files, err := s.list()
	if err != nil {
		return err
	}
	var wanted []string
	for _, file := range files.Items {
		file.ObjectMeta.Name += "-" + bootstrap.ShortHash(file.Spec.Location)[:6]
		file.ObjectMeta.Annotations = map[string]string{"etcd.k3s.cattle.io/snapshot-token-hash": bootstrap.ShortHash(s.password)}
		wanted = append(wanted, file.ObjectMeta.Name)
		text, err := json.Marshal(file)
		if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(text, &object.Object); err != nil {
			return err
		}
		unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
		if _, err := client.Resource(resource).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "k3s", Force: true}); err != nil {
			return err
		}
	}
	known, err := client.Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: "etcd.k3s.cattle.io/snapshot-storage-node=" + s.node.Name})
	if err != nil {
		return err
	}
	for _, item := range known.Items {
		if !slices.Contains(wanted, item.GetName()) {
			if err := client.Resource(resource).Delete(ctx, item.GetName(), metav1.DeleteOptions{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Run takes the scheduled snapshots, at the hours of `0 */12 * * *` (the only schedule the stand-in knows), and keeps the
// resources in step.
func (s *Store) Run(ctx context.Context) {
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		logrus.Errorf("Failed to make snapshot directory: %v", err)
	}
	s.reconcile(ctx)
	for {
		next := time.Now().UTC().Truncate(12 * time.Hour).Add(12 * time.Hour)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		if s.node.Config.On("etcd-disable-snapshots") {
			continue
		}
		base := s.node.Config.Get("etcd-snapshot-name")
		retention, _ := strconv.Atoi(s.node.Config.Get("etcd-snapshot-retention"))
		s.mu.Lock()
		if _, err := s.save(ctx, base); err != nil {
			logrus.Errorf("Failed to take scheduled snapshot: %v", err)
		} else if _, err := s.prune(base, retention); err != nil {
			logrus.Errorf("Failed to apply snapshot retention: %v", err)
		}
		s.mu.Unlock()
	}
}
