package sip

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"districtgateway/domain"
)

const mansrtspType = "Application/MANSRTSP"

// Bounds of a body of MANSRTSP.
const (
	maxRTSP      = 4 << 10              // bytes
	maxRTSPLines = 64                   //
	maxNPT       = 10 * 365 * 24 * 3600 // seconds into a recording
	leastSpeed   = 0.001
	mostSpeed    = 1000
)

// parseMANSRTSP reads a command (GB/T 28181-2022 Annex B) and its CSeq, 0 without one.
// It forgives LF-only line ends, blanks, lower case, a URI, and headers that mean
// nothing here. The error is a *SyntaxError.
func parseMANSRTSP(body []byte) (c domain.Command, cseq uint32, err error) {
	if len(body) > maxRTSP {
		return c, 0, &SyntaxError{maxRTSP, "MANSRTSP", "at most 4 KiB"}
	}
	r := rtspReader{}
	at := 0
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		text := strings.Trim(string(line), "\r \t\x00")
		switch {
		case r.lines == maxRTSPLines:
			return c, 0, &SyntaxError{at, "MANSRTSP", "at most 64 lines"}
		case text == "":
		case !r.begun:
			err = r.request(text)
		default:
			err = r.header(text)
		}
		if se, ok := err.(*SyntaxError); ok {
			se.Offset = at
			return c, 0, err
		}
		r.lines++
		at += len(line) + 1
	}
	if !r.begun {
		return c, 0, &SyntaxError{len(body), "MANSRTSP", "a request"}
	}
	if r.c.Verb != domain.CommandPlay {
		r.c = domain.Command{Verb: r.c.Verb}
	}
	return r.c, r.cseq, nil
}

// An rtspReader reads lines.
type rtspReader struct {
	c     domain.Command
	cseq  uint32
	begun bool
	lines int
}

func (r *rtspReader) request(line string) error {
	f := strings.Fields(line)
	if len(f) < 2 || !strings.Contains(strings.ToUpper(f[len(f)-1]), "RTSP/") {
		return &SyntaxError{0, "request line", "a method and RTSP/1.0"}
	}
	r.begun = true
	switch strings.ToUpper(f[0]) {
	case "PLAY":
		r.c.Verb = domain.CommandPlay
	case "PAUSE":
		r.c.Verb = domain.CommandPause
	case "TEARDOWN":
		r.c.Verb = domain.CommandStop
	default:
		return &SyntaxError{0, "method", "PLAY, PAUSE or TEARDOWN"}
	}
	return nil
}

func (r *rtspReader) header(line string) error {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "cseq":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return &SyntaxError{0, "CSeq", "a number"}
		}
		r.cseq = uint32(n)
	case "scale":
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || !(math.Abs(v) >= leastSpeed && math.Abs(v) <= mostSpeed) {
			return &SyntaxError{0, "Scale", "a speed, below 0 for backwards"}
		}
		r.c.Scale = v
	case "pausetime":
		if value != "" && value != "0" && !strings.EqualFold(value, "now") {
			return &SyntaxError{0, "PauseTime", "now"}
		}
	case "range":
		return r.span(value)
	}
	return nil
}

// span reads Range: a begin in seconds, or now, and maybe an end.
func (r *rtspReader) span(value string) error {
	bad := &SyntaxError{0, "Range", "npt=now- or seconds from the beginning"}
	unit, rest, ok := strings.Cut(value, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "npt") {
		return bad
	}
	first, last, _ := strings.Cut(rest, "-")
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	if strings.EqualFold(first, "now") {
		r.c.Now = true
	} else if r.c.From, ok = npt(first); ok {
		r.c.Seek = true
	} else {
		return bad
	}
	if last != "" {
		if r.c.To, ok = npt(last); !ok {
			return bad
		}
	}
	return nil
}

// npt reads an instant: seconds, or hours, minutes and seconds (RFC 2326 clause 3.6).
func npt(s string) (time.Duration, bool) {
	total := 0.0
	parts := strings.Split(s, ":")
	if len(parts) != 1 && len(parts) != 3 {
		return 0, false
	}
	for _, part := range parts {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || !(v >= 0 && v <= maxNPT) {
			return 0, false
		}
		total = total*60 + v
	}
	return time.Duration(math.Round(total*1000)) * time.Millisecond, total <= maxNPT
}

// writeMANSRTSP writes a command. It ends with an empty line, without which some
// devices wait for more.
func writeMANSRTSP(c domain.Command, cseq uint32) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	method := map[domain.Verb]string{domain.CommandPause: "PAUSE", domain.CommandStop: "TEARDOWN"}[c.Verb]
	if method == "" {
		method = "PLAY"
	}
	line("%s RTSP/1.0", method)
	line("CSeq: %d", cseq)
	if c.Verb == domain.CommandPause {
		line("PauseTime: now")
	}
	if c.Verb == domain.CommandPlay {
		if c.Scale != 0 {
			line("Scale: %s", speed(c.Scale))
		}
		writeSpan(line, c)
	}
	return []byte(b.String() + "\r\n")
}

func writeSpan(line func(string, ...any), c domain.Command) {
	to := ""
	if c.To > 0 {
		to = decimal(c.To.Seconds())
	}
	switch {
	case c.Seek:
		line("Range: npt=%s-%s", decimal(c.From.Seconds()), to)
	case c.Now:
		line("Range: npt=now-%s", to)
	}
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// speed writes a scale as the standard's example has it, 2.0: to six decimals some
// recorders answer 400.
func speed(v float64) string {
	s := decimal(v)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// obeyed is the body of the 200 to a command.
func obeyed(cseq uint32) []byte { return fmt.Appendf(nil, "RTSP/1.0 200 OK\r\nCSeq: %d\r\n\r\n", cseq) }
