// Package control runs the control plane's own programs inside this one, with the arguments that k3s gives them.
package control

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sort"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"lab/k3s/internal/cluster"
)

func init() {
	// every component applies its logging options, and all live in one process
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
}

// Args are a component's flags by name.
type Args map[string]string

// With adds `name=value` words (a --kube-...-arg), which win.
func (a Args) With(words []string) Args {
	for _, word := range words {
		name, value, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		a[name] = value
	}
	return a
}

// Words are the flags in alphabetical order, as k3s logs them.
func (a Args) Words() []string {
	var words []string
	for name, value := range a {
		words = append(words, "--"+name+"="+value)
	}
	sort.Strings(words)
	return words
}

// APIServer builds a kube-apiserver on this server's etcd. The handler it returns serves on 6443 through the supervisor;
// run serves it on 127.0.0.1:6444 and returns only with an error.
func APIServer(ctx context.Context, n *cluster.Node, settings cluster.Settings) (handler http.Handler, run func() error, err error) {
	tls := func(name string) string { return n.TLS(name) }
	args := Args{
		"advertise-address": n.IP.String(), "allow-privileged": "true", "anonymous-auth": "false",
		"api-audiences": "https://kubernetes.default.svc." + settings.ClusterDomain + ",k3s", "authorization-mode": "Node,RBAC",
		"bind-address": "127.0.0.1", "cert-dir": tls("temporary-certs"), "client-ca-file": tls("client-ca.crt"),
		"enable-admission-plugins": "NodeRestriction", "enable-aggregator-routing": "true", "enable-bootstrap-token-auth": "true",
		"etcd-cafile": tls("etcd/server-ca.crt"), "etcd-certfile": tls("etcd/client.crt"), "etcd-keyfile": tls("etcd/client.key"),
		"etcd-servers": "https://127.0.0.1:2379", "storage-backend": "etcd3",
		"kubelet-certificate-authority": tls("server-ca.crt"), "kubelet-client-certificate": tls("client-kube-apiserver.crt"), "kubelet-client-key": tls("client-kube-apiserver.key"),
		"kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname", "profiling": "false",
		"proxy-client-cert-file": tls("client-auth-proxy.crt"), "proxy-client-key-file": tls("client-auth-proxy.key"),
		"requestheader-allowed-names": "system:auth-proxy", "requestheader-client-ca-file": tls("request-header-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-", "requestheader-group-headers": "X-Remote-Group", "requestheader-username-headers": "X-Remote-User",
		"secure-port": "6444", "service-account-issuer": "https://kubernetes.default.svc." + settings.ClusterDomain,
		"service-account-key-file": tls("service.key"), "service-account-signing-key-file": tls("service.current.key"),
		"service-cluster-ip-range": settings.ServiceIPRange.String(), "service-node-port-range": n.Config.Get("service-node-port-range"),
		"tls-cert-file": tls("serving-kube-apiserver.crt"), "tls-private-key-file": tls("serving-kube-apiserver.key"),
	}
	words := args.With(n.Config.List("kube-apiserver-arg")).Words()
	logrus.Infof("Running kube-apiserver %s", strings.Join(words, " "))

	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	o := options.NewServerRunOptions()
	if err := parse("kube-apiserver", o.Flags(), words); err != nil {
		return nil, nil, err
	}
	if err := o.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, nil, err
	}
	if err := logsapi.ValidateAndApply(o.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return nil, nil, err
	}
	completed, err := o.Complete(ctx)
	if err != nil {
		return nil, nil, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, nil, utilerrors.NewAggregate(errs)
	}
	config, err := app.NewConfig(completed)
	if err != nil {
		return nil, nil, err
	}
	// the port in the kubernetes Service's endpoints is the one that peers reach, not the loopback one
	serving := config.KubeAPIs.ControlPlane.Generic.SecureServing
	serving.Listener = advertised{serving.Listener, n.IP}
	complete, err := config.Complete()
	if err != nil {
		return nil, nil, err
	}
	server, err := app.CreateServerChain(complete)
	if err != nil {
		return nil, nil, err
	}
	prepared, err := server.PrepareRun()
	if err != nil {
		return nil, nil, err
	}
	return server.GenericAPIServer.Handler, func() error { return prepared.Run(ctx) }, nil
}

// advertised is a listener that says it listens where the supervisor does.
type advertised struct {
	net.Listener
	ip net.IP
}

// Addr is the address that is published.
func (a advertised) Addr() net.Addr { return &net.TCPAddr{IP: a.ip, Port: 6443} }

// parse reads words into a component's flags.
func parse(name string, sets cliflag.NamedFlagSets, words []string) error {
	flags := pflag.NewFlagSet(name, pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(words); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
