package sip

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
	"districtgateway/media/mediatest/cost"
)

// sdpCases are offers, and what they mean; they also seed FuzzSDP.
var sdpCases = map[string]struct {
	in     string
	kind   domain.Kind
	want   domain.Endpoint
	offset int // of the error; -1: none
	field  string
}{
	"live as in the standard": {in: "v=0\r\no=33010000002000000001 0 0 IN IP4 192.0.2.11\r\ns=Play\r\nc=IN IP4 192.0.2.11\r\nt=0 0\r\n" +
		"m=video 30000 RTP/AVP 96 97 98 100\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\na=rtpmap:97 MPEG4/90000\r\na=rtpmap:98 H264/90000\r\n" +
		"a=rtpmap:100 H265/90000\r\ny=0100000001\r\nf=v/////a///\r\n", offset: -1,
		want: domain.Endpoint{Host: "192.0.2.11", Port: 30000, SSRC: 100000001, Tracks: []domain.TrackInfo{
			{Name: "H264", PayloadType: 98, ClockRate: 90000, Channels: 1}, {Name: "H265", PayloadType: 100, ClockRate: 90000, Channels: 1}}}},
	"LF only, lower case, no y=": {in: "v=0\ns=play \nc=IN IP4 10.0.0.7\nm=video 6000 RTP/AVP 96\n", offset: -1,
		want: domain.Endpoint{Host: "10.0.0.7", Port: 6000}},
	"c= of the medium wins": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\nc=IN IP4 2.2.2.2\n", offset: -1,
		want: domain.Endpoint{Host: "2.2.2.2", Port: 6000}},
	"c= only of the medium": {in: "s=Play\nm=video 6000 RTP/AVP 96\nc=IN IP4 2.2.2.2/127\n", offset: -1,
		want: domain.Endpoint{Host: "2.2.2.2", Port: 6000}},
	"TCP passive": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 TCP/RTP/AVP 96\na=setup:passive\na=connection:new\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000, Transport: domain.MediaTCPPassive}},
	"TCP active": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 9 TCP/RTP/AVP 96\na=setup:Active\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Transport: domain.MediaTCPActive}},
	"TCP without setup": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 TCP/RTP/AVP 96\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000, Transport: domain.MediaTCPPassive}},
	"y= of Hikvision": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\ny=0703001718\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000, SSRC: 703001718}},
	"y=null": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\ny=null\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"y= of zeros": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\ny=0000000000\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"vendor's payload": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\na=rtpmap:96 HIKVISION/90000\na=filesize:-1\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"talk of Dahua": {in: "s=Talk\nc=IN IP4 1.1.1.1\nm=audio 6000 RTP/AVP 8 96\na=rtpmap:8 PCMA/8000/1\na=sendrecv\n", offset: -1, kind: domain.Talk,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000, Elementary: true, Tracks: []domain.TrackInfo{
			{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}}}},
	"audio stands before video": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=audio 5000 RTP/AVP 8\na=setup:odd is theirs\n", offset: 47, field: "a=setup"},
	"video is preferred": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=audio 5000 RTP/AVP 8\nm=video 6000 RTP/AVP 96\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"elementary first": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 98 96\na=rtpmap:98 h264/90000\na=fmtp:98 packetization-mode=1\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000, Elementary: true, Tracks: []domain.TrackInfo{
			{Name: "H264", PayloadType: 98, ClockRate: 90000, Channels: 1, Parameters: "packetization-mode=1"}}}},
	"IPv6": {in: "s=Play\nc=IN IP6 2001:db8::1\nm=video 6000 RTP/AVP 96\n", offset: -1,
		want: domain.Endpoint{Host: "2001:db8::1", Port: 6000}},
	"NTP instants": {in: "s=Playback\nu=33010200001320000001:0\nc=IN IP4 1.1.1.1\nt=3981312000 3981315600\nm=video 6000 RTP/AVP 96\n", offset: -1,
		kind: domain.Playback, want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"name that says nothing": {in: "s=-\nc=IN IP4 1.1.1.1\nt=1772323200 1772326800\nm=video 6000 RTP/AVP 96\n", offset: -1, kind: domain.Playback,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"both parties": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\na=x-district-camera:33010200001320000001 192.168.1.64 %E5%8C%97%E9%97%A8+2\n" +
		"a=X-District-Monitor:33000000002000000001-7 -\n", offset: -1, want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"parties that are none": {in: "s=Play\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\na=x-district-camera:gate 1 2 3 %\na=x-district-monitor\n", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"junk between": {in: "s=Play\nhello\n=\n\nc=IN IP4 1.1.1.1\nm=video 6000 RTP/AVP 96\n\x00\x00", offset: -1,
		want: domain.Endpoint{Host: "1.1.1.1", Port: 6000}},
	"who connects names no port": {in: "s=Play\nc=IN IP4 0.0.0.0\nm=video 0 TCP/RTP/AVP 96\na=setup:active\n", offset: -1,
		want: domain.Endpoint{Host: "0.0.0.0", Transport: domain.MediaTCPActive}},

	"empty":                    {in: "", offset: 0, field: "m="},
	"no medium":                {in: "s=Play\nc=IN IP4 1.1.1.1\n", offset: 24, field: "m="},
	"no address":               {in: "s=Play\nm=video 6000 RTP/AVP 96\n", offset: 31, field: "c="},
	"host name":                {in: "s=Play\nc=IN IP4 camera.example\n", offset: 7, field: "c="},
	"port too large":           {in: "c=IN IP4 1.1.1.1\nm=video 65536 RTP/AVP 96\n", offset: 17, field: "m="},
	"payload too large":        {in: "c=IN IP4 1.1.1.1\nm=video 1 RTP/AVP 128\n", offset: 17, field: "m="},
	"other protocol":           {in: "c=IN IP4 1.1.1.1\nm=video 1 UDP/TLS/RTP/SAVPF 96\n", offset: 17, field: "m="},
	"y= too large":             {in: "c=IN IP4 1.1.1.1\nm=video 1 RTP/AVP 96\ny=99999999999\n", offset: 38, field: "y="},
	"y= that is no number":     {in: "c=IN IP4 1.1.1.1\nm=video 1 RTP/AVP 96\ny=abc\n", offset: 38, field: "y="},
	"one instant":              {in: "t=0\n", offset: 0, field: "t="},
	"playback without a range": {in: "s=Playback\nc=IN IP4 1.1.1.1\nt=0 0\nm=video 1 RTP/AVP 96\n", offset: 0, field: "t="},
	"playback backwards":       {in: "s=Download\nc=IN IP4 1.1.1.1\nt=9 8\nm=video 1 RTP/AVP 96\n", offset: 0, field: "t="},
	"to a group":               {in: "c=IN IP4 239.1.2.3/8\nm=video 1 RTP/AVP 96\n", offset: 0, field: "c="},
	"to a group of IPv6":       {in: "c=IN IP6 ff02::1\nm=video 1 RTP/AVP 96\n", offset: 0, field: "c="},
	"to everybody":             {in: "c=IN IP4 255.255.255.255\nm=video 1 RTP/AVP 96\n", offset: 0, field: "c="},
	"to nobody":                {in: "c=IN IP4 ::ffff:0.0.0.0\nm=video 1 TCP/RTP/AVP 96\na=setup:passive\n", offset: 0, field: "c="},
	"to no port":               {in: "c=IN IP4 1.1.1.1\nm=video 0 RTP/AVP 96\n", offset: 0, field: "m="},
	"too many lines":           {in: strings.Repeat("b=AS:1\n", 300), offset: 256 * 7, field: "SDP"},
	"too large":                {in: strings.Repeat("x", maxSDP+1), offset: maxSDP, field: "SDP"},
	"rtpmap without a clock":   {in: "c=IN IP4 1.1.1.1\nm=video 1 RTP/AVP 96\na=rtpmap:96 PS/x\n", offset: 38, field: "a=rtpmap"},
}

func TestParseSDP(t *testing.T) {
	for name, tc := range sdpCases {
		t.Run(name, func(t *testing.T) {
			d, err := parseSDP([]byte(tc.in))
			if err == nil {
				err = d.checkOffer()
			}
			offset, field := -1, ""
			if se, ok := errors.AsType[*SyntaxError](err); ok {
				offset, field = se.Offset, se.Field
			}
			if offset != tc.offset || field != tc.field {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tc.want, d.offer()); diff != "" || d.kind() != tc.kind {
				t.Error(d.kind(), diff)
			}
		})
	}
}

func TestInstantsOfPlaybackAreUnixSeconds(t *testing.T) {
	d, err := parseSDP([]byte(sdpCases["NTP instants"].in))
	want := domain.Range{From: time.Unix(1772323200, 0).UTC(), To: time.Unix(1772326800, 0).UTC()}
	if err != nil || d.span() != want || d.channel != "33010200001320000001" {
		t.Errorf("%v %v", d, err)
	}
}

func TestAnswerOfTheSenderInTheReceiversTerms(t *testing.T) {
	for name, tc := range map[string]struct {
		setup string
		asked domain.MediaTransport
		want  domain.MediaTransport
	}{
		"it connects":        {"a=setup:active\n", domain.MediaTCPPassive, domain.MediaTCPPassive},
		"it listens":         {"a=setup:passive\n", domain.MediaTCPActive, domain.MediaTCPActive},
		"silent, we listen":  {"", domain.MediaTCPPassive, domain.MediaTCPPassive},
		"silent, we connect": {"", domain.MediaTCPActive, domain.MediaTCPActive},
	} {
		d, err := parseSDP([]byte("c=IN IP4 1.1.1.1\nm=video 6000 TCP/RTP/AVP 96\n" + tc.setup))
		if err != nil || d.answer(tc.asked).Transport != tc.want {
			t.Errorf("%s: %v %v", name, d.answer(tc.asked), err)
		}
	}
}

func TestWrittenSDPIsTheStandards(t *testing.T) {
	span := domain.Range{From: time.Unix(1772323200, 0), To: time.Unix(1772326800, 0)}
	s := session{owner: city, kind: domain.Playback, channel: camera, span: span}
	got := string(writeOffer(s, domain.Endpoint{Host: "192.0.2.11", Port: 30010, Transport: domain.MediaTCPPassive, SSRC: 1100000031}))
	want := "v=0\r\no=33010000002000000001 0 0 IN IP4 192.0.2.11\r\ns=Playback\r\nu=33010200001320000001:0\r\nc=IN IP4 192.0.2.11\r\n" +
		"t=1772323200 1772326800\r\nm=video 30010 TCP/RTP/AVP 96\r\na=recvonly\r\na=rtpmap:96 PS/90000\r\na=setup:passive\r\n" +
		"a=connection:new\r\ny=1100000031\r\nf=v/////a///\r\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.owner = camera
	got = string(writeAnswer(s, domain.Endpoint{Host: "192.0.2.21", Transport: domain.MediaTCPPassive, SSRC: 1102000007}))
	if !strings.Contains(got, "a=setup:active\r\n") || !strings.Contains(got, "m=video 9 TCP/RTP/AVP 96\r\na=sendonly\r\n") {
		t.Error(got)
	}
}

func FuzzSDP(f *testing.F) {
	for _, tc := range sdpCases {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var d *description
		var err error
		cost.Bound(t, func() { d, err = parseSDP(in) })
		if err != nil {
			if se, ok := errors.AsType[*SyntaxError](err); !ok || se.Offset < 0 || se.Offset > len(in) {
				t.Fatalf("error %v", err)
			}
			return
		}
		// What was understood survives being written and read again.
		e := d.offer()
		again, err := parseSDP(writeOffer(session{owner: city, kind: d.kind(), channel: camera, span: d.span(),
			ends: d.ends}, e))
		if err != nil {
			t.Fatalf("own SDP: %v", err)
		}
		e.Elementary = again.offer().Elementary // PS is added where it was not
		if len(e.Tracks) >= maxPayloads {
			return
		}
		if diff := cmp.Diff(e, again.offer()); diff != "" || again.ends != d.ends {
			t.Error(diff, again.ends)
		}
	})
}
