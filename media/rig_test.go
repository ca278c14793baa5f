package media_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A rig drives a stream by hand, as its owner.
type rig struct {
	t   testing.TB
	s   *media.Stream
	now time.Time
}

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func newRig(t testing.TB, cfg media.StreamConfig, o media.Opened) *rig {
	t.Helper()
	if cfg.RingBytes == 0 {
		cfg.RingBytes = 1 << 20
	}
	r := &rig{t: t, s: media.NewStream(cfg, nil), now: epoch}
	r.s.Adopt(o, r.now)
	return r
}

// rtpRig is a rig of RTP flows.
func rtpRig(t testing.TB, tracks ...media.Track) *rig {
	t.Helper()
	return newRig(t, media.StreamConfig{}, media.Opened{Carriage: media.CarriageRTP, Tracks: tracks})
}

// psRig is a rig of program stream.
func psRig(t testing.TB) *rig {
	t.Helper()
	return newRig(t, media.StreamConfig{}, media.Opened{Carriage: media.CarriagePS, Unpacker: &packReader{}})
}

// push delivers packets that arrive together.
func (r *rig) push(flow int, packets ...[]byte) {
	r.t.Helper()
	for _, b := range packets {
		if err := r.s.PushRTP(flow, mediatest.Put(r.s, b), r.now); err != nil {
			r.t.Errorf("PushRTP(%X…): %v", b[:min(16, len(b))], err)
		}
	}
}

// later lets time pass.
func (r *rig) later(d time.Duration) { r.now = r.now.Add(d) }

// units returns every unit remembered.
func (r *rig) units() []media.Unit {
	oldest, next := r.s.Units()
	var all []media.Unit
	for n := oldest; n < next; n++ {
		all = append(all, r.s.Unit(n))
	}
	return all
}

// samples returns every access unit, with its bytes.
func (r *rig) samples() []mediatest.Sample {
	r.t.Helper()
	oldest, next := r.s.Units()
	var all []mediatest.Sample
	for n := oldest; n < next; n++ {
		units, err := r.s.Unpack(n)
		if err != nil {
			r.t.Errorf("Unpack(%d): %v", n, err)
		}
		for i := range units {
			all = append(all, mediatest.Copy(r.s, &units[i]))
		}
	}
	return all
}

// stats returns the counters.
func (r *rig) stats() media.StreamStats {
	r.s.Flush(r.now)
	return r.s.Stats()
}

// pack returns a pack of program stream with one video PES packet; a key pack
// brings system header and map. It is only as right as these tests need.
func pack(c media.Codec, key bool, nals ...[]byte) []byte {
	b := []byte{0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 1, 3, 0xF8}
	if key {
		streamType := byte(0x1B)
		if c == media.H265 {
			streamType = 0x24
		}
		b = append(b, 0, 0, 1, 0xBB, 0, 9, 0x80, 4, 1, 4, 0xE1, 0x7F, 0xE0, 0xE0, 0x80)
		b = append(b, 0, 0, 1, 0xBC, 0, 14, 0xE0, 0xFF, 0, 0, 0, 4, streamType, 0xE0, 0, 0, 1, 2, 3, 4)
	}
	pes := []byte{0x80, 0x80, 5, 0x21, 0, 1, 0, 1}
	for _, nal := range nals {
		pes = append(append(pes, 0, 0, 0, 1), nal...)
	}
	b = append(b, 0, 0, 1, 0xE0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pes)))
	return append(b, pes...)
}

// A packReader unpacks what pack makes, from units whose packets lie one after
// the other in the ring.
type packReader struct{ codec media.Codec }

func (p *packReader) Unpack(s *media.Stream, u media.Unit, b *media.Batch) error {
	first, last := s.Packet(u.Flow, u.First), s.Packet(u.Flow, u.End-1)
	if i := bytes.Index(s.Ring().Bytes(first.Body()), []byte{0, 0, 1, 0xBC}); i >= 0 {
		p.codec = media.H264
		if s.Ring().Bytes(first.Body())[i+12] == 0x24 {
			p.codec = media.H265
		}
		s.SetTracks([]media.Track{{Codec: p.codec, ClockRate: 90000}})
	}
	if p.codec == media.CodecUnknown {
		return &media.SyntaxError{Field: "program stream map", Want: "one"}
	}
	if u.End > u.First+1 {
		return nil // longer ones are not needed
	}
	b.Begin(media.AccessUnit{Codec: p.codec, Flags: u.Flags, PTS: u.PTS, DTS: u.DTS})
	body := last.Body()
	all := s.Ring().Bytes(body)
	starts := []int{}
	for i := 0; i+4 < len(all); i++ {
		if bytes.Equal(all[i:i+4], []byte{0, 0, 0, 1}) && all[i+4] < 0xB9 {
			starts = append(starts, i)
		}
	}
	for i, at := range starts {
		end := len(all)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		b.BeginNAL(media.NALType(p.codec, all[at+4]))
		b.Append(media.Range{Off: body.Off + uint64(at) + 4, Len: uint32(end - at - 4)})
	}
	return nil
}
