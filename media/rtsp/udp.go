package rtsp

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// udpPorts are the two sockets of a track: RTP on an even port, RTCP on the next
// (RFC 3550 §11).
type udpPorts struct {
	rtp, rtcp *sock.UDP
	host      netip.Addr // the encoder's
	connected bool
	shared    bool // by whoever joined the group: nothing is sent by them
}

// connect fixes the encoder's ports.
func (p *udpPorts) connect(rtp, rtcp uint16) error {
	p.connected = true
	if err := p.rtp.Connect(netip.AddrPortFrom(p.host, rtp)); err != nil {
		return err
	}
	return p.rtcp.Connect(netip.AddrPortFrom(p.host, rtcp))
}

// admits reports whether the datagram last received is the encoder's. The first
// one tells the ports, if the answer to SETUP did not.
func (p *udpPorts) admits() bool {
	from := p.rtp.From()
	switch {
	case p.shared:
		return from.Addr() == p.host
	case p.connected:
		return true
	case from.Addr() != p.host || from.Port() == 65535:
		return false
	}
	return p.connect(from.Port(), from.Port()+1) == nil
}

func (p udpPorts) close() {
	p.rtp.Close()
	p.rtcp.Close()
}

// openPorts opens a pair of neighbouring ports on the address we reach the
// encoder from.
func openPorts(local net.Addr) (p udpPorts, err error) {
	host := local.(*net.TCPAddr).AddrPort().Addr().Unmap()
	for range 64 {
		port := 32768 + 2*uint16(rand.N(14000))
		if p.rtp, err = sock.ListenUDP(netip.AddrPortFrom(host, port)); err != nil {
			continue
		}
		if p.rtcp, err = sock.ListenUDP(netip.AddrPortFrom(host, port+1)); err == nil {
			return p, nil
		}
		p.rtp.Close()
	}
	return p, fmt.Errorf("no free pair of ports: %w", err)
}

const (
	// prefixBytes are left free before each datagram, and filled with the
	// interleaved header with which a TCP consumer would get it.
	prefixBytes = 4
	maxDatagram = 65535
	perReceive  = 256
	// sweepEvery bounds how long audio and RTCP wait while the owner waits for video.
	sweepEvery = 20 * time.Millisecond
)

// arrivesWithin is how long the first datagram of a stream that plays may take. A
// firewall between keeps it away for ever.
const arrivesWithin = 3 * time.Second

// arrives waits for the encoder's first datagram, and leaves it where it is.
func (u *udpSource) arrives(ctx context.Context) bool {
	for limit := time.Now().Add(arrivesWithin); time.Now().Before(limit) && ctx.Err() == nil; {
		for i := range u.session.ports {
			p := &u.session.ports[i]
			n, err := p.rtp.Peek(u.drain[:], i == 0, time.Now().Add(sweepEvery))
			switch {
			case err != nil || n == 0:
			case p.rtp.From().Addr() == p.host:
				return true
			default: // a stranger's
				_, _ = p.rtp.Receive(u.drain[:], false, time.Time{})
			}
		}
	}
	return false
}

// A udpSource receives RTP and RTCP of each track on a pair of sockets. The owner
// waits on the first track's; the others are looked at whenever it wakes.
type udpSource struct {
	*link
	spare [reportBytes]byte
	plea  [feedbackBytes]byte
	drain [2048]byte
}

func (u *udpSource) Receive(s *media.Stream, deadline time.Time) error {
	now := time.Now()
	if sweep := now.Add(sweepEvery); len(u.session.flows) > 1 && sweep.Before(deadline) {
		deadline = sweep
	}
	for i, f := range u.session.flows {
		if err := u.take(s, f, &u.session.ports[i], waitFor(i == 0, deadline)); err != nil {
			return err
		}
	}
	now = time.Now()
	for i, f := range u.session.flows {
		p := &u.session.ports[i]
		if !p.connected {
			continue
		}
		n, err := p.rtcp.Receive(u.drain[:], false, time.Time{})
		if err != nil {
			return err
		}
		if !p.shared || p.rtcp.From().Addr() == p.host {
			f.sender(u.drain[:n], now)
		}
	}
	return u.housekeep(now)
}

// A wait is how long to wait for the first datagram; zero: not at all.
type wait struct{ until time.Time }

func waitFor(yes bool, until time.Time) wait {
	if !yes {
		return wait{}
	}
	return wait{until}
}

// take pushes the datagrams of one track that have arrived.
func (u *udpSource) take(s *media.Stream, f *flow, p *udpPorts, w wait) error {
	return intake{p.rtp, byte(f.channels[0]), func([]byte) bool { return p.admits() }, func(g media.Range) {
		u.packets++
		f.push(s, g, time.Now())
	}}.take(s, w)
}

// An intake is how the datagrams of a socket come into a stream.
type intake struct {
	sock    *sock.UDP
	channel byte              // what a TCP consumer gets them by
	admits  func([]byte) bool // whether the datagram last received is believed
	push    func(media.Range)
}

// take takes the datagrams that have arrived into the ring, as many as that can take
// before the stream flushes, and pushes those that are believed.
func (in intake) take(s *media.Stream, w wait) error {
	ring := s.Ring()
	room := min(maxDatagram, ring.Size()/ringPart)
	for n, taken := 0, 0; n < perReceive && taken < ring.Size()/ringPart; n++ {
		buf := ring.Reserve(prefixBytes + room)
		size, err := in.sock.Receive(buf[prefixBytes:], n == 0 && !w.until.IsZero(), w.until)
		if err != nil {
			return err
		}
		if size == 0 {
			return nil
		}
		if !in.admits(buf[prefixBytes : prefixBytes+size]) {
			continue
		}
		taken += prefixBytes + size
		buf[0], buf[1] = '$', in.channel
		binary.BigEndian.PutUint16(buf[2:], uint16(size))
		g := ring.Commit(prefixBytes + size)
		g.Off, g.Len = g.Off+prefixBytes, uint32(size)
		in.push(g)
	}
	return nil
}

// housekeep reads the control connection, keeps the session alive and sends
// receiver reports.
func (u *udpSource) housekeep(now time.Time) error {
	n, err := u.conn.Receive(u.drain[:], false, time.Time{})
	if err != nil {
		return closed(err) // and with it the session
	}
	u.rest = append(u.rest, u.drain[:n]...)
	if err := u.link.control(); err != nil {
		return err
	}
	if err := u.flush(); err != nil {
		return err
	}
	if err := u.keepAlive(now); err != nil {
		return fmt.Errorf("keepalive: %w", err)
	}
	if u.reportDue(now) {
		for i, f := range u.session.flows {
			if f.received > 0 && !u.session.ports[i].shared {
				u.sendReport(f, u.session.ports[i].rtcp, now)
			}
		}
	}
	return u.watch(now)
}

func (u *udpSource) sendReport(f *flow, c *sock.UDP, now time.Time) {
	f.report(u.spare[:], u.ssrc, now)
	var b sock.Batch
	b.Add(u.spare[:])
	b.End()
	_, _ = c.Send(&b, 0, 1) // a report lost is a report less
}

func (u *udpSource) Wake() { u.session.ports[0].rtp.Wake() }

func (u *udpSource) Close() error {
	u.teardown()
	return nil
}
