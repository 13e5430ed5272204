package main

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestAGratuitousARPAnnouncesTheAddressAsSenderAndTarget(t *testing.T) {
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	ip := netip.MustParseAddr("10.89.7.100")
	reply, _ := hex.DecodeString("0001" + "0800" + "0604" + "0002" + "020000000007" + "0a590764" + "020000000007" + "0a590764")
	if got := gratuitousARP(arpReply, ip, mac); !bytes.Equal(got, reply) {
		t.Errorf("reply is\n%x, not\n%x", got, reply)
	}
	request, _ := hex.DecodeString("0001" + "0800" + "0604" + "0001" + "020000000007" + "0a590764" + "ffffffffffff" + "0a590764")
	if got := gratuitousARP(arpRequest, ip, mac); !bytes.Equal(got, request) {
		t.Errorf("request is\n%x, not\n%x", got, request)
	}
}

// inNamespace gives the test a network of its own with the veth pair eth0 and peer; it goes with the thread.
func inNamespace(t *testing.T) Config {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace takes root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "eth0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "peer"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"eth0", "peer"} {
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Config{Address: netip.MustParseAddr("10.89.7.100"), Bits: 32, Interface: "eth0"}
}

func newVIP(t *testing.T, c Config) *VIP {
	vip, err := NewVIP(c)
	if err != nil {
		t.Fatal(err)
	}
	return vip
}

func present(t *testing.T, vip *VIP) bool {
	set, err := vip.isSet()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheAddressIsThereFromTakeToGiveUp(t *testing.T) {
	vip := newVIP(t, inNamespace(t))
	if present(t, vip) {
		t.Fatal("there before it was taken")
	}
	must(t, vip.Take())
	if !present(t, vip) {
		t.Fatal("not there after Take")
	}
	must(t, vip.GiveUp())
	if present(t, vip) {
		t.Fatal("still there after GiveUp")
	}
	must(t, vip.GiveUp())
	must(t, vip.Take())
	if present(t, vip) {
		t.Fatal("a Take that came after GiveUp brought it back")
	}
}

func TestAStartRemovesWhatAKilledPredecessorLeft(t *testing.T) {
	c := inNamespace(t)
	killed := newVIP(t, c)
	must(t, killed.Take())
	if present(t, newVIP(t, c)) {
		t.Fatal("left on the interface")
	}
}

func TestABroadcastReachesTheSegmentAndPutsARemovedAddressBack(t *testing.T) {
	vip := newVIP(t, inNamespace(t))
	peer, err := net.InterfaceByName("peer")
	must(t, err)
	const protocol = unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xff<<8
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, protocol)
	must(t, err)
	defer unix.Close(socket)
	must(t, unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: peer.Index}))
	patience := unix.NsecToTimeval((5 * time.Second).Nanoseconds())
	must(t, unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience))

	must(t, vip.announce())
	must(t, vip.Take())
	must(t, netlink.AddrDel(vip.link, vip.address))
	for _, operation := range []byte{arpReply, arpRequest} {
		must(t, vip.announce())
		packet := make([]byte, 64)
		n, _, err := unix.Recvfrom(socket, packet, 0)
		if err != nil {
			t.Fatalf("no packet came: %v", err)
		}
		// The announcement before Take must not be among them: the first that comes is the reply.
		if n < 28 || packet[7] != operation || !bytes.Equal(packet[14:18], []byte{10, 89, 7, 100}) {
			t.Errorf("operation %d, %x", operation, packet[:n])
		}
	}
	if !present(t, vip) {
		t.Error("the address that was taken away by hand is not back")
	}
}
