package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/rtsp"
)

// A reception is the domain as viewers meet it.
type reception struct {
	users  *users
	answer func(domain.WatchIn) domain.Effect
	asked  []domain.WatchIn
	left   []domain.Ticket
}

func newReception(answer func(domain.WatchIn) domain.Effect) *reception {
	r := &reception{answer: answer}
	r.users = newUsers(func(ev domain.Event) bool {
		switch ev := ev.(type) {
		case domain.WatchIn:
			r.asked = append(r.asked, ev)
			r.users.Tell(answer(ev))
		case domain.WatchOut:
			r.left = append(r.left, ev.Ticket)
		}
		return true
	})
	return r
}

func TestViewerIsALocalUserOfTheDomain(t *testing.T) {
	for path, profile := range map[string]uint8{string(camera1): 0, string(camera1) + "/sub": 1} {
		r := newReception(func(in domain.WatchIn) domain.Effect {
			return domain.Opened{Ticket: in.Ticket, Stream: domain.StreamID{Channel: in.Channel, Profile: in.Profile}, Source: 7}
		})
		stream, released := media.NewStream(media.StreamConfig{}, nil), 0
		vs := &viewers{users: r.users, words: words{rtsp.ErrNotFound, rtsp.ErrForbidden}, open: func(_ context.Context, e domain.Opened, _ int) (*media.Stream, func(), error) {
			if e.Source != 7 || e.Stream.Profile != profile {
				t.Errorf("%s opened %+v", path, e)
			}
			return stream, func() { released++ }, nil
		}}
		s, release, err := vs.stream(t.Context(), "wang", path)
		if err != nil || s != stream {
			t.Fatal(err)
		}
		want := []domain.WatchIn{{Ticket: 1, Channel: camera1, Kind: domain.Live, Profile: profile}}
		if d := cmp.Diff(want, r.asked); d != "" || len(r.left) > 0 || released > 0 {
			t.Errorf("%s, left %v, released %d", d, r.left, released)
		}
		release()
		if released != 1 || !slices.Equal(r.left, []domain.Ticket{1}) {
			t.Errorf("released %d, left %v", released, r.left)
		}
	}
}

func TestRefusedViewersAreToldWhyAndLeave(t *testing.T) {
	for name, tc := range map[string]struct {
		err, want error
	}{
		"no channel":       {domain.ErrNoChannel, rtsp.ErrNotFound},
		"none below":       {fmt.Errorf("live: %w", &domain.Refused{Level: "1", Status: 404}), rtsp.ErrNotFound},
		"not permitted":    {domain.ErrDenied, rtsp.ErrForbidden},
		"forbidden below":  {&domain.Refused{Level: "1", Status: 403}, rtsp.ErrForbidden},
		"domain offline":   {domain.ErrPeerOffline, domain.ErrPeerOffline},
		"opens no more":    {nil, domain.ErrGone},
		"stream not ready": {nil, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReception(func(in domain.WatchIn) domain.Effect {
				if tc.err == nil {
					return domain.Opened{Ticket: in.Ticket}
				}
				return domain.Denied{Ticket: in.Ticket, Err: tc.err}
			})
			vs := &viewers{users: r.users, words: words{rtsp.ErrNotFound, rtsp.ErrForbidden}, open: func(context.Context, domain.Opened, int) (*media.Stream, func(), error) {
				return nil, nil, tc.want
			}}
			if _, _, err := vs.stream(t.Context(), "wang", string(camera1)); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if !slices.Equal(r.left, []domain.Ticket{1}) {
				t.Errorf("left %v", r.left)
			}
		})
	}
}

func TestPathsThatNameNoStreamAreNotAsked(t *testing.T) {
	r := newReception(nil)
	vs := &viewers{users: r.users, words: words{rtsp.ErrNotFound, rtsp.ErrForbidden}}
	for _, path := range []string{"", "cam1", "3301060000132000000", string(camera1) + "/main", string(camera1) + "/", "/" + string(camera1)} {
		if _, _, err := vs.stream(t.Context(), "wang", path); !errors.Is(err, rtsp.ErrNotFound) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if len(r.asked) > 0 {
		t.Errorf("asked %v", r.asked)
	}
}

// forgetful keeps no accounts.
type forgetful struct{}

func (forgetful) SaveUser(string, any) {}
func (forgetful) ForgetUser(string)    {}

func TestNobodyListensBeforeThereIsAnAccount(t *testing.T) {
	book, err := account.NewBook(forgetful{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{log: slog.New(slog.DiscardHandler), accounts: book, control: &control{}, memory: &memory{}}
	g.file.RTSP = config.RTSP{Listen: "127.0.0.1:0", Ports: config.PortRange{First: 21000, Last: 21999}}
	g.file.WebRTC = config.WebRTC{Listen: "127.0.0.1:0", Media: "127.0.0.1:0"}
	if err := g.wireViewers(); err != nil {
		t.Fatal(err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if g.rtsp.somebody(over) {
		t.Error("somebody, though there is no account")
	}
	if err := book.Add("wang", account.Viewer, "correct horse"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = g.rtsp.Run(ctx) })
	running.Go(func() { _ = g.webrtc.Run(ctx) })
	_, err = g.rtsp.server.Addr(t.Context())
	_, err2 := g.webrtc.server.Addr(t.Context())
	if err := errors.Join(err, err2); err != nil {
		t.Error(err)
	}
	cancel()
	running.Wait()
	ha1, ok := players{book}.HA1("wang", "MD5")
	if want, _ := book.HA1("wang", "MD5"); !ok || ha1 != string(want) || ha1 == "***" {
		t.Errorf("H(A1) %q", ha1)
	}
	off := &gateway{log: g.log, control: &control{}}
	if err := off.wireViewers(); err != nil || off.rtsp.server != nil || off.webrtc.server != nil {
		t.Errorf("off: %v, %v, %v", off.rtsp, off.webrtc, err)
	}
}

// A viewer that takes memory of its own is refused where there is none, and gives it
// back when it leaves or gets no stream.
func TestViewerTakesItsMemoryFromTheBudget(t *testing.T) {
	budget := media.NewBudget(4 << 20) // of which viewers may have 3 MiB
	r := newReception(func(in domain.WatchIn) domain.Effect {
		if in.Profile == 1 {
			return domain.Denied{Ticket: in.Ticket, Err: domain.ErrNoChannel}
		}
		return domain.Opened{Ticket: in.Ticket, Stream: domain.StreamID{Channel: in.Channel}}
	})
	vs := &viewers{users: r.users, words: words{rtsp.ErrNotFound, rtsp.ErrForbidden}, lease: lease{budget, 2 << 20},
		open: func(context.Context, domain.Opened, int) (*media.Stream, func(), error) { return nil, func() {}, nil }}
	if _, _, err := vs.stream(t.Context(), "wang", string(camera1)+"/sub"); !errors.Is(err, rtsp.ErrNotFound) {
		t.Fatal(err)
	}
	_, release, err := vs.stream(t.Context(), "wang", string(camera1))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := vs.stream(t.Context(), "li", string(camera1)); !errors.Is(err, media.ErrMemory) {
		t.Errorf("the second: %v", err)
	}
	if len(r.asked) != 2 {
		t.Errorf("the domain was asked %d times", len(r.asked))
	}
	release()
	release()
	if st := budget.State(); st.Used != 0 {
		t.Errorf("%+v", st)
	}
}
