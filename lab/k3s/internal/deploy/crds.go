// Package deploy brings k3s's own resource kinds and packaged manifests into the cluster, and keeps the manifests
// directory applied.
package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsclient "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// kinds are k3s's own resource kinds, with the columns kubectl shows (k3s-captures/09-leases.txt, 10-snapshots.txt).
var kinds = []struct {
	group, plural, singular, kind string
	namespaced                    bool
	columns                       []apiextensions.CustomResourceColumnDefinition
}{
	{"k3s.cattle.io", "addons", "addon", "Addon", true, []apiextensions.CustomResourceColumnDefinition{
		{Name: "Source", Type: "string", JSONPath: ".spec.source"}, {Name: "Checksum", Type: "string", JSONPath: ".spec.checksum"}}},
	{"k3s.cattle.io", "etcdsnapshotfiles", "etcdsnapshotfile", "ETCDSnapshotFile", false, []apiextensions.CustomResourceColumnDefinition{
		{Name: "SnapshotName", Type: "string", JSONPath: ".spec.snapshotName"}, {Name: "Node", Type: "string", JSONPath: ".spec.nodeName"},
		{Name: "Location", Type: "string", JSONPath: ".spec.location"}, {Name: "Size", Type: "string", JSONPath: ".status.size"},
		{Name: "CreationTime", Type: "date", JSONPath: ".status.creationTime"}}},
}

// CRDs creates the kinds and waits until the API serves them.
func CRDs(ctx context.Context, config *rest.Config) error {
	client, err := apiextensionsclient.NewForConfig(config)
	if err != nil {
		return err
	}
	crds := client.ApiextensionsV1().CustomResourceDefinitions()
	keep := true
	for _, kind := range kinds {
		name := kind.plural + "." + kind.group
		scope := apiextensions.ClusterScoped
		if kind.namespaced {
			scope = apiextensions.NamespaceScoped
		}
		crd := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: kind.group, Scope: scope, Names: apiextensions.CustomResourceDefinitionNames{Plural: kind.plural, Singular: kind.singular, Kind: kind.kind},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, AdditionalPrinterColumns: kind.columns,
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}}}},
		}}
		if _, err := crds.Get(ctx, name, metav1.GetOptions{}); err == nil {
			logrus.Infof("Updating embedded CRD %s", name)
			continue
		}
		logrus.Infof("Creating embedded CRD %s", name)
		if _, err := crds.Create(ctx, crd, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("failed to create CRD %s: %w", name, err)
		}
	}
	for _, kind := range kinds {
		name := kind.plural + "." + kind.group
		for {
			crd, err := crds.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			established := false
			for _, condition := range crd.Status.Conditions {
				established = established || condition.Type == apiextensions.Established && condition.Status == apiextensions.ConditionTrue
			}
			if established {
				logrus.Infof("Done waiting for CRD %s to become available", name)
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	return nil
}
