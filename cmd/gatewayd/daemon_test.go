package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
)

func TestLeafIsStartedAgainWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var starts []time.Time
		supervise(ctx, slog.New(slog.DiscardHandler), func(context.Context) error {
			starts = append(starts, time.Now())
			if len(starts)%2 == 0 {
				panic("poison")
			}
			return errors.New("broken")
		})
		for i := 1; i < len(starts); i++ {
			pause, least := starts[i].Sub(starts[i-1]), min(backoffLeast<<(i-1), backoffMost)
			if pause < least || pause > least*3/2 {
				t.Errorf("pause %d: %s, want %s and at most half more", i, pause, least)
			}
		}
		if len(starts) < 15 {
			t.Errorf("%d starts in ten minutes", len(starts))
		}
	})
}

func TestStageThatFailsStopsTheProcess(t *testing.T) {
	ctx, fail := context.WithCancelCause(t.Context())
	broken := errors.New("broken")
	stop := startStage([]component{
		{"good", func(ctx context.Context) error { <-ctx.Done(); return nil }},
		{"bad", func(context.Context) error { return broken }},
	}, fail)
	<-ctx.Done()
	stop()
	if err := context.Cause(ctx); !errors.Is(err, broken) {
		t.Errorf("cause %v", err)
	}
}

func TestRefusalsNameStatusLevelAndCause(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want api.Error
	}{
		"no channel": {fmt.Errorf("x: %w", domain.ErrNoChannel), api.Error{Status: http.StatusNotFound, Cause: "x: no such channel"}},
		"below": {fmt.Errorf("live: %w", &domain.Refused{Level: "33010600002000000001", Status: 486, Reason: "encoder busy"}),
			api.Error{Status: http.StatusBadGateway, Level: "33010600002000000001", Cause: "486 encoder busy"}},
		"silent below": {&domain.Refused{Level: "33010600002000000001", Reason: "no answer"},
			api.Error{Status: http.StatusBadGateway, Level: "33010600002000000001", Cause: "no answer"}},
		"held":           {fmt.Errorf("x: %w", domain.ErrHeld), api.Error{Status: http.StatusConflict, Cause: "x: another moves the camera"}},
		"unable":         {fmt.Errorf("%w: no preset 7", domain.ErrUnable), api.Error{Status: http.StatusNotImplemented, Cause: "camera cannot do that: no preset 7"}},
		"caller's fault": {badRequest{errors.New("from: x")}, api.Error{Status: http.StatusBadRequest, Cause: "from: x"}},
		"deadline":       {context.DeadlineExceeded, api.Error{Status: http.StatusGatewayTimeout, Cause: "context deadline exceeded"}},
		"other":          {errors.New("odd"), api.Error{Status: http.StatusInternalServerError, Cause: "odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(&tc.want, errorOf(tc.err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestUserGetsTheAnswerToItsOwnRequest(t *testing.T) {
	var posted []domain.Event
	var u *users
	u = newUsers(func(e domain.Event) bool {
		posted = append(posted, e)
		if w, ok := e.(domain.WatchIn); ok {
			u.Tell(domain.Opened{Ticket: w.Ticket + 1}) // somebody else's: nobody waits for it
			if w.Channel == "" {
				u.Tell(domain.Denied{Ticket: w.Ticket, Err: domain.ErrNoChannel})
			} else {
				u.Tell(domain.Opened{Ticket: w.Ticket, Source: 7})
				u.Tell(domain.Ended{Ticket: w.Ticket, Err: domain.ErrGone})
			}
		}
		return true
	})
	watch := func(c domain.Code) func(domain.Ticket) domain.Event {
		return func(t domain.Ticket) domain.Event { return domain.WatchIn{Ticket: t, Channel: c} }
	}
	v, e, err := u.ask(t.Context(), watch(camera1))
	if err != nil || e.(domain.Opened).Source != 7 || !errors.Is(<-v.ended, domain.ErrGone) {
		t.Errorf("opened: %v, %v", e, err)
	}
	u.leave(v)
	if d := cmp.Diff(domain.WatchOut{Ticket: v.ticket}, posted[len(posted)-1]); d != "" || len(u.waiting) != 0 {
		t.Error(d, len(u.waiting))
	}
	if _, _, err := u.ask(t.Context(), watch("")); !errors.Is(err, domain.ErrNoChannel) {
		t.Errorf("denied: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := u.ask(ctx, func(domain.Ticket) domain.Event { return domain.Tick{} }); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestHealthNamesWhatIsWrong(t *testing.T) {
	at := time.Now()
	good := api.Status{Servers: []api.Server{{Kind: api.ServerRTSP, State: api.ServerOpen}, {Kind: api.ServerWeb, State: api.ServerNoUser}},
		Streams: api.Budget{Refused: 7, Last: at.Add(-recently)}, Volumes: []api.Volume{{Path: "/a", State: volumeGood}}, Uppers: []api.Peer{{Code: "1", State: "online"}, {Code: "2", State: "left"}}, Encoders: []api.Encoder{{Online: true}}}
	if h := health(good, at); h != "good" {
		t.Errorf("good: %q", h)
	}
	bad := api.Status{Volumes: []api.Volume{{Path: "/a", State: "full"}}, Uppers: []api.Peer{{Code: "1", State: "refused"}}, Encoders: []api.Encoder{{Online: true}, {}}}
	if h := health(bad, at); h != "volume /a: full; upper 1 is refused; 1 of 2 encoders offline" {
		t.Errorf("bad: %q", h)
	}
	for want, s := range map[string]api.Status{
		"bus yard: no such file":                     {Buses: []api.Bus{{Name: "yard", Problem: "no such file"}}},
		"rtsp for viewers: taken":                    {Servers: []api.Server{{Kind: api.ServerRTSP, State: api.ServerClosed, Problem: "taken"}}},
		"web for viewers: no UDP":                    {Servers: []api.Server{{Kind: api.ServerWeb, State: api.ServerOpen, Problem: "no UDP"}}},
		"memory: did not suffice 3s ago":             {Streams: api.Budget{Refused: 1, Last: at.Add(-3 * time.Second)}},
		"memory: the rings of 2 streams cannot grow": {Streams: api.Budget{Refused: 9, Last: at, Short: 2}},
	} {
		if h := health(s, at); h != want {
			t.Errorf("%q, want %q", h, want)
		}
	}
}

func TestVolumeThatTakesNothingIsNotCalledGood(t *testing.T) {
	for want, times := range map[string][2]time.Duration{
		volumeGood:                  {0, 0},
		"has not answered for 3s":   {3 * time.Second, 12 * time.Second},
		"has taken nothing for 12s": {0, 12 * time.Second},
	} {
		if got := volumeState(times[0], times[1]); got != want {
			t.Errorf("%v: %q, want %q", times, got, want)
		}
	}
	if got := volumeState(0, failingFor-1); got != volumeGood {
		t.Errorf("while it makes room: %q", got)
	}
}

func TestElementaryParametersSurviveTheSDP(t *testing.T) {
	tracks := []media.Track{
		{Codec: media.H264, ClockRate: 90000, PayloadType: 96, Parameters: mediatest.Parameters(media.H264)},
		{Codec: media.AAC, ClockRate: 16000, Channels: 1, PayloadType: 97, Parameters: [][]byte{{0x14, 0x08}}},
	}
	infos, _, ok := agree(elementaryOffer(), media.StreamState{Tracks: tracks})
	if !ok {
		t.Fatal("not agreed")
	}
	got, err := tracksOf(infos)
	if err != nil {
		t.Fatal(err)
	}
	tracks[0].PayloadType, tracks[1].PayloadType = 98, 102
	if d := cmp.Diff(tracks, got); d != "" {
		t.Error(d)
	}
	h265 := media.Track{Codec: media.H265, ClockRate: 90000, Parameters: mediatest.Parameters(media.H265)}
	if d := cmp.Diff(h265.Parameters, parseParameters(media.H265, formatParameters(h265))); d != "" {
		t.Error(d)
	}
}

func TestElementaryIsNotAgreedUnlessEveryTrackCanBe(t *testing.T) {
	track := []media.Track{{Codec: media.H264, ClockRate: 90000}}
	for name, st := range map[string]media.StreamState{
		"program stream": {Carriage: media.CarriagePS, Tracks: track},
		"no tracks":      {},
		"not offered":    {Tracks: []media.Track{{Codec: media.G711U}}},
	} {
		if _, _, ok := agree(elementaryOffer()[:1], st); ok {
			t.Errorf("%s was agreed", name)
		}
	}
	for _, infos := range [][]domain.TrackInfo{nil, {{Name: "VP8", ClockRate: 90000}}, {{Name: "H264"}}} {
		if _, err := tracksOf(infos); err == nil {
			t.Errorf("%v was accepted", infos)
		}
	}
}

func TestForgettingIsSetForEachPeer(t *testing.T) {
	f := config.File{Uppers: []config.Upper{{ForgetOffline: true}, {}}, Lowers: []config.Lower{{ForgetOffline: true}, {}}}
	for i, p := range domainPeers(f) {
		if want := i%2 == 0; p.Forget != want {
			t.Errorf("%s %d: forgotten %v, want %v", p.Role, i, p.Forget, want)
		}
	}
}

func TestProfileIsSetForEachUpper(t *testing.T) {
	for text, want := range map[string]uint8{"": 0, "main": 0, "sub": 1} {
		if got := domainPeers(config.File{Uppers: []config.Upper{{Profile: text}}})[0].Profile; got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestRankIsSetForEachUpper(t *testing.T) {
	peers := domainPeers(config.File{Uppers: []config.Upper{{PTZRank: 99}, {PTZRank: 50}, {}}, Lowers: []config.Lower{{}}})
	for i, want := range []uint8{99, 50, 0, 0} {
		if got := peers[i].Rank; got != want {
			t.Errorf("peer %d: %d, want %d", i, got, want)
		}
	}
}

func TestProfileOfARequestIsRead(t *testing.T) {
	for query, want := range map[string]int{"": 0, "?profile=main": 0, "?profile=sub": 1, "?profile=3": -1, "?profile=Sub": -1} {
		r, err := http.NewRequest(http.MethodGet, "http://x/live"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := profileOf(r); (err != nil) != (want < 0) || err == nil && int(got) != want {
			t.Errorf("%q: %d, %v, want %d", query, got, err, want)
		}
	}
}

func TestEmptyShareSharesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		share []string
		want  []domain.Code
	}{
		"absent": {nil, nil},
		"empty":  {[]string{}, []domain.Code{}},
		"some":   {[]string{string(camera1)}, []domain.Code{camera1}},
	} {
		got := domainPeers(config.File{Uppers: []config.Upper{{Share: tc.share}}})[0].Share
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
