package rtp

import (
	"encoding/binary"

	"districtgateway/media"
)

// A Unison is a [Flow] that many connections carry alike: under the same numbers, in
// interleaved frames of the same channel (RFC 2326 §10.12). Each packet is made once,
// and where it lies: its frame and its header are written into the ring, over those it
// came with. A picture is one run of memory then, where it came as one, and costs a
// connection one piece instead of two a packet.
//
// That takes room before the payload, which packets have that came interleaved
// themselves: see [media.Packet]. A connection that missed something, or
// was sent something of its own, goes on without the others, under headers of its own.
type Unison struct {
	flow    Flow
	channel byte

	// The packets that are made lie in the ring from position from on, before position
	// to. Next is the number of the first one that is not.
	from, to, next uint64

	run  Run
	head [room]byte
}

// room is what is written before the payload of a packet, in bytes.
const room = 4 + HeaderSize

// A Run is the packets of one unit as a [Unison] made them.
type Run struct {
	First, Next     uint16 // sequence numbers of the first packet, and of what comes after the last
	Packets, Octets uint32 // how many, and their payload in bytes

	begin, end uint64 // their numbers in the stream
	at         uint64 // position of the first one
	ranges     []media.Range
	ends       []int // positions after each packet, from the beginning of the run
}

// NewUnison makes a unison of f on a channel.
func NewUnison(f Flow, channel byte) *Unison { return &Unison{flow: f, channel: channel} }

// Flow returns what all connections have in common. Any goroutine; numbers and counters
// are those of the beginning.
func (n *Unison) Flow() Flow {
	return Flow{Codec: n.flow.Codec, Rate: n.flow.Rate, PayloadType: n.flow.PayloadType, SSRC: n.flow.SSRC}
}

// Channel returns the channel of the frames. Any goroutine.
func (n *Unison) Channel() byte { return n.channel }

// Run returns the packets of u, a unit of the flow's track in [media.CarriageRTP] that
// is held; nil if they cannot be made where they lie, or are not made like those
// after them. It is valid until the next call.
func (n *Unison) Run(s *media.Stream, u media.Unit) *Run {
	at := s.Packet(u.Flow, u.First).Off
	if r := &n.run; len(r.ends) > 0 && at == r.at && u.First == r.begin && u.End == r.end {
		return r
	}
	switch {
	case at >= n.to:
		if !roomy(s, u) {
			return nil
		}
		n.make(s, u, at)
	case at < n.from || s.Packet(u.Flow, u.End-1).Off >= n.to:
		return nil
	}
	n.gather(s, u, at)
	return &n.run
}

// roomy reports whether the packets of u have room before them, and lie in their order.
func roomy(s *media.Stream, u media.Unit) bool {
	last := uint64(0)
	for i := u.First; i < u.End; i++ {
		p := s.Packet(u.Flow, i)
		if int(p.Front)+int(p.Header) < room || p.Off < last {
			return false
		}
		last = p.Off
	}
	return true
}

// make makes the packets of u, whose first one lies at a position.
func (n *Unison) make(s *media.Stream, u media.Unit, at uint64) {
	if u.First != n.next {
		n.from = at // some before it were not made
	}
	t, last := n.flow.stamp(u.PTS), uint16(0)
	for i := u.First; i < u.End; i++ {
		p := s.Packet(u.Flow, i)
		if i > u.First {
			n.flow.Seq += p.Seq - last - 1
		}
		last, t.Seq, t.Marker = p.Seq, n.flow.Seq, n.flow.marks(u, i, p)
		n.head[0], n.head[1] = '$', n.channel
		binary.BigEndian.PutUint16(n.head[2:], uint16(HeaderSize+p.Payload))
		PutHeader(n.head[4:], t)
		s.Ring().Rewrite(p.Body().Off-room, n.head[:])
		n.flow.Seq++
		n.to = p.Off + 1
	}
	n.next = u.End
}

// gather describes the packets of u, which are made.
func (n *Unison) gather(s *media.Stream, u media.Unit, at uint64) {
	r := &n.run
	r.begin, r.end, r.at = u.First, u.End, at
	r.ranges, r.ends, r.Octets, r.Packets = r.ranges[:0], r.ends[:0], 0, uint32(u.End-u.First)
	total, last := 0, media.Range{}
	for i := u.First; i < u.End; i++ {
		p := s.Packet(u.Flow, i)
		g := media.Range{Off: p.Body().Off - room, Len: room + p.Payload}
		if k := len(r.ranges) - 1; k >= 0 && g.Off == r.ranges[k].End() {
			r.ranges[k].Len += g.Len
		} else {
			r.ranges = append(r.ranges, g)
		}
		total += int(g.Len)
		r.ends = append(r.ends, total)
		r.Octets += p.Payload
		last = g
	}
	r.First = n.seqAt(s, r.ranges[0])
	r.Next = n.seqAt(s, last) + 1
}

// seqAt returns the sequence number of the packet that was made at the beginning of g.
func (n *Unison) seqAt(s *media.Stream, g media.Range) uint16 {
	return binary.BigEndian.Uint16(s.Ring().Bytes(media.Range{Off: g.Off + 6, Len: 2}))
}

// From returns the sequence number of the first packet from unit number at on.
func (n *Unison) From(s *media.Stream, track uint8, at uint64) uint16 {
	for _, end := s.Units(); at < end; at++ {
		u := s.Unit(at)
		if u.Flow != track || !s.Held(u) {
			continue
		}
		p := s.Packet(u.Flow, u.First)
		if p.Off >= n.from && p.Off < n.to {
			return n.seqAt(s, media.Range{Off: p.Body().Off - room})
		}
		break
	}
	return n.flow.Seq
}
