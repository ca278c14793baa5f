package sip

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"districtgateway/domain"
)

const payloadPS = 96

// A session is what an SDP says besides the endpoint.
type session struct {
	owner   domain.Code // o=: our id in an offer, the channel in an answer
	kind    domain.Kind
	channel domain.Code
	span    domain.Range
	speed   int
	profile uint8
	modern  bool // the peer knows a=streamnumber (2022)
	ends         // only for peers that agreed on it
}

func sessionName(k domain.Kind) string {
	switch k {
	case domain.Playback:
		return "Playback"
	case domain.Download:
		return "Download"
	case domain.Talk:
		return "Talk"
	}
	return "Play"
}

// writeOffer writes the SDP of one who receives at e (GB/T 28181-2022 Annex G).
// Elementary formats stand before PS if e prefers them, after it otherwise.
func writeOffer(s session, e domain.Endpoint) []byte {
	formats := e.Tracks
	ps := domain.TrackInfo{Name: "PS", PayloadType: payloadPS, ClockRate: 90000}
	switch {
	case s.kind == domain.Talk && len(formats) > 0:
	case e.Elementary:
		formats = append(formats[:len(formats):len(formats)], ps)
	default:
		formats = append([]domain.TrackInfo{ps}, formats...)
	}
	setup := map[domain.MediaTransport]string{domain.MediaTCPPassive: "passive", domain.MediaTCPActive: "active"}
	direction := "recvonly"
	if s.kind == domain.Talk {
		direction = "sendrecv"
	}
	return writeSDP(s, e, side{formats, direction, setup[e.Transport]})
}

// writeAnswer writes the SDP of one who sends from e: the formats that it chose.
func writeAnswer(s session, e domain.Endpoint) []byte {
	formats := e.Tracks
	if !e.Elementary || len(formats) == 0 {
		formats = []domain.TrackInfo{{Name: "PS", PayloadType: payloadPS, ClockRate: 90000}}
	}
	setup := map[domain.MediaTransport]string{domain.MediaTCPPassive: "active", domain.MediaTCPActive: "passive"}
	direction := "sendonly"
	if s.kind == domain.Talk {
		direction = "sendrecv"
	}
	return writeSDP(s, e, side{formats, direction, setup[e.Transport]})
}

// A side is what tells an offer from an answer.
type side struct {
	formats   []domain.TrackInfo
	direction string
	setup     string
}

func writeSDP(s session, e domain.Endpoint, by side) []byte {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	family := "IP4"
	if ip, err := netip.ParseAddr(e.Host); err == nil && ip.Is6() {
		family = "IP6"
	}
	host := clean(e.Host, 64)
	line("v=0")
	line("o=%s 0 0 IN %s %s", s.owner, family, host)
	line("s=%s", sessionName(s.kind))
	if s.kind == domain.Playback || s.kind == domain.Download {
		line("u=%s:0", s.channel)
	}
	line("c=IN %s %s", family, host)
	line("t=%d %d", unix(s.span.From.Unix(), s.span), unix(s.span.To.Unix(), s.span))
	writeMedium(line, e, by)
	line("a=%s", by.direction)
	for _, t := range by.formats {
		writeFormat(line, t)
	}
	if e.Transport != domain.MediaUDP {
		line("a=setup:%s", by.setup)
		line("a=connection:new")
	}
	if s.speed > 1 {
		line("a=downloadspeed:%d", s.speed)
	}
	if e.Size > 0 {
		line("a=filesize:%d", e.Size)
	}
	if s.modern || s.profile > 0 {
		line("a=streamnumber:%d", s.profile)
	}
	writeParty(line, attributeCamera, s.camera)
	writeParty(line, attributeMonitor, s.monitor)
	if e.SSRC != 0 {
		line("y=%010d", e.SSRC)
	}
	line("f=v/////a///")
	return []byte(b.String())
}

// unix is an instant of t=, 0 for a live session.
func unix(seconds int64, span domain.Range) int64 {
	if span.From.IsZero() {
		return 0
	}
	return seconds
}

func writeMedium(line func(string, ...any), e domain.Endpoint, by side) {
	numbers := make([]string, len(by.formats))
	media := "audio"
	for i, t := range by.formats {
		numbers[i] = strconv.Itoa(int(t.PayloadType))
		if t.Name != "PCMA" && t.Name != "MPEG4-GENERIC" {
			media = "video"
		}
	}
	protocol, port := "RTP/AVP", e.Port
	if e.Transport != domain.MediaUDP {
		protocol = "TCP/RTP/AVP"
		if port == 0 && by.setup == "active" {
			port = 9 // RFC 4145: who connects has no port
		}
	}
	line("m=%s %d %s %s", media, port, protocol, strings.Join(numbers, " "))
}

func writeFormat(line func(string, ...any), t domain.TrackInfo) {
	channels := ""
	if t.Channels > 1 {
		channels = fmt.Sprintf("/%d", t.Channels)
	}
	line("a=rtpmap:%d %s/%d%s", t.PayloadType, clean(t.Name, 32), t.ClockRate, channels)
	if t.Parameters != "" {
		line("a=fmtp:%d %s", t.PayloadType, clean(t.Parameters, 1024))
	}
}
