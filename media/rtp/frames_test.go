package rtp

import (
	"bytes"
	"testing"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/sock"
)

// full returns a connection that takes nothing any more.
func full(t *testing.T) *sock.TCP {
	t.Helper()
	near, _ := mediatest.Connected(t)
	conn, err := sock.NewTCP(near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var v sock.Vector
	for idle := 0; idle < 3; {
		v.Reset()
		v.Add(make([]byte, 1<<20))
		if err := conn.Send(&v); err != nil {
			t.Fatal(err)
		}
		if idle++; v.Len() < 1<<20 {
			idle = 0
		}
	}
	return conn
}

// took has o be as if its connection had taken n bytes of what it was to send, and no
// more.
func (o *Frames) took(t *testing.T, n int) (rest []byte) {
	t.Helper()
	rest = o.vector.Rest(nil, o.vector.Len())[n:]
	for again := true; again; again = o.vector.Len() < len(rest) { // until it really does not
		o.vector.Reset()
		o.vector.Add(rest)
		if _, err := o.Flush(epoch); err != nil {
			t.Fatal(err)
		}
	}
	return rest
}

// frameEnds returns where the pieces end that must not be torn: text of known length,
// then frames.
func frameEnds(b []byte, text int) []int {
	ends := []int{text}
	for at := text; at < len(b); {
		at += 4 + int(b[at+2])<<8 + int(b[at+3])
		ends = append(ends, at)
	}
	return ends
}

// A connection that is cut anywhere in a run is left where it would be if the packets had
// been its own: after the packet that it took in part.
func TestRunIsAbandonedAsOtherPacketsAre(t *testing.T) {
	s := interleaved(media.StreamConfig{RingBytes: 1 << 20}, mediatest.VideoTrack(media.H264), false)
	p := mediatest.Packetizer{PayloadType: 96, MTU: 20}
	packets := p.Video(media.H264, 0, mediatest.Slice(media.H264, true, 60, 1))
	packets[1] = padded(packets[1])
	pushFramed(t, s, packets)
	f := Flow{Codec: media.H264, Rate: 90000, PayloadType: 96}
	r := NewUnison(f, 0).Passage(s, s.Unit(0))
	if r == nil || len(r.ranges) < 2 {
		t.Fatalf("run %+v", r)
	}
	conn := full(t)
	run, own := NewFrames(conn, Interleaved), NewFrames(conn, Interleaved)
	for cut := 0; ; cut++ {
		g := f
		for _, o := range []*Frames{&run, &own} {
			o.Reset()
			o.Text([]byte("hello"))
			copy(o.Header(HeaderSize), "a report    ")
			o.End()
		}
		run.Passage(s.Ring(), r)
		g.Forward(s, s.Unit(0), &own)
		all := run.vector.Rest(nil, run.vector.Len())
		if !bytes.Equal(all, own.vector.Rest(nil, own.vector.Len())) {
			t.Fatal("they are to send different things")
		}
		if cut == len(all) {
			break
		}
		rest := run.took(t, cut)
		own.took(t, cut)
		torn := 0
		for _, end := range frameEnds(all, len("hello")) {
			if begin := torn; begin < cut {
				torn = end
			}
		}
		if got, want := run.Whole(), torn == cut; got != want || own.Whole() != want {
			t.Errorf("cut at %d: whole %t, want %t", cut, got, want)
		}
		dropped, size, sent := run.Abandon()
		if d, b, n := own.Abandon(); dropped != d || size != b || sent != n {
			t.Errorf("cut at %d: %d packets of %d bytes dropped after %d; %d of %d after %d of its own", cut, dropped, size, sent, d, b, n)
		}
		want := rest[:max(torn-cut, 0)]
		if got := run.vector.Rest(nil, run.vector.Len()); !bytes.Equal(got, want) || !bytes.Equal(own.vector.Rest(nil, own.vector.Len()), want) {
			t.Errorf("cut at %d: % X is left, want % X", cut, got, want)
		}
	}
}

// What was forgotten is not the rest of what comes after it.
func TestResetForgetsTheRestOfAPacket(t *testing.T) {
	o := NewFrames(full(t), Interleaved)
	o.Text([]byte("one packet"))
	o.took(t, 4)
	o.Reset()
	o.Text([]byte("another"))
	if dropped, _, sent := o.Abandon(); dropped != 1 || sent != 0 || o.Pending() {
		t.Errorf("%d dropped, %d sent, %q is left", dropped, sent, o.vector.Rest(nil, o.vector.Len()))
	}
}
