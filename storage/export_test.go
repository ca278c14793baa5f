package storage

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// An exportRig drives a stream by hand with an export on it.
type exportRig struct {
	t      *testing.T
	s      *media.Stream
	e      *Export
	now    time.Time
	dts    media.Ticks
	n      int
	size   int // of a picture
	closed *closing
}

// closing tells what an export's stream closed it with.
type closing struct {
	*Export
	cause error
	done  bool
}

func (c *closing) Close(cause error) {
	c.cause, c.done = cause, true
	c.Export.Close(cause)
}

var (
	g711 = media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1}
	aac  = media.Track{Codec: media.AAC, ClockRate: 16000, Channels: 1, Parameters: [][]byte{{0x14, 0x08}}}
)

func newExport(t *testing.T, cfg ExportConfig) *Export {
	t.Helper()
	e, err := NewExport(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func export(t *testing.T, cfg ExportConfig, tracks ...media.Track) *exportRig {
	t.Helper()
	x := &exportRig{t: t, e: newExport(t, cfg), now: time.Unix(1000, 0), dts: 900000, size: 600}
	x.closed = &closing{Export: x.e}
	x.s = media.NewStream(media.StreamConfig{}, nil)
	x.s.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: tracks}, x.now)
	if err := x.s.Attach(x.closed); err != nil {
		t.Fatal(err)
	}
	return x
}

// picture pushes a picture of track i, 40 ms after the last.
func (x *exportRig) picture(i uint8, key bool) {
	b := mediatest.Lengths(mediatest.Picture(media.H264, key, x.size, byte(x.n))...)
	x.push(media.Frame{Track: i, PTS: x.dts, DTS: x.dts, Key: key}, b)
	x.tick(3600)
	x.n++
}

func (x *exportRig) sound(i uint8, n int) {
	x.push(media.Frame{Track: i, PTS: x.dts, DTS: x.dts}, make([]byte, n))
}

func (x *exportRig) push(f media.Frame, b []byte) {
	x.t.Helper()
	f.Range = mediatest.Put(x.s, b)
	if err := x.s.PushFrame(f); err != nil {
		x.t.Fatal(err)
	}
	x.s.Flush(x.now)
}

func (x *exportRig) tick(d media.Ticks) {
	x.dts += d
	x.now = x.now.Add(d.Duration())
}

// A parsed file, read by somebody else's code.
type parsed struct {
	tracks  int
	samples map[int][]parsedSample // by track id
}

type parsedSample struct {
	dts, pts, end int64
	key           bool
	size          int
}

// file ends the export and reads what came of it.
func (x *exportRig) file() parsed {
	x.t.Helper()
	x.e.Close(nil)
	var b bytes.Buffer
	if err := x.e.Copy(context.Background(), &b, func() {}); err != nil {
		x.t.Fatal(err)
	}
	return x.parse(b.Bytes())
}

func (x *exportRig) parse(b []byte) parsed {
	x.t.Helper()
	p := parsed{samples: map[int][]parsedSample{}}
	if err := walkBoxes(b, 0, func(box boxSpan) {
		if box.kind == "trak" {
			p.tracks++
		}
	}); err != nil {
		x.t.Fatal(err)
	}
	var init fmp4.Init // its author knows no G.711
	if err := init.Unmarshal(bytes.NewReader(b)); err != nil && !bytes.Contains(b, []byte("alaw")) {
		x.t.Fatal(err)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(b); err != nil {
		x.t.Fatal(err)
	}
	for i, part := range parts {
		if part.SequenceNumber != uint32(i+1) {
			x.t.Errorf("fragment %d has number %d", i, part.SequenceNumber)
		}
		for _, track := range part.Tracks {
			at := int64(track.BaseTime)
			for _, s := range track.Samples {
				p.samples[track.ID] = append(p.samples[track.ID], parsedSample{
					dts: at, pts: at + int64(s.PTSOffset), end: at + int64(s.Duration), key: !s.IsNonSyncSample, size: len(s.Payload)})
				at += int64(s.Duration)
			}
		}
	}
	for id, list := range p.samples {
		for i := 1; i < len(list); i++ {
			if list[i].dts <= list[i-1].dts {
				x.t.Errorf("track %d: sample %d at %d after one at %d", id, i, list[i].dts, list[i-1].dts)
			}
		}
	}
	return p
}

func TestExportHasAllTracksInTime(t *testing.T) {
	x := export(t, ExportConfig{}, videoTrack(media.H264), g711, aac)
	x.sound(1, 320) // before the first key picture: left out
	x.picture(0, false)
	for i := range 50 {
		x.sound(1, 320)
		x.sound(2, 100)
		x.picture(0, i%10 == 0)
	}
	p := x.file()
	if p.tracks != 3 {
		t.Fatalf("%d tracks", p.tracks)
	}
	for id, want := range map[int]struct {
		n     int
		first int64 // in units of the track, as step
		step  int64
	}{1: {50, 0, 3600}, 2: {49, 320, 320}, 3: {49, 640, 640}} {
		list := p.samples[id]
		if len(list) != want.n {
			t.Fatalf("track %d: %d samples", id, len(list))
		}
		for i, s := range list {
			if s.dts != want.first+int64(i)*want.step {
				t.Fatalf("track %d: sample %d at %d", id, i, s.dts)
			}
		}
	}
	if v := p.samples[1]; !v[0].key || v[1].key || v[0].dts != 0 || v[10].end-v[10].dts != 3600 {
		t.Errorf("pictures %+v", v[:3])
	}
}

func TestExportKeepsTheOrderOfPresentation(t *testing.T) {
	x := export(t, ExportConfig{}, videoTrack(media.H264))
	for i, later := range []media.Ticks{2, 4, 1, 1, 4, 1} { // I P B B P B, in pictures
		b := mediatest.Lengths(mediatest.Picture(media.H264, i == 0, 300, byte(i))...)
		x.push(media.Frame{DTS: x.dts, PTS: x.dts + later*3600, Key: i == 0}, b)
		x.tick(3600)
	}
	for i, s := range x.file().samples[1] {
		want := []int64{2, 4, 1, 1, 4, 1}[i] * 3600
		if s.pts-s.dts != want || s.dts != int64(i)*3600 {
			t.Errorf("picture %d at %d shown at %d", i, s.dts, s.pts)
		}
	}
}

func TestExportOfSoundAlone(t *testing.T) {
	x := export(t, ExportConfig{}, g711)
	for range 20 {
		x.sound(0, 160)
		x.tick(1800)
	}
	list := x.file().samples[1]
	if len(list) != 20 {
		t.Fatalf("%d sounds", len(list))
	}
	for i, s := range list {
		if s.dts != int64(i)*160 || s.end != s.dts+160 {
			t.Fatalf("sound %d lasts from %d to %d", i, s.dts, s.end)
		}
	}
}

func TestSlowReaderLosesPicturesUpToAKeyPicture(t *testing.T) {
	x := export(t, ExportConfig{}, videoTrack(media.H264))
	x.size = 500000
	for i := range 90 { // 45 MB, of which the queue takes 32
		x.picture(0, i%10 == 0)
	}
	first, err := x.e.out.next(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	file := bytes.Clone(first)
	for i := range 25 { // in the middle of a group: the next key picture is the 5th
		x.picture(0, i%10 == 5)
	}
	x.e.Close(nil)
	rest, err := x.e.out.next(t.Context(), nil)
	if err != nil || len(file) > exportBytes+1<<10 {
		t.Fatal(len(file), err)
	}
	list := x.parse(append(file, rest...)).samples[1]
	holes := 0
	for i := 1; i < len(list); i++ {
		step := list[i].dts - list[i-1].dts
		if step != 3600 {
			holes++
			if !list[i].key || list[i].dts%3600 != 0 {
				t.Errorf("goes on with %+v", list[i])
			}
		}
		if list[i].end-list[i].dts != 3600 {
			t.Errorf("picture %d lasts %d", i, list[i].end-list[i].dts)
		}
	}
	if holes != 1 || x.closed.done {
		t.Errorf("%d holes; closed: %t", holes, x.closed.done)
	}
}

func TestSaveThatFallsBehindBreaksOffRatherThanLose(t *testing.T) {
	x := export(t, ExportConfig{FromStart: true}, videoTrack(media.H264))
	x.size = 500000
	for i := 0; i < 90 && !x.closed.done; i++ {
		x.picture(0, i%10 == 0)
	}
	if err := x.e.Copy(t.Context(), &bytes.Buffer{}, func() {}); !errors.Is(err, media.ErrSlow) || !errors.Is(x.closed.cause, media.ErrSlow) {
		t.Errorf("ended with %v", err)
	}
}

// A film is a recording of 64 MB that is there as fast as it is asked for.
type film struct{ n int }

func (f *film) Receive(s *media.Stream, _ time.Time) error {
	if f.n == 128 {
		return media.ErrEnded
	}
	b := mediatest.Lengths(mediatest.Picture(media.H264, f.n%10 == 0, 500000, byte(f.n))...)
	at := media.Ticks(f.n * 3600)
	f.n++
	return s.PushFrame(media.Frame{Range: mediatest.Put(s, b), PTS: at, DTS: at, Key: f.n%10 == 1})
}
func (f *film) Wake()        {}
func (f *film) Close() error { return nil }

// A saved recording is as slow as its reader: nothing is lost, and no more than a
// few pictures wait in memory.
func TestSaveOfARecordingWaitsForItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &film{}
		s := media.NewStream(media.StreamConfig{Once: true, Patient: true}, func(context.Context) (media.Opened, error) {
			return media.Opened{Source: src, Carriage: media.CarriageFrames, Tracks: []media.Track{videoTrack(media.H264)}}, nil
		})
		x := &exportRig{t: t, e: newExport(t, ExportConfig{FromStart: true})}
		if err := s.Attach(x.e); err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Run(t.Context()) }()
		w := &slowWriter{look: func() {
			time.Sleep(time.Minute)
			synctest.Wait()
			if held := len(x.e.out.bytes); held > enoughBytes+1<<20 {
				t.Errorf("%d bytes wait in memory", held)
			}
		}}
		if err := x.e.Copy(t.Context(), w, func() {}); err != nil {
			t.Errorf("broke off: %v", err)
		}
		if got := x.parse(w.Bytes()).samples[1]; len(got) != 128 || w.writes < 10 {
			t.Errorf("%d pictures of 128 in %d writes", len(got), w.writes)
		}
	})
}

type slowWriter struct {
	bytes.Buffer
	look   func()
	writes int
}

func (w *slowWriter) Write(b []byte) (int, error) {
	w.writes++
	w.look()
	return w.Buffer.Write(b)
}

func TestExportEndsAfterItsLength(t *testing.T) {
	x := export(t, ExportConfig{Length: 2 * time.Second}, videoTrack(media.H264), g711)
	for i := 0; i < 100 && !x.closed.done; i++ {
		x.sound(1, 320)
		x.picture(0, i%10 == 0)
	}
	if n := len(x.file().samples[1]); n != 50 || !errors.Is(x.closed.cause, errComplete) {
		t.Errorf("%d pictures, %v", n, x.closed.cause)
	}
}

func TestTracksMayComeLaterButNotChange(t *testing.T) {
	other := videoTrack(media.H264)
	other.Parameters = [][]byte{bytes.Clone(other.Parameters[0]), append(bytes.Clone(other.Parameters[1]), 0x80)}
	bare := aac
	bare.Parameters = nil
	for name, tc := range map[string]struct {
		first, then []media.Track
		video       uint8
		changed     bool
	}{
		"sound behind":                {[]media.Track{videoTrack(media.H264)}, []media.Track{videoTrack(media.H264), g711}, 0, false},
		"sound in front gets known":   {[]media.Track{bare, videoTrack(media.H264)}, []media.Track{aac, videoTrack(media.H264)}, 1, false},
		"other parameters":            {[]media.Track{videoTrack(media.H264)}, []media.Track{other}, 0, true},
		"other coding of the picture": {[]media.Track{videoTrack(media.H264)}, []media.Track{videoTrack(media.H265)}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := export(t, ExportConfig{}, tc.first...)
			x.picture(tc.video, true)
			x.picture(tc.video, false)
			x.s.SetTracks(tc.then)
			x.picture(tc.video, true)
			x.picture(tc.video, false)
			if x.closed.done != tc.changed || tc.changed && !errors.Is(x.closed.cause, ErrChanged) {
				t.Fatalf("closed %t, %v", x.closed.done, x.closed.cause)
			}
			if p := x.file(); !tc.changed && (p.tracks != 1 || len(p.samples[1]) != 4) {
				t.Errorf("%d tracks, %d pictures", p.tracks, len(p.samples[1]))
			}
		})
	}
}

func TestTimeInAnExportOnlyGoesOn(t *testing.T) {
	x := export(t, ExportConfig{}, videoTrack(media.H264), g711)
	for range 5 {
		x.picture(0, true)
	}
	x.dts -= 100 * media.TicksPerSecond
	for range 5 {
		x.picture(0, true)
		x.sound(1, 320)
	}
	x.dts -= 1800 // jitter
	x.picture(0, true)
	list := x.file().samples[1]
	if len(list) != 11 || list[9].dts != 9*3600 || list[10].dts > 10*3600 {
		t.Errorf("%+v", list)
	}
}

func TestCopyEndsWithItsReaderOrItsStream(t *testing.T) {
	broken := errors.New("source broke")
	for name, tc := range map[string]struct {
		saving bool // a recording, from its start
		cause  error
		ctx    bool
		want   error
	}{
		"a recording ended":            {true, media.ErrEnded, false, nil},
		"what was live ended":          {false, media.ErrEnded, false, media.ErrEnded},
		"the length asked for is full": {false, errComplete, false, nil},
		"it was detached":              {false, nil, false, nil},
		"the stream broke":             {true, broken, false, broken},
		"a recording was stopped":      {true, media.ErrStopped, false, media.ErrStopped},
		"the reader went":              {false, nil, true, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			x := export(t, ExportConfig{FromStart: tc.saving}, videoTrack(media.H264))
			x.picture(0, true)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			got := make(chan struct{})
			var w strings.Builder
			done := make(chan error)
			go func() { done <- x.e.Copy(ctx, &w, func() { close(got) }) }()
			<-got
			if tc.ctx {
				cancel()
			} else {
				x.e.Close(tc.cause)
			}
			if err := <-done; !errors.Is(err, tc.want) {
				t.Errorf("ended with %v", err)
			}
		})
	}
	x := export(t, ExportConfig{}, videoTrack(media.H264))
	x.picture(0, true)
	if err := x.e.Copy(t.Context(), brokenWriter{}, func() {}); !errors.Is(err, errBroken) {
		t.Errorf("writer that fails: %v", err)
	}
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestExportAllocatesLittle(t *testing.T) {
	x := export(t, ExportConfig{}, videoTrack(media.H264))
	b := mediatest.Lengths(mediatest.Picture(media.H264, true, 20000, 1)...)
	var spare []byte
	step := func() {
		x.push(media.Frame{PTS: x.dts, DTS: x.dts, Key: true}, b)
		x.tick(3600)
		got, err := x.e.out.next(context.Background(), spare)
		if err != nil || len(got) < 20000 {
			t.Fatal(len(got), err)
		}
		spare = got[:0]
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(200, step); n > 2 {
		t.Errorf("%v allocations a picture", n)
	}
}

// TestExportTakesItsQueueFromTheBudget: where there is no memory to begin with it is
// refused; where there is no more, a live stream loses pictures up to a key picture
// and a recording waits for its reader.
func TestExportTakesItsQueueFromTheBudget(t *testing.T) {
	budget := media.NewBudget(4 << 20) // of which viewers may have 3 MiB
	if err := budget.Take(2<<20, media.ForViewing); err != nil {
		t.Fatal(err)
	}
	if _, err := NewExport(ExportConfig{Budget: budget}); !errors.Is(err, media.ErrMemory) {
		t.Errorf("without memory: %v", err)
	}
	budget.Give(2<<20, media.ForViewing)
	x := export(t, ExportConfig{Budget: budget}, videoTrack(media.H264))
	x.size = 100_000
	for i := range 30 {
		x.picture(0, i%10 == 0)
	}
	if st := budget.State(); st.Used != 2<<20 || st.Refused < 2 {
		t.Errorf("%+v, want the queue held down", st)
	}
	if n := len(x.e.out.bytes); n > 1<<20 {
		t.Errorf("%d bytes wait", n)
	}
	if n := len(x.file().samples[1]); n < 5 || n > 10 {
		t.Errorf("%d pictures were kept", n)
	}
	if st := budget.State(); st.Used != 0 {
		t.Errorf("%+v after the end", st)
	}
	x = export(t, ExportConfig{Budget: budget, FromStart: true}, videoTrack(media.H264))
	x.size = 100_000
	for i := range 30 {
		x.picture(0, i%10 == 0)
	}
	x.e.out.mu.Lock()
	waiting := len(x.e.out.bytes)
	x.e.out.mu.Unlock()
	if waiting > 5<<18 || x.closed.done {
		t.Errorf("%d bytes wait, closed by %v", waiting, x.closed.cause)
	}
}

func TestStillIsTheLastKeyPictureAlone(t *testing.T) {
	x := export(t, ExportConfig{Length: time.Hour}, g711, videoTrack(media.H264))
	for i := range 45 { // before anybody asks for it
		x.sound(0, 320)
		x.size = 600 + 10*i
		x.picture(1, i%20 == 0)
	}
	still := newExport(t, ExportConfig{Still: true})
	k := &closing{Export: still}
	if err := x.s.Attach(k); err != nil {
		t.Fatal(err)
	}
	x.s.Flush(x.now)
	if !k.done || x.s.Stats().Consumers.Cut != 0 {
		t.Fatalf("not done: %t, cut %+v", !k.done, x.s.Stats().Consumers)
	}
	var b bytes.Buffer
	if err := still.Copy(t.Context(), &b, func() {}); err != nil {
		t.Fatal(err)
	}
	f := x.parse(b.Bytes())
	size := len(mediatest.Lengths(mediatest.Picture(media.H264, true, 600+10*40, 0)...))
	if list := f.samples[1]; f.tracks != 1 || len(list) != 1 || !list[0].key || list[0].dts != 0 || list[0].size != size {
		t.Errorf("%d tracks, %+v, want one key picture of %d bytes", f.tracks, list, size)
	}
}

func TestStillOfSoundAloneNeverComes(t *testing.T) {
	x := export(t, ExportConfig{Still: true}, g711)
	for range 10 {
		x.sound(0, 320)
		x.tick(3600)
	}
	if x.closed.done || len(x.e.out.bytes) > 0 {
		t.Errorf("%d bytes, closed: %t", len(x.e.out.bytes), x.closed.done)
	}
}
