package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/footage"
)

// A score counts checks.
type score struct{ passed, failed int }

// note prints the outcome of one check.
func (s *score) note(out io.Writer, what, detail string, err error) {
	if err != nil {
		s.failed++
		fmt.Fprintf(out, "FAIL %s: %s\n", what, strings.ReplaceAll(err.Error(), "\n", "\n     "))
		return
	}
	s.passed++
	if detail != "" {
		detail = ": " + detail
	}
	fmt.Fprintf(out, "ok   %s%s\n", what, detail)
}

// verify does one check and prints its outcome. Once a process has died there is
// nothing more to check.
func (d *demo) verify(ctx context.Context, what string, f func(context.Context) (string, error)) bool {
	if ctx.Err() != nil {
		return false
	}
	detail, err := f(ctx)
	if died := because(ctx, nil); died != nil {
		err = errors.New(firstLine(died.Error()))
	}
	d.tally.note(d.out, what, detail, err)
	return err == nil
}

// soon is a check that may take a while to come true.
func soon(f func(context.Context) error) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return "", eventually(ctx, 25*time.Second, f) }
}

// check does every check. Without encoders there is nothing more to see.
func (d *demo) check(ctx context.Context) {
	d.verify(ctx, "all links are online, seen from both ends", soon(d.site.linked))
	var found []api.Encoder
	ok := d.verify(ctx, "the district discovers both encoders and records them", soon(func(ctx context.Context) (err error) {
		found, err = d.site.encoders(ctx)
		return err
	}))
	if !ok {
		return
	}
	for _, e := range found {
		d.verify(ctx, "the province lists "+e.Name+" under 西湖区 under 杭州市",
			soon(func(ctx context.Context) error { return d.site.listed(ctx, e) }))
	}
	var firsts []time.Duration
	for _, e := range found {
		d.verify(ctx, "first live picture at the province, "+e.Video, func(ctx context.Context) (string, error) {
			took, err := d.site.levels[province].firstPicture(ctx, e.Code)
			firsts = append(firsts, took)
			return fmt.Sprintf("%d ms", took.Milliseconds()), err
		})
	}
	for _, e := range found {
		d.checkViewers(ctx, e)
	}
	d.verify(ctx, "after the last viewer no session is left at any level", soon(d.site.idle))
	for _, e := range found {
		d.checkRecording(ctx, e)
		d.verify(ctx, "gatewayctl moves "+e.Name+" from the province", func(ctx context.Context) (string, error) { return "", d.moved(ctx, e.Code) })
	}
	d.checkRefusals(ctx, found[0])
	d.verify(ctx, "after all this no session is left at any level", soon(d.site.idle))
	if err := d.table(ctx, firsts); err != nil && ctx.Err() == nil {
		d.tally.note(d.out, "table", "", err)
	}
}

// watched is how long pictures are counted.
const watched = 10 * time.Second

// leastPictures is what must have come in that time, of 25 a second.
const leastPictures = 225

// checkViewers lets two viewers at the province watch the same channel.
func (d *demo) checkViewers(ctx context.Context, e api.Encoder) {
	top := d.site.levels[province]
	var tallies [2]*footage.Tally
	var shared error
	g, watch := errgroup.WithContext(ctx)
	for i := range tallies {
		g.Go(func() (err error) {
			tallies[i], err = count(watch, top.live(e.Code, watched))
			if err == nil && tallies[i].Pictures < leastPictures {
				err = fmt.Errorf("%s: too few", tallies[i])
			}
			return err
		})
	}
	g.Go(func() error {
		shared = eventually(watch, watched/2, func(ctx context.Context) error { return d.site.shared(ctx, e.Code) })
		return nil
	})
	err := g.Wait()
	d.verify(ctx, fmt.Sprintf("two viewers at the province, %s, for %s", e.Video, watched), func(context.Context) (string, error) {
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s; %s; the last one %.1f ms after it was sent", tallies[0], tallies[1], tallies[0].Delay.Seconds()*1e3), nil
	})
	d.verify(ctx, "both share one session on each hop", func(context.Context) (string, error) { return "", shared })
}

// shared checks that a channel crosses each hop once: one session at the ends,
// one in and one out in between.
func (s *site) shared(ctx context.Context, channel string) error {
	for i, want := range [...]int{province: 1, city: 2, district: 1} {
		list, err := s.levels[i].sessions(ctx, channel)
		if err == nil && len(list) != want {
			err = fmt.Errorf("%s has %d sessions of %s, want %d", s.levels[i].english, len(list), channel, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// idle checks that no level has a session.
func (s *site) idle(ctx context.Context) error {
	for _, l := range s.levels {
		list, err := l.sessions(ctx, "")
		if err == nil && len(list) > 0 {
			err = fmt.Errorf("%s still has %d sessions: %+v", l.english, len(list), list[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkRecording asks the province for a channel's recordings and plays one.
func (d *demo) checkRecording(ctx context.Context, e api.Encoder) {
	var from, to time.Time
	ok := d.verify(ctx, "the province finds the district's recording of "+e.Name, func(ctx context.Context) (string, error) {
		err := eventually(ctx, 20*time.Second, func(ctx context.Context) (err error) {
			from, to, err = d.recorded(ctx, e.Code)
			return err
		})
		return fmt.Sprintf("%.0f s", to.Sub(from).Seconds()), err
	})
	if !ok {
		return
	}
	d.verify(ctx, "gatewayctl plays it from the province, "+e.Video, func(ctx context.Context) (string, error) {
		return d.played(ctx, e.Code, from.Add(time.Second), from.Add(5*time.Second))
	})
}

// recorded returns the range of the channel's first recording as the province
// is told: long enough to play four seconds out of it.
func (d *demo) recorded(ctx context.Context, channel string) (from, to time.Time, err error) {
	var r api.Recordings
	q := api.Range(d.began.Add(-time.Minute), time.Now())
	if err := d.site.levels[province].client.Get(ctx, api.PathRecords+channel, q, &r); err != nil {
		return from, to, err
	}
	for _, rec := range r.Items {
		if rec.Gap == "" && rec.To.Sub(rec.From) >= 6*time.Second {
			return rec.From, rec.To, nil
		}
	}
	return from, to, fmt.Errorf("nothing of 6 s among %d recordings: %+v", len(r.Items), r.Items)
}

// played saves a recording with gatewayctl and reads the file.
func (d *demo) played(ctx context.Context, channel string, from, to time.Time) (string, error) {
	file := filepath.Join(d.site.dir, channel+".mp4")
	status, text := d.ctl(ctx, "play", channel, from.Format(time.RFC3339Nano), to.Format(time.RFC3339Nano), "-o", file)
	if status != 0 {
		return "", fmt.Errorf("exit status %d: %s", status, text)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	t, first, start, end := &footage.Tally{}, true, time.Duration(0), time.Duration(0)
	err = samples(f, func(s footage.Sample) error {
		if !s.Track.Codec.Video() {
			return nil
		}
		if first && !s.Decodable() {
			return errors.New("the file does not begin with a picture that can be decoded")
		}
		if first {
			start, first = s.DTS, false
		}
		end = s.DTS + s.Duration
		return tally(t, s)
	})
	switch length := end - start; {
	case err != nil:
		return "", err
	case !t.Whole():
		return "", errors.New(t.String())
	case length < 3*time.Second || length > 9*time.Second:
		return "", fmt.Errorf("asked for %s, got %s", to.Sub(from), length)
	default:
		return fmt.Sprintf("%.1f s, %s", length.Seconds(), t), nil
	}
}

// moved moves a camera for a moment.
func (d *demo) moved(ctx context.Context, channel string) error {
	if status, text := d.ctl(ctx, "ptz", channel, "left", "up", "--for", "500ms"); status != 0 {
		return fmt.Errorf("exit status %d: %s", status, text)
	}
	return nil
}

// ctl runs gatewayctl against the province and returns its exit status and what
// it complained about.
func (d *demo) ctl(ctx context.Context, args ...string) (int, string) {
	cmd := exec.CommandContext(ctx, d.site.program("gatewayctl"), append([]string{"--socket", d.site.levels[province].socket()}, args...)...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), strings.TrimSpace(complaint.String())
	}
	if err != nil {
		return -1, err.Error()
	}
	return 0, strings.TrimSpace(complaint.String())
}

// checkRefusals checks that what cannot be is refused, by its cause.
func (d *demo) checkRefusals(ctx context.Context, e api.Encoder) {
	lowest := levelNames[district].code
	file := filepath.Join(d.site.dir, "none.mp4")
	for _, tc := range []struct {
		what   string
		status int
		says   []string
		args   []string
	}{
		{"gatewayctl status", 0, nil, []string{"status"}},
		{"an unknown channel is refused", 1, []string{"33010600001320999999", "no such channel"},
			[]string{"live", "33010600001320999999", "-o", file, "--for", "1s"}},
		{"a range without a recording is refused by the district, which is named", 1, []string{"refused by " + lowest},
			[]string{"play", e.Code, "2020-01-01 00:00", "+1m", "-o", file}},
		{"a wrong code is refused", 1, []string{"20 digits"}, []string{"records", "12", "-1m", "now"}},
		{"a socket without a daemon is said to be one", 1, []string{"not running"},
			[]string{"--socket", filepath.Join(d.site.dir, "none.sock"), "status"}},
		{"a wrong command line", 2, nil, []string{"live", e.Code}},
	} {
		d.verify(ctx, fmt.Sprintf("%s: exit status %d", tc.what, tc.status), func(ctx context.Context) (string, error) {
			status, text := d.ctl(ctx, tc.args...)
			var errs []error
			if status != tc.status {
				errs = append(errs, fmt.Errorf("exit status %d", status))
			}
			for _, want := range tc.says {
				if !strings.Contains(text, want) {
					errs = append(errs, fmt.Errorf("does not say %q", want))
				}
			}
			if _, err := os.Stat(file); err == nil {
				errs = append(errs, errors.New("left a file"))
			}
			if len(errs) > 0 {
				return "", errors.Join(append(errs, errors.New(text))...)
			}
			return firstLine(text), nil
		})
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
