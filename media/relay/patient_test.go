package relay

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A reel is a recording of H.264 that is there as fast as it is asked for.
type reel struct {
	rtp  mediatest.Packetizer
	n    int
	size int // pictures
}

func (r *reel) Receive(s *media.Stream, _ time.Time) error {
	if r.n == r.size {
		return media.ErrEnded
	}
	nals := append(mediatest.Parameters(media.H264), frame(r.n))
	for _, p := range r.rtp.Video(media.H264, uint32(r.n)*3600, nals...) {
		if err := s.PushRTP(0, mediatest.Put(s, p), time.Now()); err != nil {
			return err
		}
	}
	r.n++
	return nil
}
func (r *reel) Wake()        {}
func (r *reel) Close() error { return nil }

func frame(n int) []byte { return mediatest.Slice(media.H264, n%10 == 0, 100_000, byte(n)) }

// A stroller takes a picture only while it is let, and reports the others as needed.
type stroller struct {
	cursor media.Cursor
	let    chan int
	left   int
	got    [][]byte
	cause  chan error
}

func (k *stroller) Flush(s *media.Stream, now time.Time) (time.Time, error) {
	for {
		select {
		case n := <-k.let:
			k.left += n
		default:
		}
		if _, more := k.Needs(s); !more {
			return time.Time{}, nil
		}
		if k.left == 0 {
			return now.Add(time.Millisecond), nil
		}
		k.left--
		n, _ := k.cursor.Next(s)
		aus, err := s.Unpack(n)
		if err != nil || len(aus) == 0 || aus[0].Flags&media.UnitDamaged != 0 {
			return time.Time{}, errors.Join(err, errors.New("a picture is not whole"))
		}
		all := mediatest.Copy(s, &aus[0]).NALs
		k.got = append(k.got, all[len(all)-1])
	}
}
func (k *stroller) Needs(s *media.Stream) (uint64, bool) { return k.cursor.Needs(s) }
func (k *stroller) Close(cause error)                    { k.cause <- cause }

// hop carries a recording from one stream to the next, as two domains do.
func hop(t *testing.T, from *media.Stream, tr Transport) *media.Stream {
	t.Helper()
	r, err := OpenReceiver(ReceiverConfig{Ports: testPorts(t), Transport: tr, Finite: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s, err := OpenSender(SenderConfig{Ports: testPorts(t), Transport: tr, Remote: r.Local(), SSRC: 9, Oldest: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(nil) })
	to := run(t, media.StreamConfig{RingBytes: 1 << 20, Once: true, Patient: true}, r.Open)
	r.Connect(Remote{Addr: s.Local(), SSRC: 9})
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := from.Attach(s); err != nil {
		t.Fatal(err)
	}
	return to
}

// A recording of 40 MB comes over two hops to somebody who stops reading for a
// while in the middle, and again near the end: nothing is lost, nothing is held but
// by rings and sockets, and the source ends only when he has everything.
func TestRecordingIsAsSlowAsItsReader(t *testing.T) {
	const size = 400
	src := &reel{rtp: mediatest.Packetizer{PayloadType: 98, SSRC: 7}, size: size}
	o := h264()
	o.Source, o.Ordered = src, true
	ended := make(chan struct{})
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20, Once: true, Patient: true},
		func(context.Context) (media.Opened, error) { return o, nil })
	k := &stroller{let: make(chan int), cause: make(chan error, 1)}
	k.cursor.FromOldest()
	go func() {
		defer close(ended)
		_ = s.Run(t.Context())
	}()
	last := hop(t, hop(t, s, TCPPassive), TCPActive)
	if err := last.Attach(k); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{200, size - 210, 9} {
		k.let <- n
		select {
		case err := <-k.cause:
			t.Fatalf("cut: %v", err)
		case <-ended:
			t.Fatal("the source ended before all was read")
		case <-time.After(200 * time.Millisecond):
		}
	}
	k.let <- 1
	if err := <-k.cause; !errors.Is(err, media.ErrEnded) {
		t.Errorf("ended with %v", err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the source does not end")
	}
	if len(k.got) != size {
		t.Fatalf("%d pictures of %d", len(k.got), size)
	}
	for i, b := range k.got {
		if !bytes.Equal(b, frame(i)) {
			t.Fatalf("picture %d is another", i)
		}
	}
}
