package rtsp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// A transport is what the answer to SETUP says of it. It is read leniently: what
// encoders write besides is not needed.
type transport struct {
	channels *[2]int // interleaved; nil: not said
	ports    *[2]int // of the encoder; nil: not said

	unicast, multicast bool // said
	group              netip.Addr
	groupPorts         *[2]int // nil: not said
}

func transportOf(v base.HeaderValue) (t transport, err error) {
	if len(v) == 0 {
		return t, nil
	}
	first, _, _ := strings.Cut(v[0], ",")
	for p := range splitList(first, ";") {
		name, value, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "interleaved":
			t.channels, err = pairOf(value, 255)
		case "server_port":
			if t.ports, err = pairOf(value, 65535); err == nil && t.ports[0] == 0 {
				t.ports = nil
			}
		case "port":
			if p, bad := pairOf(value, 65535); bad == nil && p[0] != 0 {
				t.groupPorts = p
			}
		case "destination":
			if a, bad := netip.ParseAddr(strings.TrimSpace(value)); bad == nil && a.IsMulticast() {
				t.group = a
			}
		case "unicast":
			t.unicast = true
		case "multicast":
			t.multicast = true
		}
		if err != nil {
			return t, fmt.Errorf("transport %.100q: %w", v[0], err)
		}
	}
	return t, nil
}

// pairOf reads "8" or "8-9", up to limit. The second of a pair that is not told is
// the next.
func pairOf(text string, limit int) (*[2]int, error) {
	a, b, told := strings.Cut(strings.TrimSpace(text), "-")
	first, err := strconv.Atoi(strings.TrimSpace(a))
	second := min(first+1, limit)
	if err == nil && told {
		second, err = strconv.Atoi(strings.TrimSpace(b))
	}
	if err != nil || first < 0 || second < 0 || first > limit || second > limit {
		return nil, fmt.Errorf("%.20q: want numbers up to %d", text, limit)
	}
	return &[2]int{first, second}, nil
}
