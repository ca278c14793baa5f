package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// discoveryPort is that of WS-Discovery.
const discoveryPort = 3702

// chooseNetwork picks a network of loopback addresses nobody uses, by its first
// three bytes. Each level and encoder gets an address of its own there, so that
// the ports of this demonstration are nobody else's, a second one's included.
func chooseNetwork() ([3]byte, error) {
	var last error
	for range 20 {
		n := [3]byte{127, byte(16 + rand.N(200)), byte(1 + rand.N(250))}
		if last = freeNetwork(n); last == nil {
			return n, nil
		}
	}
	return [3]byte{}, fmt.Errorf("no loopback network is free: %w", last)
}

// freeNetwork checks the addresses that will be used.
func freeNetwork(n [3]byte) error {
	var errs []error
	for i := range encoderNames {
		errs = append(errs, freeUDP(netip.AddrPortFrom(address(n, firstEncoder+i), discoveryPort)))
	}
	return errors.Join(errs...)
}

func address(n [3]byte, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{n[0], n[1], n[2], byte(host)})
}

func freeUDP(a netip.AddrPort) error {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return err
	}
	return c.Close()
}

// freePort returns a port that is free for UDP and TCP.
func freePort(a netip.Addr) (uint16, error) {
	var last error
	for range 20 {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(a, 0).String())
		if err != nil {
			return 0, err
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		last = freeUDP(netip.AddrPortFrom(a, port))
		l.Close()
		if last == nil {
			return port, nil
		}
	}
	return 0, last
}
