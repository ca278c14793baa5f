package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const patience = 20 * time.Second

// launch runs the program until the test ends and returns what it told when it
// was ready, and a function that ends it and returns its exit code.
func launch(t *testing.T, args ...string) (readiness, func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		c := run(ctx, append([]string{"-quiet", "-ready-json"}, args...), in, &stderr)
		in.Close()
		code <- c
	}()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var r readiness
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		cancel()
		<-code
		t.Fatalf("not ready: %v\n%s", err, stderr.String())
	}
	end := func() int {
		cancel()
		select {
		case c := <-code:
			code <- c
			return c
		case <-time.After(patience):
			t.Error("it does not end")
			return -1
		}
	}
	t.Cleanup(func() { end() })
	return r, end
}

// hosts lists the TCP addresses that a readiness names.
func hosts(t *testing.T, r readiness) []string {
	var list []string
	for _, e := range r.Encoders {
		for _, text := range []string{e.ONVIF, e.RTSP["main"]} {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, u.Host)
		}
	}
	if r.Control != "" {
		list = append(list, strings.TrimPrefix(r.Control, "http://"))
	}
	return list
}

func TestManyEncodersListenAndLeaveNothingBehind(t *testing.T) {
	r, end := launch(t, "-count", "3", "-name", "gate", "-serial", "S099", "-mac", "02:00:00:00:00:ff",
		"-control", "127.0.0.1:0", "-discovery", "127.0.0.1:0")
	if len(r.Encoders) != 3 || len(r.Discovery) != 1 {
		t.Fatalf("%+v", r)
	}
	if e := r.Encoders[2]; e.Name != "gate-3" || e.Serial != "S101" || e.MAC != "02:00:00:00:01:01" {
		t.Errorf("third encoder %+v", e)
	}
	if e := r.Encoders[0]; len(e.Password) != 16 {
		t.Errorf("generated password %q", e.Password)
	}
	for _, addr := range hosts(t, r) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			continue
		}
		c.Close()
	}
	if code := end(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, addr := range hosts(t, r) {
		if l, err := net.Listen("tcp", addr); err != nil {
			t.Errorf("left behind: %v", err)
		} else {
			l.Close()
		}
	}
}

func TestGivenPasswordIsNotPrinted(t *testing.T) {
	t.Setenv("ENCODERSIM_PASSWORD", "fromtheenvironment")
	if r, _ := launch(t); r.Encoders[0].Password != "" || r.Encoders[0].User != "admin" {
		t.Errorf("%+v", r.Encoders[0])
	}
}

func TestFileIsPlayedAndTalkIsRecorded(t *testing.T) {
	talk := filepath.Join(t.TempDir(), "talk")
	film := filepath.Join("internal", "clip", "testdata", "h265.mp4")
	_, end := launch(t, "-file", film, "-backchannel-out", talk, "-count", "2")
	end()
	for _, name := range []string{talk, talk + ".2"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultAtTheStart(t *testing.T) {
	r, _ := launch(t, "-fault", "reboot?for=1h")
	addr := hosts(t, r)[0]
	end := time.Now().Add(patience)
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return // it is off
		}
		c.Close()
		if time.Now().After(end) {
			t.Fatal("it never went off")
		}
	}
}

func TestWrongCommandLinesAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-codec", "mjpeg"}, {"-audio", "mp3"}, {"-bitrate", "-1"}, {"-count", "0"}, {"-rtp-port", "9001"},
		{"-mac", "02:00"}, {"-user", "a:b"}, {"-fault", "fire"}, {"-fault", "silence?after=x"}, {"-nonsense"}, {"left", "over"},
		{"-reboot-time", "-1s"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, io.Discard, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, stderr.String())
		}
	}
}

func TestWhatCannotStartFails(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, args := range [][]string{
		{"-http", busy.Addr().String()}, {"-rtsp", busy.Addr().String()}, {"-control", busy.Addr().String()},
		{"-http", "127.0.0.1"}, {"-http", "127.0.0.1:99999"}, {"-file", "no-such-file"}, {"-file", "main.go"},
		{"-discovery", "no-such-interface"}, {"-backchannel-out", "no/such/folder"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != exitError || stderr.Len() == 0 || stdout.Len() > 0 {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout.String(), stderr.String())
		}
	}
}

func TestManualNamesEveryFlag(t *testing.T) {
	var stdout bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, &stdout, io.Discard); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	new(options).flags().VisitAll(func(f *flag.Flag) {
		if !strings.Contains(stdout.String(), "\n    -"+f.Name) {
			t.Errorf("-%s is not in the manual", f.Name)
		}
	})
}

func TestSerialAndPortsCountUp(t *testing.T) {
	for in, want := range map[string]string{"": "", "A9": "A11", "7": "9", "X": "X-3", "S008": "S010"} {
		if got := nextSerial(in, 2); got != want {
			t.Errorf("nextSerial(%q, 2) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"127.0.0.1:0": "127.0.0.1:0", "[::1]:80": "[::1]:82", "h:65534": "", "h:-1": "", "h": ""} {
		if got, err := nextPort(in, 2); got != want || (err != nil) != (want == "") {
			t.Errorf("nextPort(%q, 2) = %q, %v, want %q", in, got, err, want)
		}
	}
}
