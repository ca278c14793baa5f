package media_test

import (
	"errors"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mediatest/cost"
)

// rtpCases seed FuzzParseRTP.
var rtpCases = map[string]struct {
	in     []byte
	want   media.RTP
	offset int // of the fault; -1: none
}{
	"plain": {
		[]byte{0x80, 0xE0, 1, 2, 0, 0, 0, 9, 0, 0, 0, 7, 1, 2, 3},
		media.RTP{SSRC: 7, Timestamp: 9, Payload: 3, Header: 12, Seq: 0x102, PayloadType: 96, Marker: true}, -1,
	},
	"sources": {
		[]byte{0x82, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 9},
		media.RTP{Payload: 1, Header: 20, PayloadType: 96}, -1,
	},
	"extension": {
		[]byte{0x90, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xBE, 0xDE, 0, 1, 1, 1, 1, 1, 9, 9},
		media.RTP{Payload: 2, Header: 20, PayloadType: 96}, -1,
	},
	"padding": {
		[]byte{0xA0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9, 0, 2},
		media.RTP{Payload: 2, Header: 12, PayloadType: 96}, -1,
	},
	"nothing but padding":     {[]byte{0xA0, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}, media.RTP{Header: 12, PayloadType: 96}, -1},
	"no payload":              {[]byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, media.RTP{Header: 12, PayloadType: 96}, -1},
	"short":                   {[]byte{0x80, 96, 0}, media.RTP{}, 3},
	"empty":                   {nil, media.RTP{}, 0},
	"another version":         {make([]byte, 20), media.RTP{}, 0},
	"RTCP sender report":      {append([]byte{0x80, 200}, make([]byte, 26)...), media.RTP{}, 1},
	"RTCP application":        {append([]byte{0x80, 204}, make([]byte, 26)...), media.RTP{}, 1},
	"sources beyond the end":  {append([]byte{0x8F, 96}, make([]byte, 20)...), media.RTP{}, 12},
	"extension cut off":       {append([]byte{0x90, 96}, make([]byte, 11)...), media.RTP{}, 12},
	"extension beyond it":     {append([]byte{0x90, 96}, append(make([]byte, 10), 0, 0, 0, 9, 1)...), media.RTP{}, 12},
	"padding of nothing":      {append([]byte{0xA0, 96}, make([]byte, 12)...), media.RTP{}, 13},
	"padding beyond the head": {append([]byte{0xA0, 96}, append(make([]byte, 10), 1, 200)...), media.RTP{}, 13},
}

func TestParseRTP(t *testing.T) {
	for name, tc := range rtpCases {
		t.Run(name, func(t *testing.T) {
			got, err := media.ParseRTP(tc.in)
			offset := -1
			if se, ok := errors.AsType[*media.SyntaxError](err); ok {
				offset = se.Offset
			}
			if offset != tc.offset || err == nil && got != tc.want {
				t.Errorf("ParseRTP(% X) = %+v, %v; want %+v, fault at %d", tc.in, got, err, tc.want, tc.offset)
			}
		})
	}
}

func FuzzParseRTP(f *testing.F) {
	for _, tc := range rtpCases {
		f.Add(tc.in)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h media.RTP
		var err error
		cost.Bound(t, func() { h, err = media.ParseRTP(b) })
		if err == nil && (h.Header < 12 || int(h.Header)+int(h.Payload) > len(b)) {
			t.Errorf("payload %d+%d of %d bytes", h.Header, h.Payload, len(b))
		}
	})
}

// A script is a sequence of packets for the fuzzer, each: a byte of control, a byte
// of length, the bytes. Control: bit 0 another flow; bit 1 the bytes are a payload, to
// which a proper header is given; bits 2–3 how much the sequence number moves on;
// bit 4 the timestamp moves on; bit 5 marker; bit 6 100 ms pass; bit 7 close units.
func script(packets ...[]byte) (b []byte) {
	for _, p := range packets {
		b = append(append(b, 0x26, byte(len(p))), p...)
	}
	return b
}

// fuzzStream plays a script on a stream and checks what comes out.
func fuzzStream(t *testing.T, kind uint8, b []byte) {
	codecs := []media.Codec{media.H264, media.H265, media.AAC, media.G711A}
	o := media.Opened{Ordered: kind&16 != 0}
	switch c := codecs[kind&3]; {
	case kind&4 != 0:
		o.Carriage, o.Unpacker = media.CarriagePS, &packReader{}
	case kind&8 != 0:
		o.Carriage, o.Tracks = media.CarriageFrames, []media.Track{{Codec: c}, {Codec: media.AAC}}
	default:
		o.Tracks = []media.Track{{Codec: c, PayloadType: 96}, {Codec: media.G711A, PayloadType: 8}}
	}
	r := newRig(t, media.StreamConfig{RingBytes: 64 << 10, RingMax: 256 << 10, Live: true}, o)
	k := &invariants{t: t}
	if err := r.s.Attach(k); err != nil {
		t.Fatal(err)
	}
	heads := []*mediatest.Packetizer{{PayloadType: 96, Seq: 65500}, {PayloadType: 8}}
	ts := uint32(1<<32 - 40000)
	for len(b) >= 2 {
		control, n := b[0], min(int(b[1]), len(b)-2)
		body := b[2 : 2+n]
		b = b[2+n:]
		flow := int(control & 1)
		if control&0x10 != 0 {
			ts += 3600
		}
		if o.Carriage == media.CarriageFrames {
			g := mediatest.Put(r.s, body)
			_ = r.s.PushFrame(media.Frame{Track: uint8(flow), Range: g, PTS: media.Ticks(ts), DTS: media.Ticks(ts), Key: control&4 != 0})
		} else {
			if control&2 != 0 {
				heads[flow].Seq += uint16([]int{0, 1, 65535, 70}[control>>2&3])
				body = heads[flow].Packet(ts, control&0x20 != 0, body)
			}
			_ = r.s.PushRTP(flow, mediatest.Put(r.s, body), r.now)
		}
		if control&0x40 != 0 {
			r.later(100 * time.Millisecond)
			r.s.Flush(r.now)
		}
		if control&0x80 != 0 {
			r.s.CloseUnits()
		}
	}
	r.s.CloseUnits()
	r.s.Flush(r.now)
}

// invariants is a sink that checks every unit and access unit it is given.
type invariants struct {
	t      *testing.T
	cursor media.Cursor
	last   [2]media.Ticks // decoding time of each flow's last unit
	any    [2]bool
}

func (k *invariants) Flush(s *media.Stream, _ time.Time) (time.Time, error) {
	k.cursor.FromOldest()
	for {
		n, ok := k.cursor.Next(s)
		if !ok {
			return time.Time{}, nil
		}
		u := s.Unit(n)
		oldest, next := s.Units()
		if n < oldest || n >= next || !s.Held(u) || u.First >= u.End || u.Flow > 1 {
			k.t.Errorf("unit %d of %d to %d: %+v", n, oldest, next, u)
		}
		if s.Carriage() != media.CarriageFrames {
			if k.any[u.Flow] && u.DTS <= k.last[u.Flow] {
				k.t.Errorf("unit %d is decoded at %d, after one at %d", n, u.DTS, k.last[u.Flow])
			}
			k.last[u.Flow], k.any[u.Flow] = u.DTS, true
		}
		for p := u.First; p < u.End; p++ {
			k.inside(s, s.Packet(u.Flow, p).Range, s.Packet(u.Flow, p).Body())
		}
		units, _ := s.Unpack(n)
		for i := range units {
			k.unit(s, &units[i])
		}
	}
}

// unit checks an access unit.
func (k *invariants) unit(s *media.Stream, a *media.AccessUnit) {
	for i := range a.NALs {
		nal := &a.NALs[i]
		size := uint32(nal.HeadLen)
		for _, g := range nal.Body {
			size += g.Len
			k.inside(s, media.Range{Off: 0, Len: 0}, g)
		}
		if size != nal.Size || size == 0 {
			k.t.Errorf("NAL unit of %d bytes says %d", size, nal.Size)
		}
	}
	for _, g := range a.Payload {
		k.inside(s, media.Range{}, g)
	}
	if len(a.NALs) == 0 && len(a.Payload) == 0 {
		k.t.Error("an access unit of nothing")
	}
}

// inside checks that g is held, and within outer if that is not empty.
func (k *invariants) inside(s *media.Stream, outer, g media.Range) {
	if !s.Ring().Holds(g) || outer.Len > 0 && (g.Off < outer.Off || g.End() > outer.End()) {
		k.t.Errorf("range %v is not within %v and the ring up to %d", g, outer, s.Ring().Head())
	}
}

func (k *invariants) Close(err error) {
	if err != nil {
		k.t.Errorf("closed: %v", err)
	}
}

func FuzzStream(f *testing.F) {
	for kind, c := range []media.Codec{media.H264, media.H265} {
		var payloads [][]byte
		for i := range 4 {
			for _, nal := range mediatest.Picture(c, i == 0, 300, byte(i)) {
				payloads = append(payloads, mediatest.Fragment(c, nal, 120)...)
			}
		}
		payloads = append(payloads, mediatest.Aggregate(c, mediatest.Parameters(c)...))
		f.Add(uint8(kind), script(payloads...))
		f.Add(uint8(kind|16), script(payloads...))
		f.Add(uint8(kind|4), script(pack(c, true, mediatest.Picture(c, true, 60, 1)...), pack(c, false, mediatest.Slice(c, false, 60, 1))))
		f.Add(uint8(kind|8), script(mediatest.Lengths(mediatest.Picture(c, true, 60, 1)...)))
	}
	f.Add(uint8(2), script([]byte{0, 16, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, []byte{0, 32, 0, 8, 0, 8, 1, 2}))
	f.Add(uint8(3), script([]byte{1, 2, 3}))
	// Another sender, with headers of its own, among and after the first.
	var other []byte
	first, second := &mediatest.Packetizer{PayloadType: 96, SSRC: 1}, &mediatest.Packetizer{PayloadType: 96, SSRC: 2, Seq: 30000}
	for i := range 6 {
		for _, p := range []*mediatest.Packetizer{first, second, second} {
			b := p.Packet(uint32(3600*i), true, mediatest.Slice(media.H264, i%3 == 0, 40, 1))
			other = append(append(other, 0x40, byte(len(b))), b...)
		}
		second.Seq += uint16(9000 * (i % 2)) // and begins anew
	}
	f.Add(uint8(0), other)
	f.Add(uint8(4), other)
	f.Add(uint8(0), []byte{0x00, 12, 0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		if len(b) > 16<<10 {
			return // 4000 packets: time grows with their number, see BenchmarkPacketToThreeSinks
		}
		cost.Bound(t, func() { fuzzStream(t, kind, b) })
	})
}
