package rtsp

import (
	"errors"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest/cost"
)

const sdpHead = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n"

// descriptions also seed the fuzzer.
var descriptions = map[string]struct {
	sdp    string
	want   []media.Codec
	reason string // part of the error
}{
	"camera": {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n" +
		"m=audio 0 RTP/AVP 8\r\na=control:track2\r\nm=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:track3\r\n" +
		"m=audio 0 RTP/AVP 0\r\na=sendonly\r\na=control:back\r\n", []media.Codec{media.H264, media.G711A}, ""},
	"H.265 without sets":       {sdpHead + "m=video 0 RTP/AVP 98\r\na=rtpmap:98 H265/90000\r\na=control:rtsp://10.0.0.1/a\r\n", []media.Codec{media.H265}, ""},
	"H.264 without parameters": {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", []media.Codec{media.H264}, ""},
	"H.264 with broken sets":   {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=x;sprop-parameter-sets=!!\r\n", []media.Codec{media.H264}, ""},
	"H.264 interleaved":        {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2\r\n", nil, "H264/90000"},
	"AAC": {sdpHead + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n" +
		"a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408\r\n", []media.Codec{media.AAC}, ""},
	"AAC without configuration beside pictures": {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:1\r\n" +
		"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=control:2\r\n", []media.Codec{media.H264}, ""},
	"AAC-lbr":               {sdpHead + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\na=fmtp:97 mode=AAC-lbr;sizelength=6;indexlength=2;indexdeltalength=2;config=1408\r\n", nil, "MPEG4-GENERIC"},
	"LATM":                  {sdpHead + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/16000/1\r\na=fmtp:97 profile-level-id=1;cpresent=0;config=40002810\r\n", nil, "audio MP4A-LATM/16000/1"},
	"L16":                   {sdpHead + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 L16/16000/1\r\n", nil, "L16/16000/1"},
	"G.711 by type alone":   {sdpHead + "m=audio 0 RTP/AVP 0\r\n", []media.Codec{media.G711U}, ""},
	"G.711 by a dynamic":    {sdpHead + "m=audio 0 RTP/AVP 110\r\na=rtpmap:110 PCMA/16000\r\n", []media.Codec{media.G711A}, ""},
	"the second of a list":  {sdpHead + "m=audio 0 RTP/AVP 97 8\r\na=rtpmap:97 L16/16000/1\r\n", []media.Codec{media.G711A}, ""},
	"all marked sendonly":   {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=sendonly\r\n", []media.Codec{media.H264}, ""},
	"same medium id twice":  {sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=mid:0\r\nm=audio 0 RTP/AVP 8\r\na=mid:0\r\n", []media.Codec{media.H264, media.G711A}, ""},
	"dynamic without a map": {sdpHead + "m=video 0 RTP/AVP 96\r\n", nil, "video type 96"},
	"motion JPEG":           {sdpHead + "m=video 0 RTP/AVP 26\r\na=control:a\r\n", nil, "type 26"},
	"by multicast":          {sdpHead + "c=IN IP4 239.1.2.3/127\r\na=source-filter: incl IN IP4 * 10.0.0.1\r\nm=audio 5004/2 RTP/AVP 0\r\nc=IN IP4 239.1.2.4/1/2\r\na=rtcp-fb:* ccm fir\r\n", []media.Codec{media.G711U}, ""},
	"no media":              {sdpHead, nil, "nothing"},
	"no SDP":                {"<html>", nil, ""},
}

func read(sdp, from string) ([]offered, error) {
	u, err := base.ParseURL(from)
	if err != nil {
		return nil, err
	}
	ssd, err := sdpunmarshaler.Unmarshal([]byte(sdp))
	if err != nil {
		return nil, err
	}
	return choose(ssd, u, "")
}

func TestTracksAreChosenFromTheDescription(t *testing.T) {
	for name, tc := range descriptions {
		t.Run(name, func(t *testing.T) {
			list, err := read(tc.sdp, "rtsp://192.0.2.1:554/main/")
			if (err == nil) != (tc.want != nil) {
				t.Fatal(err)
			}
			if err != nil && tc.reason != "" && (!errors.Is(err, media.ErrNoTracks) || !strings.Contains(err.Error(), tc.reason)) {
				t.Errorf("the reason is %q, want one that names %q", err, tc.reason)
			}
			var got []media.Codec
			for _, o := range list {
				got = append(got, o.track.Codec)
				if o.url.Host != "192.0.2.1:554" {
					t.Errorf("%s at %s", o.track.Codec, o.url)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestControlAddressesAreWhatTheEncoderMeans(t *testing.T) {
	const asked = "rtsp://192.0.2.1:554/cam?channel=1"
	for name, tc := range map[string]struct {
		header  base.Header
		session string // a=control of the session
		media   string // a=control of the medium
		setup   string
		play    string
	}{
		"nothing said":           {nil, "", "", asked, asked},
		"asterisk":               {nil, "*", "*", asked, asked},
		"relative":               {nil, "*", "trackID=1", asked + "/trackID=1", asked},
		"base with a slash":      {base.Header{"Content-Base": {"rtsp://192.0.2.1/cam/"}}, "*", "trackID=1", "rtsp://192.0.2.1:554/cam/trackID=1", "rtsp://192.0.2.1:554/cam/"},
		"base without a slash":   {base.Header{"Content-Base": {"rtsp://192.0.2.1/cam"}}, "", "trackID=1", "rtsp://192.0.2.1:554/cam/trackID=1", "rtsp://192.0.2.1:554/cam"},
		"base that is a path":    {base.Header{"Content-Base": {" /other/"}}, "", "t", "rtsp://192.0.2.1:554/other/t", "rtsp://192.0.2.1:554/other/"},
		"base behind NAT":        {base.Header{"Content-Base": {"rtsp://u:p@10.0.0.9:8554/cam/"}}, "", "t", "rtsp://192.0.2.1:554/cam/t", "rtsp://192.0.2.1:554/cam/"},
		"base that is none":      {base.Header{"Content-Base": {"cam"}}, "", "t", asked + "/t", asked},
		"content location":       {base.Header{"Content-Location": {"rtsp://192.0.2.1/loc/"}}, "", "t", "rtsp://192.0.2.1:554/loc/t", "rtsp://192.0.2.1:554/loc/"},
		"absolute, another host": {nil, "rtsp://10.0.0.9/all", "rtsp://u:p@10.0.0.9:8554/one", "rtsp://192.0.2.1:554/one", "rtsp://192.0.2.1:554/all"},
		"damaged":                {nil, "rtsp://[", "rtsp://[", asked, asked},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := base.ParseURL(asked)
			if err != nil {
				t.Fatal(err)
			}
			sdp := sdpHead
			if tc.session != "" {
				sdp += "a=control:" + tc.session + "\r\n"
			}
			sdp += "m=audio 0 RTP/AVP 8\r\n"
			if tc.media != "" {
				sdp += "a=control:" + tc.media + "\r\n"
			}
			ssd, err := sdpunmarshaler.Unmarshal([]byte(sdp))
			if err != nil {
				t.Fatal(err)
			}
			from := baseOf(tc.header, u)
			list, err := choose(ssd, from, "")
			if err != nil {
				t.Fatal(err)
			}
			if got := list[0].url.String(); got != tc.setup {
				t.Errorf("SETUP of %s, want %s", got, tc.setup)
			}
			if got := controlOf(ssd.Attributes, from).String(); got != tc.play {
				t.Errorf("PLAY of %s, want %s", got, tc.play)
			}
		})
	}
}

func FuzzDescription(f *testing.F) {
	for _, tc := range descriptions {
		f.Add(tc.sdp)
	}
	f.Fuzz(func(t *testing.T, sdp string) {
		var list []offered
		var err error
		cost.Bound(t, func() { list, err = read(sdp, "rtsp://192.0.2.1:554/main/") })
		if err == nil && (len(list) == 0 || len(list) > 2) {
			t.Errorf("%d tracks", len(list))
		}
		for _, o := range list {
			if o.url.Host != "192.0.2.1:554" || o.track.ClockRate <= 0 {
				t.Errorf("%+v at %s", o.track, o.url)
			}
		}
	})
}

// transports also seed the fuzzer.
var transports = map[string]struct {
	text     string
	channels *[2]int
	ports    *[2]int
	bad      bool
}{
	"interleaved":       {"RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=BAD!;mode=\"PLAY\"", &[2]int{2, 3}, nil, false},
	"with spaces":       {"RTP/AVP/TCP; unicast; Interleaved = 4-5", &[2]int{4, 5}, nil, false},
	"one channel":       {"RTP/AVP/TCP;interleaved=6", &[2]int{6, 7}, nil, false},
	"ports":             {"RTP/AVP;unicast;client_port=3-4;server_port=5000-5001", nil, &[2]int{5000, 5001}, false},
	"one port":          {"RTP/AVP;server_port=5000", nil, &[2]int{5000, 5001}, false},
	"no ports":          {"RTP/AVP;unicast;server_port=0-0", nil, nil, false},
	"channel too large": {"RTP/AVP/TCP;interleaved=256-257", nil, nil, true},
	"no number":         {"RTP/AVP;server_port=a-b", nil, nil, true},
	"negative":          {"RTP/AVP/TCP;interleaved=-1-0", nil, nil, true},
	"empty":             {"", nil, nil, false},
	"group":             {"RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=16", nil, nil, false},
	"group of nonsense": {"RTP/AVP;multicast;destination=10.0.0.1;port=x", nil, nil, false},
}

func TestTransportIsReadLeniently(t *testing.T) {
	for name, tc := range transports {
		got, err := transportOf(base.HeaderValue{tc.text})
		if (err != nil) != tc.bad || !tc.bad && (!cmp.Equal(got.channels, tc.channels) || !cmp.Equal(got.ports, tc.ports)) {
			t.Errorf("%s: %v, %v, %v", name, got.channels, got.ports, err)
		}
	}
}

func FuzzTransport(f *testing.F) {
	for _, tc := range transports {
		f.Add(tc.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got transport
		var err error
		cost.Bound(t, func() { got, err = transportOf(base.HeaderValue{text}) })
		if err == nil && got.channels != nil && (got.channels[0]|got.channels[1])&^255 != 0 {
			t.Errorf("channels %v", *got.channels)
		}
		if err == nil && got.ports != nil && (got.ports[0]|got.ports[1])&^65535 != 0 {
			t.Errorf("ports %v", *got.ports)
		}
	})
}
