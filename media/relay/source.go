package relay

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// prefixBytes are left free before each datagram in the ring, and filled with an
// interleaved header (RFC 2326 §10.12) whose last two bytes are the frame length
// of RFC 4571: a TCP consumer sends them with the packet as one piece.
const prefixBytes = 4

// maxDatagram is the largest datagram of UDP.
const maxDatagram = 65535

// perReceive bounds the datagrams taken before the stream may flush.
const perReceive = 256

// A udpSource receives RTP datagrams.
type udpSource struct {
	end   *Receiver
	sock  *sock.UDP
	flows *flows
}

func (u *udpSource) Receive(s *media.Stream, deadline time.Time) error {
	ring, wait := s.Ring(), true
	for range perReceive {
		buf := ring.Reserve(prefixBytes + maxDatagram)
		n, err := u.sock.Receive(buf[prefixBytes:], wait, deadline)
		if err != nil {
			return fmt.Errorf("media on port %d: %w", u.end.port, err)
		}
		if n == 0 {
			break
		}
		wait = false
		buf[0], buf[1] = '$', 0
		binary.BigEndian.PutUint16(buf[2:], uint16(n))
		g := ring.Commit(prefixBytes + n)
		g.Off, g.Len = g.Off+prefixBytes, uint32(n)
		u.flows.push(s, g, time.Now())
	}
	return u.flows.alive(time.Now())
}

func (u *udpSource) Wake()        { u.sock.Wake() }
func (u *udpSource) Close() error { return u.end.Close() }

// A tcpSource receives RTP in frames: of RFC 4571 (length in two bytes), or
// interleaved as in RTSP ('$', channel, length), which some encoders send.
type tcpSource struct {
	end    *Receiver
	sock   *sock.TCP
	from   netip.AddrPort
	flows  *flows
	at     uint64 // position in the ring of the next frame
	begun  bool   // at is set
	prefix int    // bytes of a frame's header; 0: not known yet
}

// readBytes is taken from a connection at once.
const readBytes = 128 << 10

func (t *tcpSource) Receive(s *media.Stream, deadline time.Time) error {
	ring := s.Ring()
	if !t.begun {
		t.at, t.begun = ring.Head(), true
	}
	n, err := t.sock.Receive(ring.Reserve(readBytes), true, deadline)
	if err != nil {
		return fmt.Errorf("media from %s: %w", t.from, err)
	}
	ring.Commit(n)
	now := time.Now()
	if err := t.frames(s, now); err != nil {
		return err
	}
	return t.flows.alive(now)
}

// frames pushes every whole frame that has arrived.
func (t *tcpSource) frames(s *media.Stream, now time.Time) error {
	ring := s.Ring()
	for have := ring.Head() - t.at; have >= 5; have = ring.Head() - t.at {
		head := ring.Bytes(media.Range{Off: t.at, Len: 5})
		if t.prefix == 0 {
			if t.prefix = framing(head); t.prefix == 0 {
				return fmt.Errorf("media from %s: % x is no RTP frame", t.from, head)
			}
		}
		if t.prefix == 4 && head[0] != '$' {
			return fmt.Errorf("media from %s: interleaved frame begins with %#x", t.from, head[0])
		}
		size := uint64(binary.BigEndian.Uint16(head[t.prefix-2:]))
		if have < uint64(t.prefix)+size {
			return nil
		}
		if size > 0 {
			t.flows.push(s, media.Range{Off: t.at + uint64(t.prefix), Len: uint32(size)}, now)
		}
		t.at += uint64(t.prefix) + size
	}
	return nil
}

// framing tells from the first bytes of a connection how it is framed: the bytes
// of header before each packet, or 0 if this is no RTP.
func framing(head []byte) int {
	switch {
	case head[0] == '$' && head[4]>>6 == 2:
		return 4
	case head[2]>>6 == 2:
		return 2
	}
	return 0
}

func (t *tcpSource) Wake() { t.sock.Wake() }

func (t *tcpSource) Close() error {
	err := t.sock.Close()
	t.end.Close()
	return err
}
