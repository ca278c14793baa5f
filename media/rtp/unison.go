package rtp

import (
	"encoding/binary"

	"districtgateway/media"
)

// A Unison is a [Flow] that many viewers get alike: under the same numbers, over UDP or in
// interleaved frames of the same channel (RFC 2326 §10.12). Each packet is made once,
// and where it lies: its frame and its header are written into the ring, over those it
// came with. A picture is one run of memory then, where it came as one, and costs a
// connection one piece instead of two a packet.
//
// That takes room before the payload, which packets have that came interleaved
// themselves (see [media.Packet]), or under a header longer than ours. A viewer who
// missed something, or was sent something of his own, goes on without the others, under
// headers of his own. A track has one unison at a time: another one would write over
// what this one gives out. It belongs to the owner of the stream.
type Unison struct {
	flow    Flow
	channel byte

	// The packets that are made are those of the track from number first on, before
	// number next.
	first, next uint64

	last Passage
	head [room]byte
}

// room is what is written before the payload of a packet, in bytes: its frame, and its
// header.
const room = FrameSize + HeaderSize

// A Passage is the packets of one unit as a [Unison] made them: at least one.
type Passage struct {
	First, Next     uint16 // sequence numbers of the first packet, and of what comes after the last
	Packets, Octets uint32 // how many, and their payload in bytes

	begin, end uint64 // their numbers in the flow of the stream
	packets    []media.Range
	ranges     []media.Range // the same, those that follow each other as one
	ends       []int         // positions after each packet, from the beginning
}

// NewUnison makes a unison of f on a channel.
func NewUnison(f Flow, channel byte) *Unison { return &Unison{flow: f, channel: channel} }

// Flow returns what all viewers have in common, without numbers and counters. Any
// goroutine.
func (n *Unison) Flow() Flow {
	return Flow{Codec: n.flow.Codec, Rate: n.flow.Rate, PayloadType: n.flow.PayloadType, SSRC: n.flow.SSRC}
}

// Channel returns the channel of the frames. Any goroutine.
func (n *Unison) Channel() byte { return n.channel }

// Passage returns the packets of u, a unit of the flow's track in [media.CarriageRTP] that
// is held; nil if they cannot be made where they lie, or come before some that are made.
// It is valid until the next call.
func (n *Unison) Passage(s *media.Stream, u media.Unit) *Passage {
	if p := &n.last; u.First == p.begin && u.End == p.end {
		return p
	}
	switch {
	case n.made(u):
	case u.First < n.next || !roomy(s, u):
		return nil
	default:
		n.make(s, u)
	}
	n.gather(s, u)
	return &n.last
}

// made reports whether the packets of u are made.
func (n *Unison) made(u media.Unit) bool { return u.First >= n.first && u.End <= n.next }

// roomy reports whether the packets of u have room before their payload.
func roomy(s *media.Stream, u media.Unit) bool {
	for i := u.First; i < u.End; i++ {
		if p := s.Packet(u.Flow, i); int(p.Front)+int(p.Header) < room {
			return false
		}
	}
	return true
}

// make makes the packets of u.
func (n *Unison) make(s *media.Stream, u media.Unit) {
	if u.First != n.next {
		n.first = u.First // some before it were not made
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
		PutHeader(n.head[FrameSize:], t)
		s.Ring().Rewrite(p.Body().Off-room, n.head[:])
		n.flow.Seq++
	}
	n.next = u.End
}

// gather describes the packets of u, which are made.
func (n *Unison) gather(s *media.Stream, u media.Unit) {
	r := &n.last
	r.begin, r.end = u.First, u.End
	r.packets, r.ranges, r.ends, r.Octets, r.Packets = r.packets[:0], r.ranges[:0], r.ends[:0], 0, uint32(u.End-u.First)
	total := 0
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
		r.packets = append(r.packets, g)
		r.Octets += p.Payload
	}
	r.First = n.seqAt(s, r.packets[0])
	r.Next = n.seqAt(s, r.packets[len(r.packets)-1]) + 1
}

// seqAt returns the sequence number of the packet that was made at the beginning of g.
func (n *Unison) seqAt(s *media.Stream, g media.Range) uint16 {
	return binary.BigEndian.Uint16(s.Ring().Bytes(media.Range{Off: g.Off + FrameSize + 2, Len: 2}))
}

// From returns the sequence number of the first packet of a track, the flow's, that a
// connection gets which begins with unit number at: that of one that is made, or else of
// the next one to be made.
func (n *Unison) From(s *media.Stream, track uint8, at uint64) uint16 {
	for _, end := s.Units(); at < end; at++ {
		u := s.Unit(at)
		if u.Flow != track || !s.Held(u) {
			continue
		}
		if n.made(u) {
			return n.seqAt(s, media.Range{Off: s.Packet(u.Flow, u.First).Body().Off - room})
		}
		break
	}
	return n.flow.Seq
}
