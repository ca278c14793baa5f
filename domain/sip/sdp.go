package sip

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"districtgateway/domain"
)

// Bounds of an SDP.
const (
	maxSDP      = 16 << 10 // bytes
	maxSDPLines = 256
	maxPayloads = 32
)

// ntpEpoch is 1900 in seconds before 1970: some peers write t= as RFC 4566 has it,
// GB/T 28181 wants Unix seconds.
const ntpEpoch = 2208988800

// A description is an SDP as GB/T 28181-2022 Annex G uses it: one medium.
type description struct {
	name     string // s=
	channel  string // ID of u=, if it has the simple form
	start    int64  // t=, Unix seconds
	stop     int64
	host     string // c=, of the medium or else of the session
	media    string // video or audio; "" before the first m=
	port     uint16
	tcp      bool
	setup    string // active, passive or "" of a=setup
	payloads []payload
	ssrc     uint32 // y=, 0: none
	speed    int    // a=downloadspeed
	size     int64  // a=filesize
	stream   int    // a=streamnumber and its vendors' forms
	ends
}

// A payload is one payload type of the m= line.
type payload struct {
	number uint8
	name   string // upper case
	clock  int
	chans  int
	fmtp   string
}

// parseSDP reads an SDP. It forgives LF-only line ends, blanks, missing rtpmap, y=
// and t=, and the order of the lines; the error is a *SyntaxError.
func parseSDP(body []byte) (*description, error) {
	if len(body) > maxSDP {
		return nil, &SyntaxError{maxSDP, "SDP", "at most 16 KiB"}
	}
	r := reader{}
	for at, lines := 0, 0; at < len(body); lines++ {
		if lines == maxSDPLines {
			return nil, &SyntaxError{at, "SDP", "at most 256 lines"}
		}
		end := len(body)
		if i := bytes.IndexByte(body[at:], '\n'); i >= 0 {
			end = at + i
		}
		if err := r.line(at, strings.TrimRight(string(body[at:end]), "\r \t\x00")); err != nil {
			return nil, err
		}
		at = end + 1
	}
	return r.finish(len(body))
}

// A reader reads lines. The first video is the medium; without one, the first audio.
type reader struct {
	d       description
	session string // host of the session's c=
	skip    bool   // in a medium that is not ours
}

func (r *reader) line(at int, s string) error {
	s = strings.TrimLeft(s, " \t\r")
	if len(s) < 2 || s[1] != '=' {
		return nil // junk between lines is no harm
	}
	v := strings.TrimSpace(s[2:])
	switch s[0] {
	case 's':
		r.d.name = clean(v, 64)
	case 'u':
		id, _, _ := strings.Cut(v, ":")
		if _, err := domain.ParseCode(id); err == nil {
			r.d.channel = id
		}
	case 't':
		return r.times(at, v)
	case 'c':
		return r.connection(at, v)
	case 'm':
		return r.medium(at, v)
	case 'a':
		return r.attribute(at, v)
	case 'y':
		return r.source(at, v)
	}
	return nil
}

func (r *reader) times(at int, v string) error {
	f := strings.Fields(v)
	if len(f) != 2 {
		return &SyntaxError{at, "t=", "two instants"}
	}
	for i, p := range []*int64{&r.d.start, &r.d.stop} {
		n, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return &SyntaxError{at, "t=", "seconds since 1970"}
		}
		if n >= ntpEpoch {
			n -= ntpEpoch
		}
		*p = n
	}
	return nil
}

func (r *reader) connection(at int, v string) error {
	f := strings.Fields(v)
	if len(f) != 3 {
		return &SyntaxError{at, "c=", "IN IP4 and an address"}
	}
	text, _, _ := strings.Cut(f[2], "/")
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return &SyntaxError{at, "c=", "an IP address"}
	}
	switch {
	case r.d.media == "" && !r.skip:
		r.session = ip.Unmap().String()
	case !r.skip:
		r.d.host = ip.Unmap().String()
	}
	return nil
}

func (r *reader) medium(at int, v string) error {
	f := strings.Fields(v)
	if len(f) < 4 {
		return &SyntaxError{at, "m=", "media, port, protocol and formats"}
	}
	kind := strings.ToLower(f[0])
	r.skip = kind != "video" && kind != "audio" || r.d.media == "video" || r.d.media == kind
	if r.skip {
		return nil
	}
	portText, _, _ := strings.Cut(f[1], "/")
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return &SyntaxError{at, "m=", "a port up to 65535"}
	}
	tcp := false
	switch strings.ToUpper(f[2]) {
	case "RTP/AVP":
	case "TCP/RTP/AVP", "RTP/AVP/TCP":
		tcp = true
	default:
		return &SyntaxError{at, "m=", "RTP/AVP or TCP/RTP/AVP"}
	}
	r.d.media, r.d.port, r.d.tcp = kind, uint16(port), tcp
	r.d.host, r.d.setup, r.d.payloads = "", "", nil
	for _, text := range f[3:] {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil || n > 127 || len(r.d.payloads) == maxPayloads {
			return &SyntaxError{at, "m=", "at most 32 payload types up to 127"}
		}
		r.d.payloads = append(r.d.payloads, standardPayload(uint8(n)))
	}
	return nil
}

// standardPayload returns what a number means without a=rtpmap: the fixed ones of
// GB/T 28181-2022 Annex G and RFC 3551.
func standardPayload(n uint8) payload {
	p := payload{number: n, clock: 90000, chans: 1}
	switch n {
	case 8:
		p.name, p.clock = "PCMA", 8000
	case 96:
		p.name = "PS"
	case 97:
		p.name = "MPEG4"
	case 98:
		p.name = "H264"
	case 99:
		p.name = "SVAC"
	case 100:
		p.name = "H265"
	default:
		p.clock = 0
	}
	return p
}

func (r *reader) attribute(at int, v string) error {
	name, value, _ := strings.Cut(v, ":")
	value = strings.TrimSpace(value)
	number := func(low int64) int64 {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < low {
			return low
		}
		return n
	}
	name = strings.ToLower(strings.TrimSpace(name))
	switch name {
	case "downloadspeed":
		r.d.speed = int(min(number(0), 64))
	case "filesize":
		r.d.size = number(0)
	case "streamnumber", "streamprofile":
		r.d.stream = int(min(number(0), 255))
	case "streammode":
		if strings.EqualFold(value, "sub") {
			r.d.stream = 1
		}
	case attributeCamera:
		r.d.camera = parseParty(value)
	case attributeMonitor:
		r.d.monitor = parseParty(value)
	}
	if r.skip {
		return nil
	}
	switch name {
	case "setup":
		if r.d.setup = strings.ToLower(value); r.d.setup != "active" && r.d.setup != "passive" {
			return &SyntaxError{at, "a=setup", "active or passive"}
		}
	case "rtpmap":
		return r.rtpmap(at, value)
	case "fmtp":
		number, rest, _ := strings.Cut(value, " ")
		if p := r.payload(number); p != nil {
			p.fmtp = clean(rest, 1024)
		}
	}
	return nil
}

// payload returns the payload of the m= line with that number, or nil.
func (r *reader) payload(number string) *payload {
	n, err := strconv.ParseUint(number, 10, 8)
	for i := range r.d.payloads {
		if err == nil && r.d.payloads[i].number == uint8(n) {
			return &r.d.payloads[i]
		}
	}
	return nil
}

func (r *reader) rtpmap(at int, v string) error {
	f := strings.Fields(v)
	if len(f) < 2 {
		return &SyntaxError{at, "a=rtpmap", "a payload type and an encoding"}
	}
	p := r.payload(f[0])
	if p == nil {
		return nil
	}
	parts := strings.Split(f[1], "/")
	p.name, p.chans = clean(strings.ToUpper(parts[0]), 32), 1
	if len(parts) > 1 {
		clock, err := strconv.ParseUint(parts[1], 10, 31)
		if err != nil {
			return &SyntaxError{at, "a=rtpmap", "a clock rate"}
		}
		p.clock = int(clock)
	}
	if len(parts) > 2 {
		if n, err := strconv.ParseUint(parts[2], 10, 4); err == nil && n > 0 {
			p.chans = int(n)
		}
	}
	return nil
}

// source reads y=. Nothing but the number is taken from it: peers put other first
// digits there than the standard has.
func (r *reader) source(at int, v string) error {
	if v == "" || strings.EqualFold(v, "null") {
		return nil
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return &SyntaxError{at, "y=", "ten digits up to 4294967295"}
	}
	r.d.ssrc = uint32(n)
	return nil
}

func (r *reader) finish(end int) (*description, error) {
	if r.d.host == "" {
		r.d.host = r.session
	}
	switch {
	case r.d.media == "":
		return nil, &SyntaxError{end, "m=", "a video or audio"}
	case r.d.host == "":
		return nil, &SyntaxError{end, "c=", "an address"}
	}
	return &r.d, nil
}

// kind returns what s= asks for. Names that mean nothing are judged by t=.
func (d *description) kind() domain.Kind {
	switch strings.ToLower(d.name) {
	case "play":
		return domain.Live
	case "playback":
		return domain.Playback
	case "download":
		return domain.Download
	case "talk":
		return domain.Talk
	}
	if d.start != 0 {
		return domain.Playback
	}
	return domain.Live
}

// span returns t= as a range; none is the zero Range.
func (d *description) span() domain.Range {
	if d.start == 0 && d.stop == 0 {
		return domain.Range{}
	}
	return domain.Range{From: time.Unix(d.start, 0).UTC(), To: time.Unix(d.stop, 0).UTC()}
}

// checkOffer refuses a history request without a range, and media that are to be sent
// to what is no address of one host: whoever asks for them would have them flood a
// network. Who connects to us names no port.
func (d *description) checkOffer() error {
	history := d.kind() == domain.Playback || d.kind() == domain.Download
	if history && (d.start <= 0 || d.stop <= d.start) {
		return &SyntaxError{0, "t=", "a beginning before an end"}
	}
	if d.tcp && d.setup == "active" {
		return nil
	}
	ip, _ := netip.ParseAddr(d.host)
	switch {
	case ip.IsUnspecified() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &SyntaxError{0, "c=", "the address of one host"}
	case d.port == 0:
		return &SyntaxError{0, "m=", "a port to send to"}
	}
	return nil
}

// offer returns the endpoint of an offer, whose writer receives. TCP without
// a=setup is taken for passive.
func (d *description) offer() domain.Endpoint {
	e := d.endpoint()
	switch {
	case !d.tcp:
	case d.setup == "active":
		e.Transport, e.Port = domain.MediaTCPActive, 0
	default:
		e.Transport = domain.MediaTCPPassive
	}
	return e
}

// answer returns the endpoint of an answer, whose writer sends, to an offer with
// transport asked, which TCP without a=setup accepts.
func (d *description) answer(asked domain.MediaTransport) domain.Endpoint {
	e := d.endpoint()
	switch {
	case !d.tcp:
	case d.setup == "active" || d.setup == "" && asked == domain.MediaTCPPassive:
		e.Transport = domain.MediaTCPPassive
	default:
		e.Transport = domain.MediaTCPActive
	}
	e.Size = d.size
	return e
}

func (d *description) endpoint() domain.Endpoint {
	e := domain.Endpoint{Host: d.host, Port: d.port, SSRC: d.ssrc}
	ps := false
	for _, p := range d.payloads {
		if p.name == "PS" {
			ps = true
		}
		if !elementary(p.name) {
			continue
		}
		if len(e.Tracks) == 0 {
			e.Elementary = !ps
		}
		e.Tracks = append(e.Tracks, domain.TrackInfo{Name: p.name, PayloadType: p.number, ClockRate: p.clock,
			Channels: p.chans, Parameters: p.fmtp})
	}
	return e
}

// elementary reports whether an encoding is carried as plain RTP.
func elementary(name string) bool {
	switch name {
	case "H264", "H265", "PCMA", "MPEG4-GENERIC":
		return true
	}
	return false
}
