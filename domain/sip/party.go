package sip

import (
	"net/url"
	"strings"

	"districtgateway/domain"
)

// SDP attributes of the district, for peers that agreed on them: id, address or -, and
// the place in words, query-escaped UTF-8 or nothing (LIVE-801, LIVE-806). Every SDP
// parser passes over attributes that it does not know (RFC 4566 clause 5.13).
const (
	attributeCamera  = "x-district-camera"
	attributeMonitor = "x-district-monitor"
)

// ends are both parties as an SDP tells them; the zero Party: not told.
type ends struct{ camera, monitor domain.Party }

// parseParty reads such an attribute. What cannot be used is as if it had not been
// told: a call does not fail for what only says where its ends are.
func parseParty(value string) domain.Party {
	f := strings.Fields(value)
	if len(f) < 2 || len(f) > 3 {
		return domain.Party{}
	}
	place := ""
	if len(f) == 3 {
		var err error
		if place, err = url.QueryUnescape(f[2]); err != nil {
			return domain.Party{}
		}
	}
	if f[1] == "-" {
		f[1] = ""
	}
	p, err := domain.ParseParty(f[0], f[1], strings.TrimSpace(place))
	if err != nil {
		return domain.Party{}
	}
	return p
}

// writeParty writes one that is known.
func writeParty(line func(string, ...any), name string, p domain.Party) {
	if p.ID == "" {
		return
	}
	host := p.Host
	if host == "" {
		host = "-"
	}
	line("a=%s:%s", name, strings.TrimSpace(clean(p.ID, 64)+" "+clean(host, 64)+" "+url.QueryEscape(clean(p.Place, 128))))
}
