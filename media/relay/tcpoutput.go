package relay

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"districtgateway/media/sock"
)

// frameHeader is the length before each packet (RFC 4571 §2).
const frameHeader = 2

// A tcpOutput writes RTP in frames of RFC 4571.
type tcpOutput struct {
	sock   *sock.TCP
	vector sock.Vector
	heads  arena
	ends   []int  // positions after each packet, from the beginning of the unit
	total  int    // bytes of the unit so far
	frame  []byte // length field of the packet being built
	size   int    // its bytes so far, length field left out
	tail   []byte // what is left of the packet that was cut in the middle

	heard time.Time // when what the receiver sends was last thrown away
	deaf  bool      // it sends no more
	last  goodbye
	spare [2048]byte
}

// A goodbye is the end of a connection on which everything was written.
type goodbye struct {
	said   bool
	unsent int       // bytes that the receiver has not acknowledged
	since  time.Time // of that many
}

// How long the last bytes may take. A receiver of ours closes when it has passed on
// everything, however long that takes; others wait for a word by SIP, which is
// only said afterwards.
const (
	closeWithin = 10 * time.Second // from the last acknowledgement
	stuckLimit  = time.Hour        // without an acknowledgement
)

func (o *tcpOutput) reset() {
	o.vector.Reset()
	o.heads.reset()
	o.ends, o.total, o.size = o.ends[:0], 0, 0
}

func (o *tcpOutput) header(n int) []byte {
	h := o.heads.take(frameHeader + n)
	o.frame = h[:frameHeader]
	o.vector.Add(h)
	o.size = n
	return h[frameHeader:]
}

func (o *tcpOutput) add(b []byte) {
	o.vector.Add(b)
	o.size += len(b)
}

func (o *tcpOutput) end() {
	binary.BigEndian.PutUint16(o.frame, uint16(o.size))
	o.total += frameHeader + o.size
	o.ends = append(o.ends, o.total)
}

func (o *tcpOutput) pending() bool { return o.vector.Len() > 0 }

func (o *tcpOutput) flush(now time.Time) (time.Time, error) {
	if err := o.hear(now); err != nil || !o.pending() {
		return time.Time{}, err
	}
	if err := o.sock.Send(&o.vector); err != nil || !o.pending() {
		return time.Time{}, err
	}
	_, cut := o.progress()
	o.tail = o.vector.Rest(o.tail[:0], cut)
	return now.Add(retry), nil
}

// hear throws away what the receiver sends, once a second: reports (RTCP) that
// would block it if nobody took them. A receiver that ends its own sending may
// still receive.
func (o *tcpOutput) hear(now time.Time) error {
	if o.deaf || now.Sub(o.heard) < time.Second {
		return nil
	}
	o.heard = now
	for range 8 {
		switch n, err := o.sock.Receive(o.spare[:], false, now); {
		case errors.Is(err, io.EOF):
			o.deaf = true
			return nil
		case err != nil || n == 0:
			return err
		}
	}
	return nil
}

// finish says that all was written, and reports whether the receiver has taken it.
func (o *tcpOutput) finish(now time.Time) bool {
	if o.pending() {
		return false
	}
	g := &o.last
	if !g.said {
		g.said, g.since = true, now
		if o.sock.CloseWrite() != nil {
			return true
		}
	}
	o.heard = time.Time{}
	if o.hear(now) != nil {
		return true
	}
	n, err := o.sock.Unsent()
	if err != nil || n == 0 && o.deaf {
		return true
	}
	if n != g.unsent {
		g.unsent, g.since = n, now
	}
	limit := closeWithin
	if n > 0 {
		limit = stuckLimit
	}
	return now.Sub(g.since) >= limit
}

// progress returns how many packets were begun, and how many bytes are left of the
// last of them, if the connection took it in part.
func (o *tcpOutput) progress() (begun, cut int) {
	sent := o.total - o.vector.Len()
	for begin := 0; begun < len(o.ends) && begin < sent; begun++ {
		begin = o.ends[begun]
		cut = max(begin-sent, 0)
	}
	return begun, cut
}

// abandon leaves only the rest of a packet already begun, which is in memory of
// its own from now on: the far end must find the next frame where it ends.
func (o *tcpOutput) abandon() (dropped, size, sent int) {
	sent, _ = o.progress()
	dropped = len(o.ends) - sent
	if dropped > 0 {
		begin := 0
		if sent > 0 {
			begin = o.ends[sent-1]
		}
		size = o.total - begin - dropped*(frameHeader+rtpHeader)
	}
	tail := o.tail
	o.reset()
	if len(tail) > 0 {
		h := o.heads.take(len(tail))
		copy(h, tail)
		o.vector.Add(h)
		o.total = len(tail)
		o.ends = append(o.ends, o.total)
	}
	o.tail = o.tail[:0]
	return dropped, size, sent
}
