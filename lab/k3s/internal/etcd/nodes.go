package etcd

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	// NameAnnotation holds the etcd member's name on its Node.
	NameAnnotation = "etcd.k3s.cattle.io/node-name"
	// AddressAnnotation holds the etcd member's address on its Node.
	AddressAnnotation = "etcd.k3s.cattle.io/node-address"
	// RoleLabel marks nodes with an etcd member.
	RoleLabel = "node-role.kubernetes.io/etcd"

	// ControlPlaneLabel marks servers.
	ControlPlaneLabel = "node-role.kubernetes.io/control-plane"

	removeAnnotation = "etcd.k3s.cattle.io/remove"
	finalizer        = "wrangler.cattle.io/managed-etcd-controller"
	passwordFinal    = "wrangler.cattle.io/node"
)

// MarkNode keeps this server's own Node labelled and annotated as an etcd node.
func (m *Member) MarkNode(ctx context.Context, client kubernetes.Interface) {
	logrus.Info("Starting managed etcd node metadata controller")
	for {
		patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{
			"annotations": map[string]string{NameAnnotation: m.Name, AddressAnnotation: m.node.IP.String()},
			"labels":      map[string]string{RoleLabel: "true", ControlPlaneLabel: "true"},
		}})
		node, err := client.CoreV1().Nodes().Get(ctx, m.node.Name, metav1.GetOptions{})
		if err == nil && m.server != nil && (node.Labels[RoleLabel] != "true" || node.Labels[ControlPlaneLabel] != "true" || node.Annotations[NameAnnotation] != m.Name) {
			_, err = client.CoreV1().Nodes().Patch(ctx, m.node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			logrus.Warnf("Failed to set etcd metadata on node %s: %v", m.node.Name, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// WatchNodes runs on the holder of the k3s-etcd lease: it puts a finalizer on etcd nodes, and removes the member of a
// node that is deleted or annotated for removal (k3s-captures/22-node-delete.txt).
func (m *Member) WatchNodes(ctx context.Context, client kubernetes.Interface) {
	for ctx.Err() == nil {
		if err := m.watchNodes(ctx, client); err != nil && ctx.Err() == nil {
			logrus.Warnf("Failed to watch nodes for etcd membership: %v", err)
			time.Sleep(time.Second)
		}
	}
}

func (m *Member) watchNodes(ctx context.Context, client kubernetes.Interface) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		m.sync(ctx, client, &list.Items[i])
	}
	watch, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		if node, ok := event.Object.(*corev1.Node); ok && event.Type != "DELETED" {
			m.sync(ctx, client, node)
		}
	}
	return nil
}

// sync brings one node's finalizers and membership in line.
func (m *Member) sync(ctx context.Context, client kubernetes.Interface, node *corev1.Node) {
	nodes := client.CoreV1().Nodes()
	if node.DeletionTimestamp == nil {
		wanted := []string{passwordFinal}
		if node.Labels[RoleLabel] == "true" {
			wanted = append(wanted, finalizer)
		}
		next := node.DeepCopy()
		for _, name := range wanted {
			if !slices.Contains(next.Finalizers, name) {
				next.Finalizers = append(next.Finalizers, name)
			}
		}
		if len(next.Finalizers) != len(node.Finalizers) {
			if _, err := nodes.Update(ctx, next, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
				logrus.Warnf("Failed to add finalizers to node %s: %v", node.Name, err)
			}
		}
		if node.Annotations[removeAnnotation] == "true" && node.Annotations[NameAnnotation] != "" {
			if err := m.remove(ctx, node); err != nil {
				logrus.Errorf("Failed to remove etcd member of node %s: %v", node.Name, err)
			}
		}
		return
	}
	if slices.Contains(node.Finalizers, finalizer) {
		logrus.WithField("name", node.Annotations[NameAnnotation]).WithField("address", node.Annotations[AddressAnnotation]).Info("Removing etcd member from cluster due to node delete")
		if err := m.remove(ctx, node); err != nil {
			logrus.Errorf("Failed to remove etcd member of node %s: %v", node.Name, err)
			return
		}
	}
	if slices.Contains(node.Finalizers, passwordFinal) {
		err := client.CoreV1().Secrets("kube-system").Delete(ctx, node.Name+".node-password.k3s", metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			logrus.Errorf("Failed to remove node password secret of %s: %v", node.Name, err)
			return
		}
	}
	next := node.DeepCopy()
	next.Finalizers = slices.DeleteFunc(next.Finalizers, func(name string) bool { return name == finalizer || name == passwordFinal })
	if len(next.Finalizers) != len(node.Finalizers) {
		if _, err := nodes.Update(ctx, next, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			logrus.Errorf("Failed to release node %s: %v", node.Name, err)
		}
	}
}

// remove takes a node's member, if it has one, out of the cluster.
func (m *Member) remove(ctx context.Context, node *corev1.Node) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	name, address := node.Annotations[NameAnnotation], node.Annotations[AddressAnnotation]
	list, err := m.client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, member := range list.Members {
		if name != "" && member.Name != name && member.Name != "" {
			continue
		}
		for _, peer := range member.PeerURLs {
			if at, err := url.Parse(peer); err == nil && at.Hostname() == address {
				logrus.Infof("Removing name=%s id=%d address=%s from etcd", member.Name, member.ID, address)
				if _, err := m.client.MemberRemove(ctx, member.ID); err != nil {
					return err
				}
				break
			}
		}
	}
	return nil
}
