package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	arpRequest = 1
	arpReply   = 2
)

var everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// gratuitousARP is the 28 bytes that tell a segment "this address is at this MAC" (RFC 5944 section 4.6): sender and target address are
// both the announced one. Some neighbours only heed requests, others only replies, so kube-vip sends them in turn.
func gratuitousARP(operation uint16, address netip.Addr, mac net.HardwareAddr) []byte {
	target := mac
	if operation == arpRequest {
		target = everybody
	}
	ip := address.As4()
	packet := make([]byte, 0, 28)
	packet = binary.BigEndian.AppendUint16(packet, unix.ARPHRD_ETHER)
	packet = binary.BigEndian.AppendUint16(packet, unix.ETH_P_IP)
	packet = append(packet, byte(len(mac)), byte(len(ip)))
	packet = binary.BigEndian.AppendUint16(packet, operation)
	packet = append(packet, mac...)
	packet = append(packet, ip[:]...)
	packet = append(packet, target...)
	return append(packet, ip[:]...)
}

// broadcastARP sends one packet to every host on the link. It needs CAP_NET_RAW.
func broadcastARP(link *net.Interface, packet []byte) error {
	// The kernel wants the protocol in network order; every machine this runs on is little-endian.
	const protocol = unix.ETH_P_ARP>>8 | unix.ETH_P_ARP&0xff<<8
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("opening a packet socket (CAP_NET_RAW?): %w", err)
	}
	defer unix.Close(socket)
	to := unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index, Hatype: unix.ARPHRD_ETHER, Halen: uint8(len(everybody))}
	copy(to.Addr[:], everybody)
	if err := unix.Sendto(socket, packet, 0, &to); err != nil {
		return fmt.Errorf("sending an ARP packet on %s: %w", link.Name, err)
	}
	return nil
}
