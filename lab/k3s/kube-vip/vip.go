package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// VIP is the virtual address on this host's interface. It is there exactly while Take was called last, not GiveUp: whoever removes it by
// hand gets it put back at the next broadcast, as with kube-vip.
type VIP struct {
	address   *netlink.Addr
	announced netip.Addr
	link      netlink.Link

	mu      sync.Mutex
	held    bool
	gone    bool   // GiveUp was called: a Take that comes late must not bring the address back
	packets uint16 // broadcasts so far: requests and replies in turn
}

// NewVIP finds the interface and removes an address that a killed predecessor left on it. It needs CAP_NET_ADMIN.
func NewVIP(c Config) (*VIP, error) {
	link, err := findLink(c.Interface)
	if err != nil {
		return nil, err
	}
	network := &net.IPNet{IP: c.Address.AsSlice(), Mask: net.CIDRMask(c.Bits, 32)}
	v := &VIP{address: &netlink.Addr{IPNet: network}, announced: c.Address, link: link}
	if err := v.remove("deleted an address left behind"); err != nil {
		return nil, err
	}
	return v, nil
}

func findLink(name string) (netlink.Link, error) {
	if name != "" {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return nil, fmt.Errorf("vip_interface is %q: %w", name, err)
		}
		return link, nil
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("looking for the default route: %w", err)
	}
	for _, route := range routes {
		if route.Dst == nil || route.Dst.IP.IsUnspecified() {
			return netlink.LinkByIndex(route.LinkIndex)
		}
	}
	return nil, errors.New("vip_interface is not set and there is no default route to take it from")
}

// Take puts the address on the interface. The segment is told by the next Broadcast, not here: kube-vip announces on a clock of its own.
func (v *VIP) Take() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil
	}
	if err := netlink.AddrReplace(v.link, v.address); err != nil {
		return fmt.Errorf("adding %s to %s (CAP_NET_ADMIN?): %w", v.address.IPNet, v.link.Attrs().Name, err)
	}
	v.held = true
	slog.Info("added address", "IP", v.announced, "interface", v.link.Attrs().Name)
	return nil
}

// GiveUp takes the address off the interface, for good. Again is nothing.
func (v *VIP) GiveUp() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held, v.gone = false, true
	return v.remove("deleted address")
}

func (v *VIP) remove(message string) error {
	err := netlink.AddrDel(v.link, v.address)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting %s from %s (CAP_NET_ADMIN?): %w", v.address.IPNet, v.link.Attrs().Name, err)
	}
	slog.Info(message, "IP", v.announced, "interface", v.link.Attrs().Name)
	return nil
}

// Broadcast announces the address at every tick while it is held, until stop is closed. The clock runs from the process's start whether
// held or not, so that the first announcement after a Take comes up to a tick later, as kube-vip's does.
func (v *VIP) Broadcast(every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			if err := v.announce(); err != nil {
				slog.Warn(err.Error())
			}
		}
	}
}

func (v *VIP) announce() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.held {
		return nil
	}
	present, err := v.isSet()
	if err != nil {
		return err
	}
	if !present {
		if err := netlink.AddrReplace(v.link, v.address); err != nil {
			return err
		}
		slog.Warn("Re-applied the VIP configuration", "ip", v.announced, "interface", v.link.Attrs().Name)
	}
	link, err := net.InterfaceByIndex(v.link.Attrs().Index)
	if err != nil {
		return err
	}
	if len(link.HardwareAddr) != len(everybody) {
		return nil // lo, a tunnel: no neighbours to tell
	}
	operation := uint16(arpReply)
	if v.packets%2 == 1 {
		operation = arpRequest
	}
	v.packets++
	return broadcastARP(link, gratuitousARP(operation, v.announced, link.HardwareAddr))
}

func (v *VIP) isSet() (bool, error) {
	addresses, err := netlink.AddrList(v.link, netlink.FAMILY_V4)
	if err != nil {
		return false, fmt.Errorf("listing the addresses of %s: %w", v.link.Attrs().Name, err)
	}
	for _, address := range addresses {
		if address.IPNet.String() == v.address.IPNet.String() {
			return true, nil
		}
	}
	return false, nil
}
