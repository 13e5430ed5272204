// Package flannel is the vxlan backend of flannel: each node's pod network through one flannel.1 (VNI 1, 8472/udp), its
// peers' addresses read from their Nodes' annotations. A closed 8472/udp therefore breaks pods, as it does for real.
package flannel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/pki"
)

const (
	device     = "flannel.1"
	vni        = 1
	port       = 8472
	annotation = "flannel.alpha.coreos.com/"
)

// backendData is what a node publishes of its end of the tunnel.
type backendData struct {
	VNI     int
	VtepMAC string
}

// Run waits for the node's pod network, makes the tunnel, and keeps it in step with the peers until the context ends.
func Run(ctx context.Context, n *cluster.Node, clusterCIDR cluster.IPNet, client kubernetes.Interface) error {
	logrus.Info("Starting flannel with backend vxlan")
	podCIDR, err := waitPodCIDR(ctx, n, client)
	if err != nil {
		return err
	}
	link, err := ensureDevice(n, podCIDR)
	if err != nil {
		return fmt.Errorf("flannel: %w", err)
	}
	_, all, err := net.ParseCIDR(clusterCIDR.String())
	if err != nil {
		return err
	}
	gateway := append(net.IP{}, podCIDR.IP.To4()...)
	gateway[3]++
	subnet := fmt.Sprintf("FLANNEL_NETWORK=%s\nFLANNEL_SUBNET=%s/24\nFLANNEL_MTU=%d\nFLANNEL_IPMASQ=true\n", all, gateway, link.Attrs().MTU)
	if err := pki.Write("/run/flannel/subnet.env", []byte(subnet), 0o644); err != nil {
		return err
	}
	data, _ := json.Marshal(backendData{VNI: vni, VtepMAC: link.Attrs().HardwareAddr.String()})
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		annotation + "backend-data": string(data), annotation + "backend-type": "vxlan", annotation + "kube-subnet-manager": "true", annotation + "public-ip": n.IP.String(),
	}}})
	if _, err := client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("flannel: %w", err)
	}
	logrus.Infof("Wrote flannel subnet file to /run/flannel/subnet.env")
	logrus.Info("Running flannel backend.")
	go keepRules(ctx, all, podCIDR)
	go func() {
		for ctx.Err() == nil {
			if err := watch(ctx, n, link, client); err != nil && ctx.Err() == nil {
				logrus.Errorf("flannel: %v", err)
			}
			time.Sleep(time.Second)
		}
	}()
	return nil
}

// waitPodCIDR returns the node's pod network once the cloud controller has taken its taint off and it has one.
func waitPodCIDR(ctx context.Context, n *cluster.Node, client kubernetes.Interface) (*net.IPNet, error) {
	for {
		node, err := client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
		if err == nil && node.Spec.PodCIDR != "" {
			_, network, err := net.ParseCIDR(node.Spec.PodCIDR)
			return network, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// ensureDevice makes flannel.1, or keeps the one there is where it fits.
func ensureDevice(n *cluster.Node, podCIDR *net.IPNet) (netlink.Link, error) {
	parent, err := linkOf(n.IP)
	if err != nil {
		return nil, err
	}
	wanted := &netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: device, MTU: parent.Attrs().MTU - 50}, VxlanId: vni, VtepDevIndex: parent.Attrs().Index, SrcAddr: n.IP, Port: port, Learning: false}
	if old, err := netlink.LinkByName(device); err == nil {
		vxlan, ok := old.(*netlink.Vxlan)
		if !ok || vxlan.VxlanId != vni || vxlan.VtepDevIndex != wanted.VtepDevIndex || !vxlan.SrcAddr.Equal(n.IP) || vxlan.Port != port {
			if err := netlink.LinkDel(old); err != nil {
				return nil, err
			}
		}
	}
	if _, err := netlink.LinkByName(device); err != nil {
		if err := netlink.LinkAdd(wanted); err != nil {
			return nil, fmt.Errorf("failed to create %s: %w", device, err)
		}
	}
	link, err := netlink.LinkByName(device)
	if err != nil {
		return nil, err
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: podCIDR.IP, Mask: net.CIDRMask(32, 32)}}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	for _, old := range have {
		if !old.IP.Equal(address.IP) {
			if err := netlink.AddrDel(link, &old); err != nil {
				return nil, err
			}
		}
	}
	if err := netlink.AddrReplace(link, address); err != nil {
		return nil, err
	}
	return link, netlink.LinkSetUp(link)
}

// linkOf is the interface that has an address.
func linkOf(ip net.IP) (netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
		if err != nil {
			continue
		}
		for _, address := range addresses {
			if address.IP.Equal(ip) {
				return link, nil
			}
		}
	}
	return nil, fmt.Errorf("no interface has address %s", ip)
}

// watch follows the nodes: each peer is a neighbour, a forwarding entry and a route.
func watch(ctx context.Context, n *cluster.Node, link netlink.Link, client kubernetes.Interface) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for i := range list.Items {
		if p := peerOf(n, &list.Items[i]); p != nil {
			wanted[p.subnet.String()] = true
			p.set(link)
		}
	}
	prune(link, wanted)
	events, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		node, ok := event.Object.(*corev1.Node)
		if !ok {
			return errors.New("watch of nodes was closed")
		}
		if p := peerOf(n, node); p != nil {
			if event.Type == "DELETED" {
				p.unset(link)
			} else {
				p.set(link)
			}
		}
	}
	return nil
}

// peer is another node's end of the tunnel.
type peer struct {
	subnet *net.IPNet
	public net.IP
	mac    net.HardwareAddr
}

// peerOf reads a node; nil where it is this one or has no tunnel.
func peerOf(n *cluster.Node, node *corev1.Node) *peer {
	var data backendData
	if node.Name == n.Name || json.Unmarshal([]byte(node.Annotations[annotation+"backend-data"]), &data) != nil {
		return nil
	}
	mac, err := net.ParseMAC(data.VtepMAC)
	_, subnet, cidrErr := net.ParseCIDR(node.Spec.PodCIDR)
	public := net.ParseIP(node.Annotations[annotation+"public-ip"])
	if err != nil || cidrErr != nil || public == nil {
		return nil
	}
	return &peer{subnet: subnet, public: public, mac: mac}
}

func (p *peer) set(link netlink.Link) {
	index := link.Attrs().Index
	for _, do := range []func() error{
		func() error {
			return netlink.NeighSet(&netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, Type: unix.RTN_UNICAST, IP: p.subnet.IP, HardwareAddr: p.mac})
		},
		func() error {
			return netlink.NeighSet(&netlink.Neigh{LinkIndex: index, Family: unix.AF_BRIDGE, State: netlink.NUD_PERMANENT, Flags: netlink.NTF_SELF, IP: p.public, HardwareAddr: p.mac})
		},
		func() error {
			return netlink.RouteReplace(&netlink.Route{LinkIndex: index, Scope: netlink.SCOPE_UNIVERSE, Dst: p.subnet, Gw: p.subnet.IP, Flags: int(netlink.FLAG_ONLINK)})
		},
	} {
		if err := do(); err != nil {
			logrus.Errorf("flannel: failed to reach %s through %s: %v", p.subnet, p.public, err)
		}
	}
}

func (p *peer) unset(link netlink.Link) {
	index := link.Attrs().Index
	_ = netlink.RouteDel(&netlink.Route{LinkIndex: index, Dst: p.subnet, Gw: p.subnet.IP, Flags: int(netlink.FLAG_ONLINK)})
	_ = netlink.NeighDel(&netlink.Neigh{LinkIndex: index, IP: p.subnet.IP, HardwareAddr: p.mac})
	_ = netlink.NeighDel(&netlink.Neigh{LinkIndex: index, Family: unix.AF_BRIDGE, Flags: netlink.NTF_SELF, IP: p.public, HardwareAddr: p.mac})
}

// prune removes routes to nodes that are gone.
func prune(link netlink.Link, wanted map[string]bool) {
	routes, err := netlink.RouteList(link, netlink.FAMILY_V4)
	if err != nil {
		return
	}
	for _, route := range routes {
		if route.Gw != nil && route.Dst != nil && !wanted[route.Dst.String()] {
			_ = netlink.RouteDel(&route)
		}
	}
}

// keepRules keeps flannel's iptables chains: pods may be forwarded, and are masqueraded where they leave the cluster.
func keepRules(ctx context.Context, all, own *net.IPNet) {
	_ = os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
	for ctx.Err() == nil {
		for _, rule := range rules(all, own) {
			if err := ensureRule(rule); err != nil {
				logrus.Errorf("flannel: %v", err)
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
	}
}

// rule is one iptables rule, or a chain where words is empty.
type rule struct {
	table, chain string
	words        []string
}

func rules(all, own *net.IPNet) []rule {
	masquerade := func(words ...string) rule {
		return rule{"nat", "FLANNEL-POSTRTG", append(words, "-m", "comment", "--comment", "flanneld masq")}
	}
	return []rule{
		{"nat", "FLANNEL-POSTRTG", nil},
		{"nat", "POSTROUTING", []string{"-m", "comment", "--comment", "flanneld masq", "-j", "FLANNEL-POSTRTG"}},
		masquerade("-m", "mark", "--mark", "0x4000/0x4000", "-j", "RETURN"),
		masquerade("-s", own.String(), "-d", all.String(), "-j", "RETURN"),
		masquerade("-s", all.String(), "-d", own.String(), "-j", "RETURN"),
		masquerade("!", "-s", all.String(), "-d", own.String(), "-j", "RETURN"),
		masquerade("-s", all.String(), "!", "-d", "224.0.0.0/4", "-j", "MASQUERADE", "--random-fully"),
		masquerade("!", "-s", all.String(), "-d", all.String(), "-j", "MASQUERADE", "--random-fully"),
		{"filter", "FLANNEL-FWD", nil},
		{"filter", "FORWARD", []string{"-m", "comment", "--comment", "flanneld forward", "-j", "FLANNEL-FWD"}},
		{"filter", "FLANNEL-FWD", []string{"-s", all.String(), "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"}},
		{"filter", "FLANNEL-FWD", []string{"-d", all.String(), "-m", "comment", "--comment", "flanneld forward", "-j", "ACCEPT"}},
	}
}

func ensureRule(r rule) error {
	if len(r.words) == 0 {
		if iptables("-t", r.table, "-n", "-L", r.chain) != nil {
			return iptables("-t", r.table, "-N", r.chain)
		}
		return nil
	}
	if iptables(append([]string{"-t", r.table, "-C", r.chain}, r.words...)...) == nil {
		return nil
	}
	return iptables(append([]string{"-t", r.table, "-A", r.chain}, r.words...)...)
}

func iptables(words ...string) error {
	output, err := exec.Command("iptables", append([]string{"-w", "5"}, words...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("iptables %s: %w: %s", strings.Join(words, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
