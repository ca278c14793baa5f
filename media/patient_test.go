package media_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// A slowReader takes one unit each time it is let, and says what it needs.
type slowReader struct {
	cursor media.Cursor
	let    chan struct{}
	got    []uint64
	lapped uint64
	said   int // times Finish was called
	cause  error
}

func newSlowReader() *slowReader {
	k := &slowReader{let: make(chan struct{}, 1000)}
	k.cursor.FromOldest()
	return k
}

func (k *slowReader) Flush(s *media.Stream, now time.Time) (time.Time, error) {
	for {
		select {
		case <-k.let:
		default:
			if _, more := k.Needs(s); more {
				return now.Add(100 * time.Millisecond), nil
			}
			return time.Time{}, nil
		}
		n, ok := k.cursor.Next(s)
		k.lapped = k.cursor.Lapped()
		if !ok {
			k.let <- struct{}{}
			return time.Time{}, nil
		}
		k.got = append(k.got, n)
	}
}
func (k *slowReader) Needs(s *media.Stream) (uint64, bool) { return k.cursor.Needs(s) }
func (k *slowReader) Position() uint64                     { return k.cursor.Position() }
func (k *slowReader) Finish(time.Time) bool                { k.said++; return k.said > 3 }
func (k *slowReader) Close(cause error)                    { k.cause = cause }

// A pump is a source that always has the next picture, such as a disk.
type pump struct {
	p    mediatest.Packetizer
	n    int
	size int
	end  int
}

func (k *pump) Receive(s *media.Stream, _ time.Time) error {
	if k.n == k.end {
		return media.ErrEnded
	}
	for _, b := range k.p.Video(media.H264, uint32(k.n)*3600, mediatest.Picture(media.H264, k.n%10 == 0, k.size, byte(k.n))...) {
		if err := s.PushRTP(0, mediatest.Put(s, b), time.Now()); err != nil {
			return err
		}
	}
	k.n++
	return nil
}
func (k *pump) Wake()        {}
func (k *pump) Close() error { return nil }

// recording runs a patient stream of n pictures, two of which fill a quarter of the ring.
func recording(t *testing.T, n int, test func(*media.Stream, *pump, chan error)) {
	synctest.Test(t, func(t *testing.T) {
		src := &pump{p: mediatest.Packetizer{PayloadType: 96}, size: 32 << 10, end: n}
		open := func(context.Context) (media.Opened, error) {
			return media.Opened{Source: src, Ordered: true, Tracks: []media.Track{mediatest.VideoTrack(media.H264)}}, nil
		}
		s := media.NewStream(media.StreamConfig{RingBytes: 256 << 10, Once: true, Patient: true}, open)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(t.Context()) }()
		synctest.Wait()
		test(s, src, ended)
	})
}

// However slow the reader of a recording is, and whenever it comes, it gets every picture.
func TestRecordingWaitsForItsReader(t *testing.T) {
	recording(t, 100, func(s *media.Stream, src *pump, ended chan error) {
		time.Sleep(time.Minute) // nobody reads yet
		synctest.Wait()
		before := src.n
		k := newSlowReader()
		if err := s.Attach(k); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			k.let <- struct{}{}
			time.Sleep(7 * time.Second)
			synctest.Wait()
			if ahead := src.n - len(k.got); ahead > 4 {
				t.Fatalf("the source is %d pictures ahead", ahead)
			}
		}
		if err := <-ended; err != nil || !errors.Is(k.cause, media.ErrEnded) {
			t.Errorf("ended with %v, %v", err, k.cause)
		}
		if len(k.got) != 100 || k.got[0] != 0 || k.got[99] != 99 || k.lapped != 0 {
			t.Errorf("%d pictures, %d lapped", len(k.got), k.lapped)
		}
		if before == 0 || before > 4 || k.said != 4 {
			t.Errorf("%d pictures before anybody came; asked %d times whether it was done", before, k.said)
		}
	})
}

// Sound alone waits too; what cannot be shown yet, since its coding is not known,
// does not, or it would never be known.
func TestWhatWaitsForItsFirstReader(t *testing.T) {
	sound := media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1, PayloadType: 8}
	for name, tc := range map[string]struct {
		opened media.Opened
		waits  bool
	}{
		"sound":             {media.Opened{Tracks: []media.Track{sound}}, true},
		"nobody knows what": {media.Opened{Carriage: media.CarriagePS, Unpacker: noUnpacker{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := mediatest.NewSource(tc.opened)
				s := media.NewStream(media.StreamConfig{RingBytes: 64 << 10, Once: true, Patient: true}, src.Open)
				ctx, cancel := context.WithCancel(t.Context())
				go func() { _ = s.Run(ctx) }()
				p := mediatest.Packetizer{PayloadType: 8}
				if !tc.waits {
					p.PayloadType = 96
				}
				for i := range uint32(200) {
					src.Push(0, p.Packet(i*320, true, pack(media.H264, true, make([]byte, 1000))))
					time.Sleep(40 * time.Millisecond)
				}
				synctest.Wait()
				if n := s.Stats().Packets; (n < 200) != tc.waits {
					t.Errorf("%d packets of 200 were taken", n)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

// A noUnpacker never finds out what it sees.
type noUnpacker struct{}

func (noUnpacker) Unpack(*media.Stream, media.Unit, *media.Batch) error { return media.ErrNoCarrier }

// Who takes nothing at all for an hour has been forgotten.
func TestForgottenReaderIsCut(t *testing.T) {
	recording(t, 100, func(s *media.Stream, _ *pump, ended chan error) {
		k := newSlowReader()
		k.let <- struct{}{}
		if err := s.Attach(k); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-ended
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute || !errors.Is(k.cause, media.ErrSlow) {
			t.Errorf("cut after %v with %v", took, k.cause)
		}
	})
}

// What comes in dribs, because somebody on the way is slow, is whole all the same.
func TestSlowPicturesOfARecordingAreWhole(t *testing.T) {
	perform(t, media.StreamConfig{Once: true, Patient: true}, func(w *show) {
		k := &mediatest.Sink{Oldest: true}
		w.attach(k)
		const pictures = 12
		for i := range pictures {
			nals := mediatest.Picture(media.H264, i%10 == 0, 30000, byte(i))
			for _, b := range w.p.Video(media.H264, uint32(i)*3600, nals...) {
				w.src.Push(0, b)
				time.Sleep(700 * time.Millisecond)
			}
		}
		w.src.Break(media.ErrEnded)
		<-w.ended
		w.ended <- nil
		_, units := k.Units()
		if len(units) != pictures {
			t.Errorf("%d units of %d pictures", len(units), pictures)
		}
		for i, u := range units {
			if u.Flags&media.UnitDamaged != 0 || u.PTS-units[0].PTS != media.Ticks(i)*3600 {
				t.Errorf("unit %d: flags %b at %d", i, u.Flags, u.PTS-units[0].PTS)
			}
		}
	})
}

// A stream that is to stop is still read to its end by those who are there, and
// no longer.
func TestStreamStopsWhenItsLastReaderLeaves(t *testing.T) {
	for name, leaves := range map[string]bool{"it leaves": true, "it reads to the end": false} {
		t.Run(name, func(t *testing.T) {
			recording(t, 20, func(s *media.Stream, _ *pump, ended chan error) {
				k := newSlowReader()
				if err := s.Attach(k); err != nil {
					t.Fatal(err)
				}
				k.let <- struct{}{}
				synctest.Wait()
				s.StopAlone()
				time.Sleep(time.Minute)
				want := 20
				if leaves {
					s.Detach(k)
					want = 1
				} else {
					for range 20 {
						k.let <- struct{}{}
					}
				}
				if err := <-ended; err != nil || len(k.got) != want {
					t.Errorf("ended with %v after %d pictures", err, len(k.got))
				}
			})
		})
	}
}
