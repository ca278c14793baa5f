package onvif

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
)

const (
	discoveryPort = 3702
	maxFound      = 4096
)

// discoveryGroup is the multicast group of WS-Discovery (2005/04 §2.4).
var discoveryGroup = netip.AddrFrom4([4]byte{239, 255, 255, 250})

// DiscoverConfig is where to look for devices and how long.
type DiscoverConfig struct {
	// Interfaces are the names of those to probe by multicast; lo works. Nil
	// means every interface that is up, has IPv4, does multicast and is not
	// loopback; an empty list, none.
	Interfaces []string
	// Targets are probed by unicast: IPv4 addresses, prefixes, ranges
	// (first-last) and names, at most 4096 hosts together.
	Targets []string
	// Wait is how long to listen after the last probe; 0 means 3 s.
	Wait time.Duration
	// Repeats is how often each probe is sent, since UDP loses; 0 means 3.
	Repeats int
	// Every is the time between multicast probes, and at least that between two
	// probes of one unicast target; 0 means 500 ms.
	Every time.Duration
	// Pace is the time between two unicast probes; 0 means 2 ms.
	Pace time.Duration
	// Port is the port probed; 0 means 3702.
	Port uint16
}

func (cfg DiscoverConfig) withDefaults() DiscoverConfig {
	if cfg.Wait <= 0 {
		cfg.Wait = 3 * time.Second
	}
	if cfg.Repeats <= 0 {
		cfg.Repeats = 3
	}
	if cfg.Every <= 0 {
		cfg.Every = 500 * time.Millisecond
	}
	if cfg.Pace <= 0 {
		cfg.Pace = 2 * time.Millisecond
	}
	if cfg.Port == 0 {
		cfg.Port = discoveryPort
	}
	return cfg
}

// Found is a device that answered.
type Found struct {
	Endpoint        string         // its UUID in lower case without urn:uuid:; empty if it gave none
	XAddrs          []string       // URLs of its device service, those on the source address first
	Types           []string       // as sent, with the device's prefixes
	Scopes          []string       // as sent
	Name            string         // from the scopes, as are the next three; empty if not told
	Hardware        string         //
	Location        string         //
	HardwareAddress string         // lower case with colons
	From            netip.AddrPort // source of the first answer
}

// A Discovery is the outcome of Discover.
type Discovery struct {
	Found   []Found        // one for each endpoint, in the order of their first answers
	Ignored map[Reason]int // replies, or addresses in them, that were not believed
}

// Discover probes by WS-Discovery and returns what answered. It ends Wait after
// the last probe. When ctx ends first it returns what was found so far with
// ctx's error. An interface that does not exist or a target that cannot be read
// is an error before anything is sent; a probe that cannot be sent is counted.
func Discover(ctx context.Context, cfg DiscoverConfig) (Discovery, error) {
	cfg = cfg.withDefaults()
	senders, err := openSenders(ctx, cfg)
	defer func() {
		for _, s := range senders {
			s.conn.Close()
		}
	}()
	if err != nil {
		return Discovery{}, err
	}
	c := newCollector()
	g, gctx := errgroup.WithContext(ctx)
	for _, s := range senders {
		g.Go(func() error { return s.run(gctx, cfg, c) })
	}
	err = g.Wait()
	if err == nil && len(senders) == 0 {
		err = errors.New("no interface and no target")
	}
	return Discovery{c.found, c.ignored}, err
}

// A sender is one socket and whom it probes.
type sender struct {
	conn    *net.UDPConn
	targets []netip.Addr
	pace    time.Duration // between two targets
}

func openSenders(ctx context.Context, cfg DiscoverConfig) ([]*sender, error) {
	interfaces, err := chooseInterfaces(cfg.Interfaces)
	if err != nil {
		return nil, err
	}
	hosts, err := expand(ctx, cfg.Targets)
	if err != nil {
		return nil, err
	}
	var out []*sender
	for _, i := range interfaces {
		conn, err := listenOn(i)
		if err != nil {
			return out, fmt.Errorf("interface %s: %w", i.Name, err)
		}
		out = append(out, &sender{conn, []netip.Addr{discoveryGroup}, 0})
	}
	if len(hosts) > 0 {
		conn, err := net.ListenUDP("udp4", nil)
		if err != nil {
			return out, err
		}
		out = append(out, &sender{conn, hosts, cfg.Pace})
	}
	return out, nil
}

// chooseInterfaces resolves names, or picks every suitable interface for nil.
func chooseInterfaces(names []string) ([]net.Interface, error) {
	if names == nil {
		all, err := net.Interfaces()
		return slices.DeleteFunc(all, func(i net.Interface) bool {
			const need = net.FlagUp | net.FlagMulticast
			_, ok := interfaceAddr(i)
			return i.Flags&need != need || i.Flags&net.FlagLoopback != 0 || !ok
		}), err
	}
	var out []net.Interface
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
		out = append(out, *i)
	}
	return out, nil
}

// interfaceAddr is the first IPv4 address of an interface.
func interfaceAddr(i net.Interface) (netip.Addr, bool) {
	addrs, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap().Is4() {
			return p.Addr().Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// listenOn opens a socket that sends multicast out of i, and back to this
// machine too: simulators live here.
func listenOn(i net.Interface) (*net.UDPConn, error) {
	addr, ok := interfaceAddr(i)
	if !ok {
		return nil, errors.New("has no IPv4 address")
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return nil, err
	}
	p := ipv4.NewPacketConn(conn)
	err = errors.Join(p.SetMulticastInterface(&i), p.SetMulticastLoopback(true), p.SetMulticastTTL(1))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// run sends all probes and then listens for Wait more; it returns when both its
// goroutines have ended. A ctx that ends is an error.
func (s *sender) run(ctx context.Context, cfg DiscoverConfig, c *collector) error {
	var g errgroup.Group
	g.Go(func() error {
		s.receive(c)
		return nil
	})
	err := s.probeAll(ctx, cfg, c)
	if err == nil {
		err = pause(ctx, cfg.Wait)
	}
	s.conn.SetReadDeadline(time.Unix(1, 0)) // ends receive
	g.Wait()
	return err
}

// probeAll sends Repeats rounds of two probes, for encoders and for devices in
// general, since some answer only to one of them. Each probe has its own
// identifier: a device that answers an identifier once could lose that answer.
func (s *sender) probeAll(ctx context.Context, cfg DiscoverConfig, c *collector) error {
	for round := range cfg.Repeats {
		if round > 0 {
			if err := pause(ctx, cfg.Every); err != nil {
				return err
			}
		}
		for _, deviceType := range []string{"dn:NetworkVideoTransmitter", "tds:Device"} {
			if err := s.probeRound(ctx, cfg.Port, c, deviceType); err != nil {
				return err
			}
		}
	}
	return nil
}

// probeRound sends one probe to every target. What cannot be sent is counted:
// one unreachable network must not hide the others.
func (s *sender) probeRound(ctx context.Context, port uint16, c *collector, deviceType string) error {
	message := c.probe(deviceType)
	for i, to := range s.targets {
		if i > 0 {
			if err := pause(ctx, s.pace); err != nil {
				return err
			}
		}
		if _, err := s.conn.WriteToUDPAddrPort(message, netip.AddrPortFrom(to, port)); err != nil {
			c.ignore(SendFailed)
		}
	}
	return ctx.Err()
}

// receive hands datagrams to c until the socket is closed or its deadline ends.
func (s *sender) receive(c *collector) {
	buf := make([]byte, maxDatagram+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		c.reply(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// pause waits for d or the end of ctx, which it returns as an error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
