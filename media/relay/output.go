package relay

import (
	"encoding/binary"
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// An arena is memory for headers of packets not yet sent. What it gave out stays
// as it is when it grows: the older memory is then kept alive by its users.
type arena struct{ mem []byte }

func (a *arena) reset() { a.mem = a.mem[:0] }

func (a *arena) take(n int) []byte {
	if len(a.mem)+n > cap(a.mem) {
		a.mem = make([]byte, 0, max(2*cap(a.mem), 64*rtpHeader))
	}
	at := len(a.mem)
	a.mem = a.mem[:at+n]
	return a.mem[at : at+n : at+n]
}

// A udpOutput sends datagrams, paced.
type udpOutput struct {
	sock  *sock.UDP
	batch sock.Batch
	heads arena
	sent  int
	pace  pacer
}

func (o *udpOutput) reset() {
	o.batch.Reset()
	o.heads.reset()
	o.sent = 0
}

func (o *udpOutput) header(n int) []byte {
	h := o.heads.take(n)
	o.batch.Add(h)
	return h
}

func (o *udpOutput) add(b []byte)  { o.batch.Add(b) }
func (o *udpOutput) end()          { o.batch.End() }
func (o *udpOutput) pending() bool { return o.sent < o.batch.Len() }
func (o *udpOutput) abandon()      { o.reset() }

// retry is when a full socket is tried again.
const retry = 5 * time.Millisecond

func (o *udpOutput) flush(now time.Time) (time.Time, error) {
	limit, wait := o.pace.allow(now, &o.batch, o.sent)
	sent, err := o.sock.Send(&o.batch, o.sent, limit)
	for ; o.sent < sent; o.sent++ {
		o.pace.spend(o.batch.Size(o.sent))
	}
	switch {
	case err != nil || !o.pending():
		return time.Time{}, err
	case sent < limit:
		return now.Add(retry), nil
	}
	return now.Add(wait), nil
}

// A pacer keeps a session from bursting: to begin with a whole group of pictures
// at once loses up to 78 % of it in socket buffers on the way. It is a bucket of
// bytes that fills at pacedSpeed times the stream's own rate.
type pacer struct {
	rate   float64 // bytes a second
	tokens float64
	filled time.Time
}

const (
	pacedSpeed = 8        // times the stream's bitrate
	pacedBurst = 64 << 10 // bytes that may go at once: most pictures but key frames
	pacedLeast = 2 << 20  // bytes a second, for streams not measured yet or nearly silent
	pacedPause = 2 * time.Millisecond
)

// measure derives the rate from what the stream's ring holds.
func (p *pacer) measure(st *media.Stream) {
	oldest, next := st.Units()
	if next-oldest < 2 {
		return
	}
	a, b := st.Unit(oldest), st.Unit(next-1)
	if a.Wall >= b.Wall {
		return
	}
	bytes := st.Packet(b.Flow, b.First).Off - st.Packet(a.Flow, a.First).Off
	p.rate = pacedSpeed * float64(bytes) / (float64(b.Wall-a.Wall) / float64(time.Second))
}

// allow returns up to which datagram of b may be sent now, from number sent on,
// and how long to wait for the rest.
func (p *pacer) allow(now time.Time, b *sock.Batch, sent int) (limit int, wait time.Duration) {
	rate := max(p.rate, pacedLeast)
	p.tokens = min(p.tokens+rate*now.Sub(p.filled).Seconds(), pacedBurst)
	p.filled = now
	limit = sent
	for left := p.tokens; limit < b.Len() && left > 0; limit++ {
		left -= float64(b.Size(limit))
	}
	return limit, pacedPause
}

func (p *pacer) spend(n int) { p.tokens -= float64(n) }

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
}

func (o *tcpOutput) reset() {
	o.vector.Reset()
	o.heads.reset()
	o.ends, o.total, o.size = o.ends[:0], 0, 0
}

func (o *tcpOutput) header(n int) []byte {
	h := o.heads.take(2 + n)
	o.frame = h[:2]
	o.vector.Add(h)
	o.size = n
	return h[2:]
}

func (o *tcpOutput) add(b []byte) {
	o.vector.Add(b)
	o.size += len(b)
}

func (o *tcpOutput) end() {
	binary.BigEndian.PutUint16(o.frame, uint16(o.size))
	o.total += 2 + o.size
	o.ends = append(o.ends, o.total)
}

func (o *tcpOutput) pending() bool { return o.vector.Len() > 0 }

func (o *tcpOutput) flush(now time.Time) (time.Time, error) {
	if err := o.sock.Send(&o.vector); err != nil || !o.pending() {
		return time.Time{}, err
	}
	o.keepTail()
	return now.Add(retry), nil
}

// keepTail saves the rest of a packet that was cut in the middle: should the
// ring be overwritten before the connection takes it, the frame can be finished.
func (o *tcpOutput) keepTail() {
	sent, cut := o.total-o.vector.Len(), 0
	for i, end := range o.ends {
		begin := 0
		if i > 0 {
			begin = o.ends[i-1]
		}
		if begin < sent && sent < end {
			cut = end - sent
			break
		}
	}
	o.tail = o.vector.Rest(o.tail[:0], cut)
}

// abandon leaves only the rest of a packet already begun.
func (o *tcpOutput) abandon() {
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
}
