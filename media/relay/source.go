package relay

import (
	"encoding/binary"
	"fmt"
	"io"
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

// Bounds of what is taken before the stream may flush: datagrams, and parts of the
// ring. A sender that never stops must not keep the owner from its sinks, nor lap
// them at one stroke.
const (
	perReceive  = 256
	ringPart    = 8
	readBytes   = 128 << 10     // taken from a connection at once
	fromSilence = time.Second   // after it another sender is believed
	leastRing   = 4 * readBytes // what a frame of any size fits besides a read
)

// A udpSource receives RTP datagrams. It keeps to the sender that the first of
// them came from until that falls silent: the sender of the port's last session
// may still pour. Who does not send from where the answer says must have the agreed
// SSRC.
type udpSource struct {
	end   *Receiver
	sock  *sock.UDP
	flows *flows
	from  netip.AddrPort
}

func (u *udpSource) Receive(s *media.Stream, deadline time.Time) error {
	ring, wait := s.Ring(), true
	room := min(maxDatagram, ring.Size()/ringPart)
	for n, taken := 0, 0; n < perReceive && taken < ring.Size()/ringPart; n++ {
		buf := ring.Reserve(prefixBytes + room)
		size, err := u.sock.Receive(buf[prefixBytes:], wait, deadline)
		if err != nil {
			return fmt.Errorf("media on port %d: %w", u.end.port, err)
		}
		if size == 0 {
			break
		}
		wait = false
		taken += prefixBytes + size
		buf[0], buf[1] = '$', 0
		binary.BigEndian.PutUint16(buf[2:], uint16(size))
		g := ring.Commit(prefixBytes + size)
		g.Off, g.Len = g.Off+prefixBytes, uint32(size)
		u.push(s, g, time.Now())
	}
	return u.flows.alive(time.Now())
}

// push gives one datagram to the stream if it comes from where the others do.
func (u *udpSource) push(s *media.Stream, g media.Range, now time.Time) {
	from := u.sock.From()
	if from != u.from && u.from.IsValid() && now.Sub(u.flows.last) < fromSilence &&
		!(u.flows.plain && from.Addr() == u.from.Addr()) { // plain RTP may have a socket for each track
		s.CountStray()
		return
	}
	u.flows.strange = !u.end.remote.from(from)
	if u.flows.push(s, g, now) {
		u.from = from
	}
}

func (u *udpSource) Wake()         { u.sock.Wake() }
func (u *udpSource) Close() error  { return u.end.Close() }
func (u *udpSource) AskKey() error { return u.end.askKey() }

// A tcpSource receives RTP in frames: of RFC 4571 (length in two bytes), or
// interleaved as in RTSP ('$', channel, length), which some encoders send.
type tcpSource struct {
	end    *Receiver
	sock   *sock.TCP
	from   netip.AddrPort
	flows  *flows
	at     uint64    // position in the ring of the next frame
	begun  bool      // at is set
	head   []byte    // what was read before there was a ring
	prefix int       // bytes of a frame's header; 0: not known yet
	junk   int       // frames in a row that are no RTP
	left   time.Time // when Receive returned last
}

// maxJunk is how many frames in a row may be no RTP before framing counts as lost:
// it does not come back by itself.
const maxJunk = 64

func (t *tcpSource) Receive(s *media.Stream, deadline time.Time) error {
	ring := s.Ring()
	if !t.begun {
		t.at, t.begun = ring.Head(), true
		copy(ring.Reserve(len(t.head)), t.head)
		ring.Commit(len(t.head))
	}
	if !t.left.IsZero() {
		t.flows.pause(time.Since(t.left))
	}
	defer func() { t.left = time.Now() }()
	n, err := t.sock.Receive(ring.Reserve(min(readBytes, ring.Size()/ringPart)), true, deadline)
	if err == io.EOF && t.end.cfg.Finite && t.at == ring.Head() {
		return media.ErrEnded
	}
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
			if head[0]|head[1] == 0 {
				t.at += 2 // an empty frame, which tells nothing
				continue
			}
			t.prefix = framing(head)
		}
		if t.prefix == 0 || t.prefix == 4 && head[0] != '$' {
			return fmt.Errorf("media from %s: % x is no RTP frame", t.from, head)
		}
		size := uint64(binary.BigEndian.Uint16(head[t.prefix-2:]))
		whole := uint64(t.prefix) + size
		if have < whole {
			return t.fits(ring, whole)
		}
		if err := t.frame(s, media.Range{Off: t.at + uint64(t.prefix), Len: uint32(size)}, now); err != nil {
			return err
		}
		t.at += whole
	}
	return nil
}

// fits refuses a frame that the ring would lap before it is whole.
func (t *tcpSource) fits(ring *media.Ring, whole uint64) error {
	if ring.Size() < leastRing && whole > uint64(ring.Size()/2) {
		return fmt.Errorf("media from %s: frame of %d bytes, want %d at most", t.from, whole, ring.Size()/2)
	}
	return nil
}

// frame pushes one frame.
func (t *tcpSource) frame(s *media.Stream, g media.Range, now time.Time) error {
	switch {
	case g.Len == 0:
	case isRTP(s.Ring().Bytes(g)):
		t.junk = 0
		t.flows.push(s, g, now)
	default:
		if t.junk++; t.junk > maxJunk {
			return fmt.Errorf("media from %s: %d frames in a row are no RTP", t.from, t.junk)
		}
	}
	return nil
}

// framing tells from the first bytes of a connection how it is framed: the bytes
// of header before each packet, or 0 if this is no RTP. A '$' can also be the
// length of a frame of 9 kB, but then RTP's version follows where the interleaved
// header has a length beyond 32 kB.
func framing(head []byte) int {
	switch {
	case head[2]>>6 == 2:
		return 2
	case head[0] == '$' && head[4]>>6 == 2:
		return 4
	}
	return 0
}

func (t *tcpSource) Wake()         { t.sock.Wake() }
func (t *tcpSource) AskKey() error { return t.end.askKey() }

func (t *tcpSource) Close() error {
	err := t.sock.Close()
	t.end.Close()
	return err
}
