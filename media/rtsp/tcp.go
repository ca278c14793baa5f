package rtsp

import (
	"encoding/binary"
	"fmt"
	"time"

	"districtgateway/media"
)

// readBytes is taken from a connection at once.
const readBytes = 128 << 10

// A tcpSource receives RTP interleaved with RTSP on one connection (RFC 2326 §10.12).
type tcpSource struct {
	*link
	at    uint64 // position in the ring of the next frame or message
	begun bool
	spare [4 + reportBytes]byte
}

func (t *tcpSource) Receive(s *media.Stream, deadline time.Time) error {
	ring := s.Ring()
	if !t.begun {
		t.begun, t.at = true, ring.Head()
		ring.Commit(copy(ring.Reserve(len(t.rest)), t.rest))
		t.rest = nil
	}
	n, err := t.conn.Receive(ring.Reserve(readBytes), true, deadline)
	if err != nil {
		return err
	}
	ring.Commit(n)
	now := time.Now()
	if err := t.parse(s, now); err != nil {
		return err
	}
	return t.housekeep(now)
}

// parse pushes every whole frame that has arrived.
func (t *tcpSource) parse(s *media.Stream, now time.Time) error {
	ring := s.Ring()
	for have := ring.Head() - t.at; have >= 4; have = ring.Head() - t.at {
		head := ring.Bytes(media.Range{Off: t.at, Len: 4})
		if head[0] != '$' {
			n, err := passOver(ring.Bytes(media.Range{Off: t.at, Len: uint32(min(have, maxMessage*2))}))
			if n == 0 || err != nil {
				return err
			}
			t.at += uint64(n)
			continue
		}
		size := uint64(binary.BigEndian.Uint16(head[2:]))
		if have < 4+size {
			return nil
		}
		t.frame(s, int(head[1]), media.Range{Off: t.at + 4, Len: uint32(size)}, now)
		t.at += 4 + size
	}
	return nil
}

// frame sorts one interleaved frame.
func (t *tcpSource) frame(s *media.Stream, channel int, g media.Range, now time.Time) {
	for _, f := range t.session.flows {
		switch channel {
		case f.channels[0]:
			t.packets++
			f.push(s, g, now)
			return
		case f.channels[1]:
			f.sender(s.Ring().Bytes(g), now)
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
