package sip

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// Headers beyond RFC 3261. Those of the district are told to everybody at
// registration and mean nothing to a standard peer.
const (
	headerVersion  = "X-GB-Ver"            // GB/T 28181-2022 Annex I
	headerCaps     = "X-District-Cap"      // capabilities, comma-separated
	headerInstance = "X-District-Instance" // id of the installation (REG-402)
	headerName     = "X-District-Name"     // domain name in words, query-escaped UTF-8
	headerLeave    = "X-District-Leave"    // deregisters for good (DEREG-602)
	headerForce    = "X-District-Force"    // its operator insists
	headerLevel    = "X-District-Level"    // the server that refused (LIVE-813)
	headerAsker    = "X-District-Asker"    // who asked first: for recordings (QUERY-904), to move a camera (PTZ-1); only where it was agreed on
	headerHold     = "X-District-Hold"     // seconds that a camera is kept from others of the same rank, -1: let go (PTZ-1); likewise
)

const mostAsker = 64 // bytes of headerAsker

const allowed = "INVITE, ACK, INFO, CANCEL, BYE, OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, REGISTER"

// clean returns s as one line of a header: control characters, and with them any
// second header, become blanks; at most most bytes.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return strings.TrimSpace(s)
}

// quoted returns s as a quoted-string (RFC 3261 clause 25.1).
func quoted(s string) string {
	s = clean(s, 256)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// header returns the value of the first header of that name, or "".
func header(m interface{ GetHeader(string) stack.Header }, name string) string {
	if h := m.GetHeader(name); h != nil {
		return strings.TrimSpace(h.Value())
	}
	return ""
}

func add(m stack.Message, name, value string) { m.AppendHeader(stack.NewHeader(name, value)) }

// tell is add if there is something to tell.
func tell(m stack.Message, name, value string) {
	if value != "" {
		add(m, name, value)
	}
}

// beijing is the zone of every time on the wire of GB/T 28181.
func beijing() *time.Location { return time.FixedZone("+08:00", 8*60*60) }

// date writes the Date header of a registration's 200: Beijing time to the
// millisecond without a zone (GB/T 28181-2022 clause 9.10), not RFC 3261's form.
func date(t time.Time) string { return t.In(beijing()).Format("2006-01-02T15:04:05.000") }

// seconds reads a whole number of seconds, such as Expires.
func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 32)
	return time.Duration(n) * time.Second, err == nil
}

// wholeSeconds writes d, rounded up.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func capNames() []string {
	return []string{"keepalive", "leave", "push", "elementary", "parties", "ptz"}
}

// formatCaps writes the capability header.
func formatCaps(c domain.Capability) string {
	var names []string
	for bit, name := range capNames() {
		if c.Has(1 << bit) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// parseCaps reads it; names of later releases are ignored.
func parseCaps(s string) domain.Capability {
	var c domain.Capability
	for name := range strings.SplitSeq(s, ",") {
		for bit, known := range capNames() {
			if strings.EqualFold(strings.TrimSpace(name), known) {
				c |= 1 << bit
			}
		}
	}
	return c
}

// parseVersion reads X-GB-Ver; an absent header says nothing.
func parseVersion(s string) domain.Version {
	if s == "" {
		return domain.VersionUnknown
	}
	switch manscdp.ParseVersion(s) {
	case manscdp.Version2011:
		return domain.Version2011
	case manscdp.Version2022:
		return domain.Version2022
	}
	return domain.Version2016
}

// editionOf returns how to write for a peer of version v.
func editionOf(v domain.Version) manscdp.Version {
	switch v {
	case domain.Version2011:
		return manscdp.Version2011
	case domain.Version2022:
		return manscdp.Version2022
	}
	return manscdp.Version2016
}

// parseName reads the domain name that a peer told.
func parseName(s string) string {
	name, err := url.QueryUnescape(s)
	if err != nil {
		return ""
	}
	return clean(strings.ToValidUTF8(name, ""), 128)
}

// codeOf returns the user of an address as a Code.
func codeOf(u stack.Uri) (domain.Code, error) { return domain.ParseCode(u.User) }
