package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/ps"
)

func TestStalledTCPReceiverResumesAtAKeyPictureWithFramesWhole(t *testing.T) {
	h := drive(t, h264())
	for h.sender.stats.Dropped == 0 {
		h.picture(20000)
	}
	for range 100 { // several times the ring: what is left of the cut packet stays
		h.picture(20000)
		h.tick(time.Millisecond)
	}
	// The system moves bytes on when it likes: another unit may have been begun, and cut.
	if n := h.sender.stats.Dropped; n > 5 {
		t.Errorf("%d units dropped, want those that were cut, each once", n)
	}
	gaps, after, read := uint64(0), 0, 0
	for last := h.read(); after < 300; read++ {
		if read > 20000 {
			t.Fatal("the cut picture looks complete: no gap in the sequence numbers")
		}
		h.picture(1000)
		p := h.read()
		switch step := seqOf(p) - seqOf(last); {
		case step == 2 && gaps < h.sender.stats.Dropped: // the cut picture must be seen to be incomplete
			gaps++
			if !bytes.HasPrefix(p[12:], []byte{0, 0, 1, 0xBA}) || !bytes.Contains(p, []byte{0, 0, 1, 0xBC}) {
				t.Error("not resumed with a key picture")
			}
		case step != 1:
			t.Fatalf("sequence number after %d is %d", seqOf(last), seqOf(p))
		}
		last = p
		if gaps > 0 {
			after++
		}
	}
}

func TestReceiverThatTakesNothingIsCut(t *testing.T) {
	h := drive(t, h264())
	for i := 0; !h.ended(); i++ {
		if i > 5000 {
			t.Fatal("200 s of pictures, and the sender still waits")
		}
		h.picture(20000)
	}
	if !errors.Is(h.sender.Cause(), media.ErrSlow) {
		t.Errorf("ended with %v", h.sender.Cause())
	}
}

func TestWhatAReceiverSendsDoesNotBlockIt(t *testing.T) {
	h := drive(t, h264())
	report := make([]byte, 24<<20) // more than buffers hold
	done := make(chan error, 1)
	go func() {
		_, err := h.far.Write(report)
		done <- err
	}()
	go func() {
		for _, err := h.far.Read(make([]byte, 1<<16)); err == nil; _, err = h.far.Read(make([]byte, 1<<16)) {
		}
	}()
	for range 20000 {
		h.picture(100)
		h.tick(time.Second)
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
	t.Error("the receiver's reports were never taken")
}

func TestSequenceAndTimeGoOnWhenTheSourceIsReplaced(t *testing.T) {
	track := media.Track{Codec: media.H264, ClockRate: 90000, PayloadType: 102}
	h := drive(t, h264(), track)
	for range 20 {
		h.picture(1000)
	}
	h.now = h.now.Add(2 * time.Second)
	h.s.Adopt(h264(), h.now)
	h.rtp, h.n = mediatest.Packetizer{PayloadType: 98, SSRC: 99, Seq: 40000}, 1000 // another encoder's numbers
	for range 20 {
		h.picture(1000)
	}
	last := h.read()
	for range 30 {
		p := h.read()
		if step := timeOf(p) - timeOf(last); seqOf(p) != seqOf(last)+1 || step > 4*90000 || p[1]&0x7f != 102 {
			t.Fatalf("after %d at %d: %d at %d, type %d", seqOf(last), timeOf(last), seqOf(p), timeOf(p), p[1]&0x7f)
		}
		last = p
	}
}

func TestPlainRTPEndsWhenItIsNoLongerWhatWasAgreed(t *testing.T) {
	agreed := media.Track{Codec: media.H264, ClockRate: 90000, PayloadType: 98}
	h265 := media.Track{Codec: media.H265, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H265)}
	for name, o := range map[string]media.Opened{
		"another coding":   {Tracks: []media.Track{h265}},
		"program stream":   {Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()},
		"samples of disks": {Carriage: media.CarriageFrames, Tracks: h264().Tracks},
	} {
		t.Run(name, func(t *testing.T) {
			h := drive(t, h264(), agreed)
			h.picture(1000)
			h.picture(1000)
			h.s.Adopt(o, h.now)
			switch o.Carriage {
			case media.CarriageRTP:
				key := append(mediatest.Parameters(media.H265), mediatest.Slice(media.H265, true, 1000, 1))
				h.push(h.rtp.Video(media.H265, 90000, key...)...)
			case media.CarriagePS:
				p := mediatest.Packetizer{PayloadType: PayloadPS, SSRC: 8}
				h.push(p.Cut(90000, pack(1000))...)
			case media.CarriageFrames:
				b := mediatest.Lengths(mediatest.Picture(media.H264, true, 500, 1)...)
				if err := h.s.PushFrame(media.Frame{Range: mediatest.Put(h.s, b), Key: true}); err != nil {
					t.Fatal(err)
				}
			}
			h.tick(time.Second)
			h.tick(time.Second)
			if !h.ended() || !errors.Is(h.sender.Cause(), ErrChanged) {
				t.Errorf("ended %t, %v", h.ended(), h.sender.Cause())
			}
		})
	}
}

// pack is a pack of program stream: a key picture of H.264 of n bytes.
func pack(n int) []byte {
	var es []byte
	for _, nal := range append(mediatest.Parameters(media.H264), mediatest.Slice(media.H264, true, n, 1)) {
		es = append(append(es, 0, 0, 0, 1), nal...)
	}
	b := []byte{0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xF8}
	b = append(b, 0, 0, 1, 0xE0)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(es)))
	b = append(b, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1)
	return append(b, es...)
}

func TestLongPacketsOfProgramStreamAreCut(t *testing.T) {
	h := drive(t, media.Opened{Carriage: media.CarriagePS, Unpacker: ps.NewUnpacker()})
	want := pack(50000)
	for i := range 3 { // each in one packet, as some devices send over TCP
		p := mediatest.Packetizer{PayloadType: PayloadPS, SSRC: 8, Seq: uint16(i), MTU: 65000}
		h.push(p.Cut(uint32(i)*3600, want)...)
		h.tick(40 * time.Millisecond)
	}
	var got []byte
	for len(got) < len(want) {
		p := h.read()
		if len(p) > 1500-28 {
			t.Fatalf("packet of %d bytes", len(p))
		}
		got = append(got, p[12:]...)
		if last := p[1]>>7 == 1; last != (len(got) == len(want)) {
			t.Fatalf("marker %t after %d of %d bytes", last, len(got), len(want))
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("bytes differ")
	}
}
