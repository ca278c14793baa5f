package main

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

// watch has a channel watched while a daemon answers looks, each once, and interrupts
// it with the look after them. An answer is refused if it is nil.
func watch(t *testing.T, r runner, looks [][]api.StreamDetail, args ...string) result {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	asked := atomic.Int32{}
	r.ctx, r.fake = ctx, &fake{socket: filepath.Join(t.TempDir(), "s"), asked: make(chan request, 10)}
	r.fake.listen(t, func(w http.ResponseWriter, q *http.Request) {
		n := int(asked.Add(1)) - 1
		switch {
		case n >= len(looks):
			interrupt()
			<-q.Context().Done()
		case looks[n] == nil:
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(api.Error{Status: 503, Cause: "busy"})
		default:
			_ = json.NewEncoder(w).Encode(looks[n])
		}
	})
	return r.run(append([]string{"streams", channel1}, args...)...)
}

// later is what is seen of the streams after a while.
func later(d time.Duration) []api.StreamDetail {
	all := details()
	s := &all[0]
	s.At = s.At.Add(d)
	s.Bytes += uint64(500_000 * d.Seconds())
	s.Consumers[1].Bytes += uint64(250_000 * d.Seconds())
	s.Consumers[2].Since = s.At // another player at the same address
	return all
}

func TestWatchTellsRatesAndSurvivesTheStream(t *testing.T) {
	looks := [][]api.StreamDetail{details(), later(2 * time.Second), {}, nil, details()}
	r := watch(t, runner{}, looks, "--watch")
	want := "12:00:00 " + channel1 + " main running -, 3 lost, 1 damaged, ring 8.1 s, 3 consumers, 1234 ms behind at most, 48 lapped, 2 cut\n" +
		"12:00:00 " + channel1 + " main running 4.0 Mbit/s, 3 lost, 1 damaged, ring 8.1 s, 3 consumers, 1234 ms behind at most, 48 lapped, 2 cut\n" +
		"12:00:00 " + channel1 + ": no stream of it runs\n" +
		"12:00:00 " + channel1 + ": busy\n" +
		"12:00:00 " + channel1 + " main running -, 3 lost, 1 damaged, ring 8.1 s, 3 consumers, 1234 ms behind at most, 48 lapped, 2 cut\n"
	if r.status != exitGood || r.errOut != "" || r.out != want {
		t.Errorf("status %d, %s\n%s\nwant\n%s", r.status, r.errOut, r.out, want)
	}
}

func TestWatchAsJSONIsAnObjectALine(t *testing.T) {
	r := watch(t, runner{}, [][]api.StreamDetail{details(), later(2 * time.Second), nil}, "--watch", "--json")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if r.status != exitGood || len(lines) != 3 {
		t.Fatalf("status %d, %d lines, %s", r.status, len(lines), r.errOut)
	}
	first, second, third := strictly[watched](t, lines[0]), strictly[watched](t, lines[1]), strictly[watched](t, lines[2])
	s := second.Streams[0]
	if first.Streams[0].Rate != 0 || s.Rate != 4e6 || s.Consumers[0].Rate != 0 || s.Consumers[1].Rate != 2e6 || s.Consumers[2].Rate != 0 {
		t.Errorf("rates %v, then %v of %+v", first.Streams[0].Rate, s.Rate, s.Consumers)
	}
	if third.Error != "busy" || third.Streams == nil {
		t.Errorf("%+v", third)
	}
}

func TestWatchRedrawsATerminalInPlace(t *testing.T) {
	r := watch(t, runner{screen: true}, [][]api.StreamDetail{details(), later(2 * time.Second)}, "--watch")
	frames := strings.Split(r.out, "\x1b[H")
	if r.status != exitGood || len(frames) != 3 || frames[0] != "" {
		t.Fatalf("status %d, %d frames, %s", r.status, len(frames)-1, r.errOut)
	}
	for _, f := range frames[1:] {
		if strings.Count(f, "\n") != strings.Count(f, "\x1b[K\n") || !strings.HasSuffix(f, "\x1b[J") {
			t.Errorf("leaves something of the last frame:\n%q", f)
		}
	}
	golden(t, "watch", strings.ReplaceAll(frames[2], "\x1b", "ESC"))
}

func TestWatchThatCannotBeginFails(t *testing.T) {
	if r := watch(t, runner{}, [][]api.StreamDetail{nil}, "--watch"); r.status != exitFailed || !strings.Contains(r.errOut, "busy") {
		t.Errorf("status %d, %s", r.status, r.errOut)
	}
	if r := (runner{}).run("streams", "--watch"); r.status != exitUsage {
		t.Errorf("without a channel: status %d, %s", r.status, r.errOut)
	}
}
