package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"districtgateway/cmd/internal/footage"
)

// A download is footage on its way into a file.
type download struct {
	c     *call
	path  string   // of the result; - is standard output
	out   *os.File // nil: standard output
	temp  string   // its name until it is complete; empty: it is written in place
	meter footage.Meter
	bytes int64
	began time.Time
	shown time.Time   // when progress was last shown
	stall *time.Timer // ends the download when nothing comes
	cut   bool        // ended by the user: the last fragment may be torn
}

// download prepares a download into path; nothing is made yet.
func (c *call) download(path string) (*download, error) {
	switch {
	case path == "":
		return nil, usagef("want -o FILE, or -o - for standard output")
	case path == "-" && c.json:
		return nil, usagef("--json and -o -: both want standard output")
	}
	return &download{c: c, path: path}, nil
}

// open opens what is written to: a new file beside the result, or the result
// itself if it is a device or a pipe.
func (d *download) open() (err error) {
	if d.path == "-" {
		return nil
	}
	if info, err := os.Stat(d.path); err == nil && !info.Mode().IsRegular() {
		d.out, err = os.OpenFile(d.path, os.O_WRONLY, 0)
		return named(d.path, err)
	}
	ext := filepath.Ext(d.path)
	d.temp = fmt.Sprintf("%s.partial-%06d%s", strings.TrimSuffix(d.path, ext), rand.N(1_000_000), ext)
	d.out, err = os.OpenFile(d.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	return named(d.path, err)
}

func named(path string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", path, bare(err))
	}
	return nil
}

// errStalled reports footage that stopped coming.
var errStalled = errors.New("nothing came")

// run lets fetch write footage and makes a file of it.
func (d *download) run(ctx context.Context, fetch func(context.Context, io.Writer) error) error {
	if err := d.open(); err != nil {
		return err
	}
	watch, end := context.WithCancelCause(ctx)
	defer end(nil)
	d.began = d.c.now()
	d.stall = time.AfterFunc(d.c.timeout, func() { end(errStalled) })
	d.progress("waiting")
	err := fetch(watch, d)
	d.stall.Stop()
	if errors.Is(context.Cause(watch), errStalled) {
		err = fmt.Errorf("%w for %s (--timeout)", errStalled, d.c.timeout)
	}
	d.progress("")
	if err == nil && d.meter.Whole() == 0 {
		err = errors.New("no footage came")
	}
	if err != nil {
		return d.abandon(err)
	}
	return d.finish()
}

// Write takes footage as it comes. What it is written to may be slow.
func (d *download) Write(p []byte) (n int, err error) {
	d.stall.Stop()
	defer d.stall.Reset(d.c.timeout)
	if d.out == nil {
		n, err = d.c.stdout.Write(p)
	} else {
		n, err = d.out.Write(p)
		err = named(d.path, err)
	}
	d.meter.Write(p[:n])
	d.bytes += int64(n)
	if now := d.c.now(); now.Sub(d.shown) >= time.Second/2 {
		d.shown = now
		d.progress(d.amount() + d.rate(now))
	}
	return n, err
}

// progress shows a line on a terminal; empty wipes it away.
func (d *download) progress(text string) {
	if d.c.terminal {
		fmt.Fprintf(d.c.stderr, "\r%s\x1b[K", text)
	}
}

// amount tells how much there is that plays.
func (d *download) amount() string {
	return length(d.meter.Length()) + ", " + size(d.bytes)
}

func (d *download) rate(now time.Time) string {
	elapsed := now.Sub(d.began).Seconds()
	if elapsed < 0.1 {
		return ""
	}
	return fmt.Sprintf(", %.1f Mbit/s", float64(d.bytes)*8/elapsed/1e6)
}

// trim cuts off a torn fragment at the end.
func (d *download) trim() error {
	if d.temp == "" || d.bytes == d.meter.Whole() {
		return nil
	}
	d.bytes = d.meter.Whole()
	return d.out.Truncate(d.bytes)
}

// finish gives the file its name and says what is in it.
func (d *download) finish() error {
	var err error
	if d.cut {
		err = d.trim()
	}
	if d.temp != "" {
		err = errors.Join(err, d.out.Sync())
	}
	if d.out != nil {
		err = errors.Join(err, d.out.Close())
	}
	if err != nil {
		return named(d.path, err)
	}
	if d.temp != "" {
		if err := os.Rename(d.temp, d.path); err != nil {
			return named(d.path, err)
		}
	}
	return d.report()
}

func (d *download) report() error {
	if d.path == "-" {
		return nil
	}
	answer := struct {
		Channel string  `json:"channel"`
		File    string  `json:"file"`
		Bytes   int64   `json:"bytes"`
		Seconds float64 `json:"seconds"`
	}{d.c.args[0], d.path, d.bytes, d.meter.Length().Seconds()}
	return d.c.show(answer, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s\n", d.path, d.amount())
		return err
	})
}

// abandon ends a download that broke off: footage is kept, and said to be.
func (d *download) abandon(cause error) error {
	if d.temp == "" {
		if d.out != nil {
			d.out.Close()
		}
		return cause
	}
	whole := d.meter.Whole() > 0
	if whole && d.trim() != nil {
		whole = false
	}
	d.out.Close()
	if !whole {
		os.Remove(d.temp)
		return cause
	}
	return &keptError{cause, fmt.Sprintf("what came is kept in %s (%s)", d.temp, d.amount())}
}

// A keptError is a failure that left footage behind.
type keptError struct {
	cause error
	kept  string
}

func (e *keptError) Error() string { return e.cause.Error() + "\n" + e.kept }

// Unwrap returns why it failed.
func (e *keptError) Unwrap() error { return e.cause }
