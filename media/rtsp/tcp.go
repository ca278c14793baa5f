package rtsp

import (
	"encoding/binary"
	"fmt"
	"time"

	"districtgateway/media"
)

const (
	readBytes = 128 << 10 // taken from a connection at once
	// ringPart bounds what is taken before the stream may flush, as a part of the
	// ring: an encoder that never stops must not lap the sinks at one stroke.
	ringPart  = 8
	leastRing = 4 * readBytes // what a frame of any size fits besides a read
)

// A tcpSource receives RTP interleaved with RTSP on one connection (RFC 2326 §10.12).
type tcpSource struct {
	*link
	at    uint64 // position in the ring of the next frame or message
	begun bool
	spare [4 + reportBytes]byte
	plea  [4 + feedbackBytes]byte
}

func (t *tcpSource) Receive(s *media.Stream, deadline time.Time) error {
	if err := t.take(s.Ring(), deadline); err != nil {
		return err
	}
	now := time.Now()
	if err := t.parse(s, now); err != nil {
		return err
	}
	return t.housekeep(now)
}

// take puts what has arrived into the ring: first what came with the answers.
func (t *tcpSource) take(ring *media.Ring, deadline time.Time) error {
	if !t.begun {
		t.begun, t.at = true, ring.Head()
	}
	buf := ring.Reserve(min(readBytes, ring.Size()/ringPart))
	if n := copy(buf, t.rest); n > 0 {
		ring.Commit(n)
		t.rest = t.rest[n:]
		return nil
	}
	n, err := t.conn.Receive(buf, true, deadline)
	if err != nil {
		return closed(err)
	}
	ring.Commit(n)
	return nil
}

// parse pushes every whole frame that has arrived.
func (t *tcpSource) parse(s *media.Stream, now time.Time) error {
	ring := s.Ring()
	for have := ring.Head() - t.at; have >= 4; have = ring.Head() - t.at {
		head := ring.Bytes(media.Range{Off: t.at, Len: 4})
		if head[0] != '$' {
			n, err := t.word(ring.Bytes(media.Range{Off: t.at, Len: uint32(min(have, maxMessage*2))}))
			if n == 0 || err != nil {
				return err
			}
			t.at += uint64(n)
			continue
		}
		size := uint64(binary.BigEndian.Uint16(head[2:]))
		if have < 4+size {
			return t.fits(ring, 4+size)
		}
		t.frame(s, int(head[1]), media.Range{Off: t.at + 4, Len: uint32(size)}, now)
		t.at += 4 + size
	}
	return nil
}

// word deals with the message at the beginning of b, and returns its length; 0 if
// it is not whole yet.
func (t *tcpSource) word(b []byte) (int, error) {
	if b[0] == '\r' || b[0] == '\n' {
		return 1, nil
	}
	n, err := passOver(b)
	if n == 0 || err != nil {
		return 0, err
	}
	return n, t.handle(b[:n])
}

// fits refuses a frame that the ring would lap before it is whole.
func (t *tcpSource) fits(ring *media.Ring, whole uint64) error {
	if ring.Size() < leastRing && whole > uint64(ring.Size()/2) {
		return fmt.Errorf("frame of %d bytes, want %d at most", whole, ring.Size()/2)
	}
	return nil
}

// frame sorts one interleaved frame: by channel and, since some encoders give all
// tracks the same, by payload type.
func (t *tcpSource) frame(s *media.Stream, channel int, g media.Range, now time.Time) {
	p := s.Ring().Bytes(g)
	for _, f := range t.session.flows {
		switch {
		case channel == f.channels[0] && f.takes(p):
			t.packets++
			f.push(s, g, now)
			return
		case channel == f.channels[1] && f.sender(p, now):
			return
		}
	}
}

// housekeep keeps the session alive and sends receiver reports.
func (t *tcpSource) housekeep(now time.Time) error {
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.keepAlive(now); err != nil {
		return fmt.Errorf("keepalive: %w", err)
	}
	if t.out.Len() == 0 && t.reportDue(now) {
		for _, f := range t.session.flows {
			if f.received == 0 || t.out.Len() > 0 {
				continue
			}
			t.spare[0], t.spare[1] = '$', byte(f.channels[1])
			binary.BigEndian.PutUint16(t.spare[2:], reportBytes)
			f.report(t.spare[4:], t.ssrc, now)
			if err := t.write(t.spare[:]); err != nil {
				return err
			}
		}
	}
	return t.watch(now)
}

func (t *tcpSource) Wake() { t.conn.Wake() }

func (t *tcpSource) Close() error {
	t.teardown()
	return nil
}
