package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/storage"
)

// filmed records some seconds of camera1 on a volume of its own.
func filmed(t *testing.T, length time.Duration) (*storage.Volume, domain.Range) {
	t.Helper()
	v, err := storage.OpenVolume(t.Context(), storage.VolumeConfig{Dir: t.TempDir(), Owner: "box", Create: true, MinFree: 1,
		Spawn: spawnVolume})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = v.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	rec, err := storage.NewRecorder(v, storage.RecorderConfig{Channel: string(camera1)})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	s := media.NewStream(media.StreamConfig{Name: "recorded"}, nil)
	s.Adopt(media.Opened{Carriage: media.CarriageFrames, Tracks: []media.Track{recordedTrack()}}, start)
	if err := s.Attach(rec); err != nil {
		t.Fatal(err)
	}
	const frame = 40 * time.Millisecond
	for at := time.Duration(0); at < length; at += frame {
		n := int(at / frame)
		data := mediatest.Lengths(mediatest.Picture(media.H264, n%5 == 0, 600, byte(n))...)
		f := media.Frame{PTS: media.TicksOf(at), DTS: media.TicksOf(at), Wall: start.Add(at).UnixNano(), Key: n%5 == 0,
			Range: mediatest.Put(s, data)}
		if err := s.PushFrame(f); err != nil {
			t.Fatal(err)
		}
		s.Flush(start.Add(at))
		if n%25 == 24 { // the disk is not to be outrun
			await(t, "the disk has caught up", func() bool { return v.Stats().Disk.Queue == 0 })
		}
	}
	detached := make(chan struct{})
	go func() { defer close(detached); s.Detach(rec) }()
	for done := false; !done; {
		s.Flush(start.Add(length))
		select {
		case <-detached:
			done = true
		default:
		}
	}
	in := domain.Range{From: start, To: start.Add(length)}
	await(t, "the footage is durable", func() bool {
		list, err := v.Recordings(t.Context(), string(camera1), in.From, in.To)
		return err == nil && len(list) == 1 && list[0].End.Sub(start) > length-time.Second
	})
	return v, in
}

func recordedTrack() media.Track {
	t := mediatest.VideoTrack(media.H264)
	t.Parameters = mediatest.Parameters(media.H264)
	return t
}

// playing is a recording that flows from one box to the other, which has it read.
func playing(t *testing.T, length time.Duration, tr domain.MediaTransport) (from, to *box) {
	t.Helper()
	from, to = newBox(t), newBox(t)
	v, in := filmed(t, length)
	from.studio.volume = v
	id := domain.StreamID{Channel: camera1, Kind: domain.Playback, Range: in}
	to.legs.Do(domain.OpenReceiver{Leg: 1, Stream: id, Transport: tr})
	offer := next[domain.ReceiverOpened](t, to).Offer
	from.legs.Do(domain.OpenSender{Leg: 2, Stream: id, Offer: offer, SSRC: 77, Speed: 1})
	answer := next[domain.SenderOpened](t, from).Answer
	to.legs.Do(domain.ConnectReceiver{Leg: 1, Answer: answer})
	from.legs.Do(domain.StartSender{Leg: 2})
	next[domain.ReceiverReady](t, to)
	if err := to.legs.stream(1).Attach(new(mediatest.Sink)); err != nil { // a recording waits for its first reader
		t.Fatal(err)
	}
	return from, to
}

// TestPausedRecordingStandsStillAndGoesOn over real sockets, to its end.
func TestPausedRecordingStandsStillAndGoesOn(t *testing.T) {
	for _, tr := range []domain.MediaTransport{domain.MediaUDP, domain.MediaTCPPassive} {
		t.Run(tr.String(), func(t *testing.T) {
			t.Parallel()
			from, to := playing(t, time.Minute, tr)
			from.legs.Do(domain.ControlSender{Leg: 2, Command: domain.Command{Scale: 32}}) // it would end in 2 s
			to.legs.Do(domain.HoldReceiver{Leg: 1, Held: true})
			from.legs.Do(domain.ControlSender{Leg: 2, Command: domain.Command{Verb: domain.CommandPause}})
			select {
			case e := <-from.events:
				t.Fatalf("paused, and told %#v", e)
			case <-time.After(4 * time.Second):
			}
			from.legs.Do(domain.ControlSender{Leg: 2, Command: domain.Command{Scale: 32}})
			to.legs.Do(domain.HoldReceiver{Leg: 1})
			if e := next[domain.MediaEnded](t, from); e.Err != nil {
				t.Errorf("ended with %v", e.Err)
			}
			to.legs.Do(domain.CloseLeg{Leg: 1})
		})
	}
}

// TestSeekAndScaleShortenARecording of a minute to some seconds.
func TestSeekAndScaleShortenARecording(t *testing.T) {
	for name, c := range map[string]domain.Command{
		"seek":           {Seek: true, From: 59 * time.Second},
		"scale":          {Scale: 32},
		"seek and scale": {Seek: true, From: 30 * time.Second, Scale: 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := playing(t, time.Minute, domain.MediaTCPPassive)
			began := time.Now()
			from.legs.Do(domain.ControlSender{Leg: 2, Command: c})
			if e := next[domain.MediaEnded](t, from); e.Err != nil || time.Since(began) > 20*time.Second {
				t.Errorf("ended with %v after %v", e.Err, time.Since(began))
			}
			to.legs.Do(domain.CloseLeg{Leg: 1})
		})
	}
}
