package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"lab/k3s/internal/cluster"
)

// CoreDNSVersion is the tag of the CoreDNS image that the lab builds.
const CoreDNSVersion = "1.12.3"

//go:embed manifests/*.yaml
var packaged embed.FS

// Stage writes the packaged manifests that are not disabled into server/manifests.
func Stage(n *cluster.Node, settings cluster.Settings) error {
	storage := n.Config.Get("default-local-storage-path")
	if storage == "" {
		storage = filepath.Join(n.Data, "storage")
	}
	values := strings.NewReplacer("%{CLUSTER_DNS}%", settings.ClusterDNS.String(), "%{CLUSTER_DOMAIN}%", settings.ClusterDomain,
		"%{COREDNS_VERSION}%", CoreDNSVersion, "%{DEFAULT_LOCAL_STORAGE_PATH}%", storage)
	files, err := fs.Glob(packaged, "manifests/*.yaml")
	if err != nil {
		return err
	}
	for _, file := range files {
		name := filepath.Base(file)
		if settings.Disables[strings.TrimSuffix(name, ".yaml")] || name == "ccm.yaml" && settings.DisableCCM {
			continue
		}
		text, err := packaged.ReadFile(file)
		if err != nil {
			return err
		}
		path := n.Server("manifests", name)
		logrus.Infof("Writing manifest: %s", path)
		if err := os.WriteFile(path, []byte(values.Replace(string(text))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Run keeps server/manifests applied, looking every 15 seconds, and the nodes' names in CoreDNS's hosts file, until the
// context ends.
func Run(ctx context.Context, n *cluster.Node, config *rest.Config) {
	a, err := newApplier(n, config)
	if err != nil {
		logrus.Errorf("Failed to start deploy controller: %v", err)
		return
	}
	for {
		if err := a.files(ctx); err != nil && ctx.Err() == nil {
			logrus.Errorf("Failed to process config: %v", err)
		}
		if err := a.nodeHosts(ctx); err != nil && ctx.Err() == nil {
			logrus.Debugf("Failed to update CoreDNS NodeHosts: %v", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// applier applies files by server-side apply and remembers each one's checksum in an Addon.
type applier struct {
	node    *cluster.Node
	dynamic dynamic.Interface
	kube    kubernetes.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
	// seen are the checksums of what was applied since this leader began.
	seen map[string]string
}

func newApplier(n *cluster.Node, config *rest.Config) (*applier, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &applier{node: n, dynamic: client, kube: kube, seen: map[string]string{}, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))}, nil
}

var addons = schema.GroupVersionResource{Group: "k3s.cattle.io", Version: "v1", Resource: "addons"}

// files applies every manifest that changed; NAME.yaml.skip beside one leaves it out.
func (a *applier) files(ctx context.Context) error {
	var paths []string
	err := filepath.WalkDir(a.node.Server("manifests"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && (strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml") || strings.HasSuffix(path, ".json")) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	sort.Strings(paths)
	var failures []error
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		if _, err := os.Stat(path + ".skip"); err == nil {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		checksum := hex.EncodeToString(sum[:])
		if a.seen[path] == checksum {
			continue
		}
		if err := a.apply(ctx, text); err != nil {
			failures = append(failures, fmt.Errorf("failed to process %s: %w", path, err))
			continue
		}
		a.seen[path] = checksum
		addon := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "k3s.cattle.io/v1", "kind": "Addon",
			"metadata": map[string]any{"name": strings.ToLower(name), "namespace": "kube-system"}, "spec": map[string]any{"source": path, "checksum": checksum}}}
		if _, err := a.dynamic.Resource(addons).Namespace("kube-system").Apply(ctx, addon.GetName(), addon, metav1.ApplyOptions{FieldManager: "k3s", Force: true}); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// apply applies every document of a manifest.
func (a *applier) apply(ctx context.Context, text []byte) error {
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		kind := object.GroupVersionKind()
		mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			a.mapper.Reset()
			mapping, err = a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		}
		if err != nil {
			return err
		}
		resource := a.dynamic.Resource(mapping.Resource)
		var target dynamic.ResourceInterface = resource
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			if object.GetNamespace() == "" {
				object.SetNamespace("default")
			}
			target = resource.Namespace(object.GetNamespace())
		}
		if _, err := target.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: "deploy@" + a.node.Name, Force: true}); err != nil {
			return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
		}
	}
}

// nodeHosts keeps the nodes' names in the configmap that CoreDNS reads as its hosts file.
func (a *applier) nodeHosts(ctx context.Context) error {
	nodes, err := a.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var lines []string
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == "InternalIP" {
				lines = append(lines, address.Address+" "+node.Name)
			}
		}
	}
	sort.Strings(lines)
	text := strings.Join(lines, "\n") + "\n"
	current, err := a.kube.CoreV1().ConfigMaps("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
	if err != nil || current.Data["NodeHosts"] == text {
		return err
	}
	patch := fmt.Appendf(nil, `{"data":{"NodeHosts":%q}}`, text)
	_, err = a.kube.CoreV1().ConfigMaps("kube-system").Patch(ctx, "coredns", types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
