package control

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	cloudprovider "k8s.io/cloud-provider"
	ccmapp "k8s.io/cloud-provider/app"
	ccmconfig "k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/names"
	ccmoptions "k8s.io/cloud-provider/options"
	cliflag "k8s.io/component-base/cli/flag"

	"lab/k3s/internal/cluster"
)

const (
	// InternalIPAnnotation holds the address a node gave for itself; the cloud controller makes it the InternalIP.
	InternalIPAnnotation = "k3s.io/internal-ip"
	// ExternalIPAnnotation likewise.
	ExternalIPAnnotation = "k3s.io/external-ip"
	// HostnameAnnotation likewise.
	HostnameAnnotation = "k3s.io/hostname"
)

// CloudControllerArgs are cloud-controller-manager's arguments.
func CloudControllerArgs(n *cluster.Node, settings cluster.Settings) []string {
	kubeconfig := n.Server("cred/cloud-controller.kubeconfig")
	args := Args{
		"allocate-node-cidrs": "true", "authentication-kubeconfig": kubeconfig, "authorization-kubeconfig": kubeconfig, "bind-address": "127.0.0.1",
		"cloud-config": n.Server("etc/cloud-config.yaml"), "cloud-provider": "k3s", "cluster-cidr": settings.ClusterIPRange.String(), "configure-cloud-routes": "false",
		"controllers": "*,-node-route-controller,-cloud-node-lifecycle-controller,-service-lb-controller", "kubeconfig": kubeconfig,
		"leader-elect-resource-name": "k3s-cloud-controller-manager", "node-status-update-frequency": "1m0s", "profiling": "false", "secure-port": "10258",
	}
	words := args.With(n.Config.List("kube-cloud-controller-manager-arg")).Words()
	logrus.Infof("Running cloud-controller-manager %s", strings.Join(words, " "))
	return words
}

// WaitForCloudRights returns when the cloud controller may read what it ends without. The manifest that gives it its rights
// is applied while it starts.
func WaitForCloudRights(ctx context.Context, n *cluster.Node) error {
	config, err := clientcmd.BuildConfigFromFlags("", n.Server("cred/cloud-controller.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		_, err := client.CoreV1().ConfigMaps("kube-system").Get(ctx, "extension-apiserver-authentication", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		logrus.Infof("Waiting for cloud-controller-manager privileges to become available: %v", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// CloudController runs the cloud controller manager with k3s's own provider, which knows nodes by their annotations.
func CloudController(words []string) error {
	o, err := ccmoptions.NewCloudControllerManagerOptions()
	if err != nil {
		return err
	}
	constructors := map[string]ccmapp.ControllerInitFuncConstructor{}
	for name, constructor := range ccmapp.DefaultInitFuncConstructors {
		constructor.InitContext.ClientName = "k3s-cloud-controller-manager"
		constructors[name] = constructor
	}
	command := ccmapp.NewCloudControllerManagerCommand(o, func(*ccmconfig.CompletedConfig) cloudprovider.Interface { return provider{} },
		constructors, names.CCMControllerAliases(), cliflag.NamedFlagSets{}, wait.NeverStop)
	command.SetArgs(words)
	command.SilenceUsage = true
	if err := command.Execute(); err != nil {
		return fmt.Errorf("cloud-controller-manager: %w", err)
	}
	return nil
}

func init() {
	cloudprovider.RegisterCloudProvider("k3s", func(io.Reader) (cloudprovider.Interface, error) { return provider{}, nil })
}

// provider is k3s's cloud provider: a node's instance is the node itself.
type provider struct{}

var _ cloudprovider.InstancesV2 = provider{}

func (provider) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}
func (provider) LoadBalancer() (cloudprovider.LoadBalancer, bool)                  { return nil, false }
func (provider) Instances() (cloudprovider.Instances, bool)                        { return nil, false }
func (p provider) InstancesV2() (cloudprovider.InstancesV2, bool)                  { return p, true }
func (provider) Zones() (cloudprovider.Zones, bool)                                { return nil, false }
func (provider) Clusters() (cloudprovider.Clusters, bool)                          { return nil, false }
func (provider) Routes() (cloudprovider.Routes, bool)                              { return nil, false }
func (provider) ProviderName() string                                              { return "k3s" }
func (provider) HasClusterID() bool                                                { return true }

// InstanceExists is always true: a node that is, is.
func (provider) InstanceExists(context.Context, *corev1.Node) (bool, error) { return true, nil }

// InstanceShutdown is not known to k3s.
func (provider) InstanceShutdown(context.Context, *corev1.Node) (bool, error) {
	return false, cloudprovider.NotImplemented
}

// InstanceMetadata reads a node's addresses from its annotations; before the agent has set them there are none to give.
func (provider) InstanceMetadata(_ context.Context, node *corev1.Node) (*cloudprovider.InstanceMetadata, error) {
	if node.Annotations[InternalIPAnnotation] == "" && node.Labels[InternalIPAnnotation] == "" {
		return nil, fmt.Errorf("address annotations not yet set")
	}
	meta := &cloudprovider.InstanceMetadata{ProviderID: "k3s://" + node.Name, InstanceType: "k3s"}
	for _, kind := range []struct {
		key  string
		kind corev1.NodeAddressType
	}{{InternalIPAnnotation, corev1.NodeInternalIP}, {ExternalIPAnnotation, corev1.NodeExternalIP}, {HostnameAnnotation, corev1.NodeHostName}} {
		if value := node.Annotations[kind.key]; value != "" {
			for _, address := range strings.Split(value, ",") {
				meta.NodeAddresses = append(meta.NodeAddresses, corev1.NodeAddress{Type: kind.kind, Address: address})
			}
		}
	}
	return meta, nil
}
