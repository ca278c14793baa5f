package media_test

import (
	"slices"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// rest returns what the cursor hands out.
func rest(r *rig, c *media.Cursor) (all []uint64) {
	for {
		n, ok := c.Next(r.s)
		if !ok {
			return all
		}
		all = append(all, n)
	}
}

func TestCursorStartsAtTheLastKey(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	var c, all media.Cursor
	all.FromOldest()
	if n, ok := c.Next(r.s); ok || c.Position() != media.Idle {
		t.Errorf("an empty stream hands out %d; position %d", n, c.Position())
	}
	group(r, p, 0, 4)
	group(r, p, 4*3600, 3)
	r.s.CloseUnits()
	if got, want := rest(r, &c), []uint64{4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("from the last key: %v, want %v", got, want)
	}
	if got, want := rest(r, &all), []uint64{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("from the oldest: %v, want %v", got, want)
	}
	if c.Position() != 7 || c.Lag(r.s) != 0 {
		t.Errorf("position %d, lag %d", c.Position(), c.Lag(r.s))
	}
}

// A cursor that was lapped resumes on a key picture that is whole, and counts
// every unit it missed.
func TestLappedCursorResumesOnAKey(t *testing.T) {
	r := newRig(t, media.StreamConfig{RingBytes: 64 << 10}, media.Opened{
		Tracks: []media.Track{mediatest.VideoTrack(media.H264), {Codec: media.G711A, PayloadType: 8}},
	})
	video, audio := &mediatest.Packetizer{PayloadType: 96}, &mediatest.Packetizer{PayloadType: 8}
	play := func(i, n int) {
		group(r, video, uint32(i*3600), n)
		r.push(1, audio.Packet(uint32(i*320), false, make([]byte, 320)))
	}
	play(0, 5)
	var c media.Cursor
	read := uint64(len(rest(r, &c)))
	if c.Lag(r.s) != 0 || read == 0 {
		t.Fatalf("read %d, lag %d", read, c.Lag(r.s))
	}
	at := c.Position()
	for i := 5; i < 100; i += 5 {
		play(i, 5)
	}
	n, ok := c.Next(r.s)
	if u := r.s.Unit(n); !ok || !u.Key() || !r.s.Held(u) {
		t.Fatalf("resumed at unit %d, %+v", n, u)
	}
	if c.Lapped() != n-at {
		t.Errorf("%d units counted, %d missed", c.Lapped(), n-at)
	}
	last := n
	for _, n := range rest(r, &c) {
		if n != last+1 {
			t.Errorf("unit %d after %d", n, last)
		}
		last = n
	}
}

func TestCursorSkipsToANewKeyOnly(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, 0, 6)
	var c media.Cursor
	rest(r, &c)
	c.SkipToKey()
	if n, ok := c.Next(r.s); ok {
		t.Fatalf("handed out %d, which it had before", n)
	}
	group(r, p, 6*3600, 1)
	r.s.CloseUnits()
	if got, want := rest(r, &c), []uint64{6}; !slices.Equal(got, want) || c.Lapped() != 0 {
		t.Errorf("handed out %v, %d lapped; want %v", got, c.Lapped(), want)
	}
}

func TestCursorPrefersAKeyThatIsWhole(t *testing.T) {
	r := rtpRig(t, mediatest.VideoTrack(media.H264))
	p := &mediatest.Packetizer{PayloadType: 96}
	group(r, p, 0, 3)
	packets := p.Video(media.H264, 3*3600, mediatest.Picture(media.H264, true, 3000, 1)...)
	r.push(0, slices.Delete(packets, 3, 4)...)
	r.later(200 * time.Millisecond)
	r.s.Flush(r.now)
	r.s.CloseUnits()
	if got, want := flags(r.units()), "K...KD."; got != want {
		t.Fatalf("units %s, want %s", got, want)
	}
	if n, ok := r.s.LastKey(); !ok || n != 0 {
		t.Errorf("LastKey = %d, %t; want 0", n, ok)
	}
}

func TestCursorOfSoundStartsAtTheNewest(t *testing.T) {
	r := rtpRig(t, media.Track{Codec: media.G711A, PayloadType: 8})
	p := &mediatest.Packetizer{PayloadType: 8}
	for i := range 5 {
		r.push(0, p.Packet(uint32(160*i), false, make([]byte, 160)))
	}
	var c media.Cursor
	if got, want := rest(r, &c), []uint64{4}; !slices.Equal(got, want) {
		t.Errorf("handed out %v, want %v", got, want)
	}
}
