package sip

import (
	"bytes"
	"strconv"
)

const maxHead = 16 << 10 // bytes of start line and headers

// splitHead returns where the headers of raw end and where the body begins, both
// len(raw) if there is no empty line.
func splitHead(raw []byte) (head, body int) {
	for at := 0; at < len(raw); {
		i := bytes.IndexByte(raw[at:], '\n')
		if i < 0 {
			break
		}
		at += i + 1
		switch {
		case at < len(raw) && raw[at] == '\n':
			return at, at + 1
		case at+1 < len(raw) && raw[at] == '\r' && raw[at+1] == '\n':
			return at, at + 2
		}
	}
	return len(raw), len(raw)
}

// mend returns raw, a whole message, as sipgo's parser takes it: lines end with
// CRLF, none is without a colon, Content-Length is a number and not more than
// there is. An intact message is returned as it is. False: it is no SIP at all.
func mend(raw []byte) ([]byte, bool) {
	head, body := splitHead(raw)
	if head > maxHead || !looksLikeSIP(raw[:head]) {
		return nil, false
	}
	if intact(raw[:head], len(raw)-body) && body > head {
		return raw, true
	}
	return rebuild(raw[:head], raw[body:]), true
}

func looksLikeSIP(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	line = bytes.TrimRight(line, "\r \t\x00")
	return bytes.HasPrefix(line, []byte("SIP/2.0 ")) || bytes.HasSuffix(line, []byte(" SIP/2.0"))
}

// intact reports whether headers need no repair for a body of that size.
func intact(head []byte, size int) bool {
	first := true
	for len(head) > 0 {
		i := bytes.IndexByte(head, '\n')
		if i < 1 || head[i-1] != '\r' {
			return false
		}
		line := head[:i-1]
		head = head[i+1:]
		if bytes.IndexByte(line, '\r') >= 0 {
			return false
		}
		if !first && !usable(line, size) {
			return false
		}
		if first && len(line) != len(bytes.TrimRight(line, " \t")) {
			return false
		}
		first = false
	}
	return true
}

// usable reports whether the parser takes a header line for a body of that size.
func usable(line []byte, size int) bool {
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		return true // continues the one before
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(bytes.TrimSpace(name)) == 0 {
		return false
	}
	if !isLength(name) {
		return true
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
	return err == nil && int(n) <= size
}

func isLength(name []byte) bool {
	name = bytes.TrimSpace(name)
	return bytes.EqualFold(name, []byte("Content-Length")) || bytes.EqualFold(name, []byte("l"))
}

// rebuild writes the headers anew, line by line, leaving out what is not usable.
func rebuild(head, body []byte) []byte {
	out := make([]byte, 0, len(head)+len(body)+64)
	first := true
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		line = bytes.TrimRight(line, "\r \t\x00")
		if len(line) == 0 || !first && !usable(line, len(body)) {
			continue
		}
		first = false
		out = append(out, bytes.ReplaceAll(line, []byte("\r"), []byte(" "))...)
		out = append(out, "\r\n"...)
	}
	if length, ok := declared(out); !ok || length > len(body) {
		out = append(out, "Content-Length: "+strconv.Itoa(len(body))+"\r\n"...)
	}
	out = append(out, "\r\n"...)
	return append(out, body...)
}

// declared returns the Content-Length of headers.
func declared(head []byte) (n int, ok bool) {
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !isLength(name) {
			continue
		}
		length, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
		return int(length), err == nil
	}
	return 0, false
}
