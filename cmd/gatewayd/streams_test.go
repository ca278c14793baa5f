package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/cmd/internal/footage"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/storage"
)

// filming is a daemon with one encoder whose main stream a test plays: three groups
// of ten pictures are in its ring.
func filming(t *testing.T, changes ...func(*config.File)) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the encoder answers, which is all that is asked of it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := launch(t, stateDir(t), districtCode, fmt.Sprintf("[[encoder]]\nid = %q\nrtsp = \"rtsp://%s/x\"\n[record]\nenabled = false\n", camera1, l.Addr()), changes...)
	t.Cleanup(g.stop)
	src := mediatest.NewSource(media.Opened{Tracks: []media.Track{{
		Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H264)}}})
	s, release := g.hub.Acquire(media.Key{Channel: string(camera1), Profile: "main"}, media.StreamConfig{}, src.Open)
	t.Cleanup(release)
	p := mediatest.Packetizer{PayloadType: 98, SSRC: 7}
	for i := range 30 {
		src.Push(0, p.Video(media.H264, uint32(i)*3600, mediatest.Picture(media.H264, i%10 == 0, 3000+i, byte(i))...)...)
	}
	await(t, "its pictures are there", func() bool { return s.Stats().Units >= 29 })
	await(t, "it is online", func() bool { return g.channel(camera1).Online })
	return g
}

func TestStreamIsShownWithItsConsumers(t *testing.T) {
	g := filming(t)
	watching := make(chan error, 1)
	go func() {
		watching <- g.client.Live(t.Context(), api.LiveRequest{Channel: string(camera1), For: time.Hour}, io.Discard)
	}()
	var all []api.StreamDetail
	await(t, "the consumer is seen", func() bool {
		if err := g.client.Get(t.Context(), api.PathStreams+"/"+string(camera1), nil, &all); err != nil {
			t.Fatal(err)
		}
		return len(all) == 1 && len(all[0].Consumers) == 1 && all[0].Consumers[0].Units > 0
	})
	s := all[0]
	if s.Channel != string(camera1) || s.Profile != "main" || s.Source[:17] != "encoder 127.0.0.1" || s.Keys != 3 || s.Opened != 1 || s.At.IsZero() {
		t.Errorf("%+v", s)
	}
	if m := s.Media; len(m) != 1 || m[0].Coding != "H.264 640x360" || math.Abs(m[0].FPS-25) > 0.1 || m[0].Group != 10 || m[0].Interval != 0.4 || m[0].Bits == 0 {
		t.Errorf("%+v", m)
	}
	if k := s.Consumers[0]; k.Kind != "mp4" || k.Name != ctlName || k.Copied != k.Bytes || k.Since.IsZero() {
		t.Errorf("%+v", k)
	}
	if s.Memory.Bytes != 4<<20 || s.Memory.Held == 0 || s.Memory.Seconds < 1 {
		t.Errorf("%+v", s.Memory)
	}
	if err := g.client.Get(t.Context(), api.PathStreams+"/x", nil, &all); statusOf(err) != http.StatusBadRequest {
		t.Errorf("of no channel: %v", err)
	}
	if err := g.client.Get(t.Context(), api.PathStreams+"/33010600001320000099", nil, &all); err != nil || all == nil || len(all) != 0 {
		t.Errorf("of a channel without a stream: %v, %v", all, err)
	}
}

// statusOf returns the status of a refusal, or 0.
func statusOf(err error) int {
	if e := (*api.Error)(nil); errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestSnapshotWithoutONVIFIsTheLastKeyPicture(t *testing.T) {
	g := filming(t)
	file, kind, err := g.client.Snapshot(t.Context(), api.SnapshotRequest{Channel: string(camera1)})
	if err != nil || kind != api.TypeMP4 {
		t.Fatal(kind, err)
	}
	r := footage.NewReader(bytes.NewReader(file))
	picture, err := r.Next()
	if err != nil || !picture.Decodable() {
		t.Fatalf("%+v, %v", picture, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the picture: %v", err)
	}
	want := len(mediatest.Lengths(mediatest.Picture(media.H264, true, 3020, 20)...))
	if n := len(picture.Data); n != want {
		t.Errorf("a picture of %d bytes, want the last key picture of %d", n, want)
	}
	if _, _, err := g.client.Snapshot(t.Context(), api.SnapshotRequest{Channel: "33010600001320000099"}); statusOf(err) != http.StatusNotFound {
		t.Errorf("of no channel: %v", err)
	}
}

func TestSnapshotAndViewOfWhatAnotherDomainSends(t *testing.T) {
	for name, elementary := range map[string]bool{"program stream": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			from, to := newBox(t), newBox(t)
			connect(t, from, to, domain.OpenReceiver{Transport: domain.MediaTCPPassive, Elementary: elementary,
				Peer: domain.PeerRef{Code: districtCode}})
			from.studio.pictures()
			s := to.legs.stream(1)
			await(t, "two groups are there", func() bool { return s.Stats().Units >= 19 })
			export, err := storage.NewExport(storage.ExportConfig{Still: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Attach(export); err != nil {
				t.Fatal(err)
			}
			var file bytes.Buffer
			if err := export.Copy(t.Context(), &file, func() {}); err != nil {
				t.Fatal(err)
			}
			r := footage.NewReader(&file)
			picture, err := r.Next()
			if _, more := r.Next(); err != nil || !picture.Decodable() || !errors.Is(more, io.EOF) {
				t.Errorf("%v, decodable: %t, then %v", err, picture.Decodable(), more)
			}
			c := &control{hub: media.NewHub(media.HubConfig{}), legs: to.legs}
			w := httptest.NewRecorder()
			c.routes().ServeHTTP(w, httptest.NewRequest("GET", api.PathStreams+"/"+string(camera1), nil))
			var all []api.StreamDetail
			if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || len(all) != 1 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			d := all[0]
			if d.Source != "domain "+districtCode || d.Transport != "tcp" || len(d.Media) != 1 || d.Media[0].Group != 10 || math.Abs(d.Media[0].FPS-25) > 0.1 {
				t.Errorf("%+v", d)
			}
			from.legs.Do(domain.CloseLeg{Leg: 2})
			to.legs.Do(domain.CloseLeg{Leg: 1})
		})
	}
}

// TestSubStreamThatThereIsNotIsTheMainOne: the encoder is not asked for its main
// stream a second time.
func TestSubStreamThatThereIsNotIsTheMainOne(t *testing.T) {
	g := filming(t)
	main, release, err := g.cameras.live(camera1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	sub, release, err := g.cameras.live(camera1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if sub != main {
		t.Error("another stream was begun")
	}
}
