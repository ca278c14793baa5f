package rtsp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

// rtpFrames reads frames with media until the one with the last byte of a picture of
// f has come, and returns them.
func (p *player) rtpFrames(f *feed, last int) (frames [][]byte) {
	p.t.Helper()
	end := f.slice(last)
	end = end[len(end)-100:]
	until(p.t, fmt.Sprintf("picture %d did not come", last), func() bool {
		frame, res, err := p.next()
		switch {
		case err != nil:
			p.t.Fatal(err)
		case res != nil || frame[0]&1 != 0:
			return false
		}
		frames = append(frames, frame)
		return bytes.HasSuffix(frame, end)
	})
	return frames
}

func seqOf(frame []byte) uint16 { return uint16(frame[3])<<8 | uint16(frame[4]) }

// first returns the number that the answer to PLAY promised.
func firstOf(t *testing.T, res *base.Response, url string) uint16 {
	t.Helper()
	var seq, ts uint32
	if _, err := fmt.Sscanf(res.Header["RTP-Info"][0], "url="+url+"/trackID=0;seq=%d;rtptime=%d", &seq, &ts); err != nil {
		t.Fatal(err)
	}
	return uint16(seq)
}

// Viewers who ask for the same get the same bytes, whenever they come; who wants them by
// other channels does not.
func TestViewersShareNumbers(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	one, two, odd := h.dial(), h.dial(), h.dial()
	res := one.play()
	promised := firstOf(t, res, h.url)
	f.push(13)
	a := one.rtpFrames(f, 13)
	if seqOf(a[0]) != promised {
		t.Errorf("begins at %d, not at %d", seqOf(a[0]), promised)
	}
	promised = firstOf(t, two.play(), h.url)
	odd.must(base.Describe, h.url)
	odd.must(base.Setup, h.url+"/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=4-5")
	other := firstOf(t, odd.must(base.Play, h.url), h.url)
	f.push(5)
	a = append(a, one.rtpFrames(f, 18)...)
	b, c := two.rtpFrames(f, 18), odd.rtpFrames(f, 18)
	if seqOf(b[0]) != promised || seqOf(c[0]) != other {
		t.Errorf("begin at %d and %d, not at %d and %d", seqOf(b[0]), seqOf(c[0]), promised, other)
	}
	if len(b) >= len(a) {
		t.Fatalf("the second one got %d packets, the first one %d", len(b), len(a))
	}
	for i, frame := range b {
		if !bytes.Equal(frame, a[len(a)-len(b)+i]) {
			t.Fatalf("packet %d differs between two viewers", i)
		}
	}
	for i, frame := range c {
		if frame[0] != 4 || seqOf(frame) != other+uint16(i) || !bytes.Equal(frame[13:], b[i][13:]) {
			t.Fatalf("packet %d on channel %d has number %d, want %d", i, frame[0], seqOf(frame), other+uint16(i))
		}
	}
}

// Over UDP a viewer gets the packets of those who are connected, without their frames.
func TestViewersOverUDPShareNumbers(t *testing.T) {
	s, now := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil), time.Unix(1_700_000_000, 0)
	s.Adopt(media.Opened{Front: framed, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, now)
	all, source := new(unisons), &mediatest.Packetizer{PayloadType: 96}
	push := func(i int) {
		for _, b := range source.Video(media.H264, uint32(3600*i), mediatest.Picture(media.H264, i == 0, 5000, byte(i))...) {
			if err := s.PushRTP(0, mediatest.PutFramed(s, b), now); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(40e6)
		s.Flush(now)
	}
	push(0)
	connected, far := startedIn(t, s, all)
	drain(t, far)
	sink, err := sock.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	datagrams, _ := begun(t, newOffer("cam1", s, func() {}, all), sink)
	for i := range 20 {
		push(i + 1)
	}
	one, other := connected.lanes[0], datagrams.lanes[0]
	if one.unison == nil || one.unison != other.unison || one.flow != other.flow {
		t.Fatalf("%+v and %+v", one.flow, other.flow)
	}
	first := one.flow.Seq - uint16(one.flow.Packets)
	buf := make([]byte, 2048)
	for i := uint32(0); i < one.flow.Packets; {
		n, err := sink.Receive(buf, true, time.Now().Add(10*time.Second))
		if err != nil || n < rtp.HeaderSize {
			t.Fatalf("packet %d: %d bytes, %v", i, n, err)
		}
		if buf[1] == 200 {
			continue // a sender report: here both go to one port
		}
		if seq, ssrc := binary.BigEndian.Uint16(buf[2:]), binary.BigEndian.Uint32(buf[8:]); buf[0] != 0x80 || seq != first+uint16(i) || ssrc != one.flow.SSRC {
			t.Fatalf("packet %d is %x, want number %d of %x", i, buf[:12], first+uint16(i), one.flow.SSRC)
		}
		i++
	}
}

// A viewer that was sent something of its own, or missed something, goes on without the
// others, whose numbers stay what they were.
func TestWhoMissesSomethingGoesOnAlone(t *testing.T) {
	s, now := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, nil), time.Unix(1_700_000_000, 0)
	s.Adopt(media.Opened{Front: framed, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, now)
	all := new(unisons)
	source, n := &mediatest.Packetizer{PayloadType: 96}, 0
	push := func() {
		for _, b := range source.Video(media.H264, uint32(3600*n), mediatest.Picture(media.H264, n%10 == 0, 20000, byte(n))...) {
			if err := s.PushRTP(0, mediatest.PutFramed(s, b), now); err != nil {
				t.Fatal(err)
			}
		}
		n++
		now = now.Add(40e6)
		s.Flush(now)
	}
	push()
	quick, far := startedIn(t, s, all)
	drain(t, far)
	slow, stalled := startedIn(t, s, all)
	for slow.stats.Dropped == 0 {
		push()
	}
	if slow.lanes[0].unison == nil {
		t.Fatal("alone before it missed anything")
	}
	drain(t, stalled)
	until(t, "it does not go on", func() bool {
		push()
		return slow.lanes[0].unison == nil && slow.Position() == uint64(n)
	})
	if quick.lanes[0].unison == nil || quick.stats.Dropped != 0 {
		t.Errorf("the other one left, too: %+v", quick.stats)
	}
	if seq := quick.lanes[0].unison.From(s, 0, uint64(n)); seq != quick.lanes[0].flow.Seq || seq == slow.lanes[0].flow.Seq {
		t.Errorf("one is at %d, the other at %d, all at %d", quick.lanes[0].flow.Seq, slow.lanes[0].flow.Seq, seq)
	}
}

// What viewers have in common is there as long as one of them is, and is not given to
// one that was told something else.
func TestUnisonsEndWithTheirViewers(t *testing.T) {
	var all unisons
	s, other := media.NewStream(media.StreamConfig{}, nil), media.NewStream(media.StreamConfig{}, nil)
	flows := []rtp.Flow{{Codec: media.H264, Rate: 90000, PayloadType: 96, SSRC: 1}, {Codec: media.G711A, Rate: 8000, PayloadType: 8, SSRC: 2}}
	a, leaveA := all.join(s, flows)
	changed := []rtp.Flow{flows[0], {Codec: media.AAC, Rate: 16000, PayloadType: 97}, flows[1]}
	b, leaveB := all.join(s, changed)
	c, leaveC := all.join(other, flows)
	switch {
	case len(a) != 2 || len(b) != 3 || len(c) != 2, a[0] == nil || a[1] == nil:
		t.Fatalf("%v, %v, %v", a, b, c)
	case a[0] != b[0] || a[0] == c[0]:
		t.Error("the same flow of a stream is not the same, or that of another one is")
	case b[1] != nil || b[2] == nil:
		t.Errorf("of what changed: %v", b)
	case a[0].Channel() != 0 || a[1].Channel() != 2:
		t.Errorf("channels %d and %d", a[0].Channel(), a[1].Channel())
	}
	leaveA()
	leaveC()
	if d, leave := all.join(s, changed); d[0] != b[0] || d[1] == nil || d[2] != b[2] {
		t.Errorf("of what changed, once nobody has it as it was: %v", d)
	} else {
		leave()
	}
	if d, leave := all.join(s, flows); d[0] != b[0] {
		t.Error("it ended before its last viewer left")
	} else {
		leave()
	}
	leaveB()
	if len(all.all) != 0 {
		t.Errorf("%d are left", len(all.all))
	}
}
