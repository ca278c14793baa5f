package webrtc

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pion/webrtc/v4"

	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/mediatest/cost"
)

// goodOffer is what a browser offers, shortened.
const goodOffer = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\na=msid-semantic: WMS\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 106 108 49\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:4ZcD\r\n" +
	"a=ice-pwd:2/1muCWoOi3uLifh0NuRHlig\r\na=ice-options:trickle\r\na=fingerprint:sha-256 " + goodPrint + "\r\na=setup:actpass\r\n" +
	"a=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:toffset\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:96 VP8/90000\r\n" +
	"a=rtcp-fb:96 goog-remb\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:102 H264/90000\r\n" +
	"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\na=rtpmap:103 H264/90000\r\n" +
	"a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f\r\na=rtpmap:104 H264/90000\r\n" +
	"a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f\r\na=rtpmap:106 H264/90000\r\n" +
	"a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:108 H264/90000\r\n" +
	"a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f\r\na=rtpmap:49 H265/90000\r\n" +
	"a=fmtp:49 level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:4ZcD\r\na=ice-pwd:2/1muCWoOi3uLifh0NuRHlig\r\n" +
	"a=fingerprint:sha-256 " + goodPrint + "\r\na=setup:actpass\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n" +
	"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n"

const goodPrint = "7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08"

func TestRequestsAreAnsweredByTheBook(t *testing.T) {
	f := newFeed(media.H264)
	h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": f.src.Open})
	f.push(11)
	c := newCaller(t, "wang", "right")
	res := c.ask(http.MethodPost, h.base+"/cam1/whep", "application/sdp; charset=utf-8", goodOffer)
	if res.StatusCode != http.StatusCreated || res.Header.Get("ETag") == "" || res.Header.Get("Content-Type") != "application/sdp" ||
		!strings.HasPrefix(res.Header.Get("Location"), "/cam1/whep/") || len(res.Header.Get("Location")) < len("/cam1/whep/")+26 {
		t.Fatalf("%s %v %s", res.Status, res.Header, res.text)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Location") {
		t.Error("players on pages of others do not see where the session is")
	}
	session, li := res.Header.Get("Location"), newCaller(t, "li", "other")
	for _, tc := range []struct {
		who                      *caller
		method, path, kind, text string
		want                     int
	}{
		{c, "POST", "/cam1/whep", "application/json", goodOffer, 415},
		{c, "POST", "/cam1/whep", "application/sdp", "", 400},
		{c, "POST", "/cam1/whep", "application/sdp", "v=0\r\nm=video 9 x y\r\n", 400},
		{c, "POST", "/cam1/whep", "application/sdp", goodOffer + strings.Repeat("a=x\r\n", 20000), 413},
		{c, "POST", "/cam2/whep", "application/sdp", goodOffer, 404},
		{c, "POST", "/cam1/sub/whep", "application/sdp", goodOffer, 404},
		{c, "POST", "/cam1", "application/sdp", goodOffer, 405},
		{c, "GET", "/cam1/whep", "", "", 405},
		{c, "GET", "/", "", "", 404},
		{c, "GET", "/a/b/c", "", "", 404},
		{c, "GET", "/whep", "", "", 404},
		{c, "GET", session + "/x", "", "", 404},
		{c, "GET", session, "", "", 405},
		{c, "OPTIONS", "/cam1/whep", "", "", 204},
		{c, "PATCH", session, "application/trickle-ice-sdpfrag", "a=ice-ufrag:4ZcD\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", 204},
		{c, "PATCH", session, "application/trickle-ice-sdpfrag", "a=ice-ufrag:other\r\n", 422},
		{c, "PATCH", session, "application/sdp", "a=ice-ufrag:4ZcD\r\n", 415},
		{c, "PATCH", session + "x", "application/trickle-ice-sdpfrag", "a=ice-ufrag:4ZcD\r\n", 404},
		{c, "DELETE", session + "x", "", "", 404},
		{li, "DELETE", session, "", "", 404},
		{li, "PATCH", session, "application/trickle-ice-sdpfrag", "a=ice-ufrag:4ZcD\r\n", 404},
		{c, "DELETE", session, "", "", 200},
		{c, "DELETE", session, "", "", 404},
	} {
		if got := tc.who.ask(tc.method, h.base+tc.path, tc.kind, tc.text); got.StatusCode != tc.want {
			t.Errorf("%s %s %s: %d %s, want %d", tc.method, tc.path, tc.kind, got.StatusCode, got.text, tc.want)
		}
	}
}

func TestOthersNonceOrAddressAdmitNobody(t *testing.T) {
	f := newFeed(media.H264)
	h := newRig(t, ServerConfig{}, map[string]media.Opener{"cam1": f.src.Open})
	c := newCaller(t, "wang", "right")
	if res := c.ask("GET", h.base+"/cam1", "", ""); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	stolen, err := c.session.Answer("GET", "/cam1", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		client *http.Client
		path   string
		header string
		want   int
	}{
		{"on another connection", newCaller(t, "", "").client, "/cam1", stolen.Header, 401},
		{"for another address", c.client, "/cam1/sub", stolen.Header, 400},
		{"once more", c.client, "/cam1", stolen.Header, 401},
		{"without", c.client, "/cam1", "", 401},
		{"basic", c.client, "/cam1", "Basic d2FuZzpyaWdodA==", 401},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", h.base+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", tc.header)
		res, err := tc.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tc.want {
			t.Errorf("%s: %s", tc.name, res.Status)
		}
	}
}

func TestGuessingIsBounded(t *testing.T) {
	h := newRig(t, ServerConfig{}, nil)
	judged := 0
	for ; judged < 30; judged++ {
		c := newCaller(t, "wang", digest.Secret("guess"))
		if res := c.ask("GET", h.base+"/cam1", "", ""); res.StatusCode == http.StatusForbidden {
			break
		}
	}
	if judged != 10 {
		t.Errorf("%d guesses were judged", judged)
	}
	if res := newCaller(t, "wang", "right").ask("GET", h.base+"/cam1", "", ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("%s for the address that guessed", res.Status)
	}
}

func TestWithoutUsersNobodyIsAdmitted(t *testing.T) {
	s, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Media: ":0",
		Streams: func(context.Context, string, string) (*media.Stream, func(), error) { return nil, nil, ErrNotFound }})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"", "wang"} {
		if ha1, ok := s.ha1(user, "MD5"); ok {
			t.Errorf("%q is admitted with %q", user, ha1)
		}
	}
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	h := newRig(t, ServerConfig{}, nil)
	res := newCaller(t, "wang", "right").ask("GET", h.base+"/cam1/sub", "", "")
	if res.StatusCode != http.StatusOK || res.text != player {
		t.Fatalf("%s\n%s", res.Status, res.text)
	}
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("%q lacks %s", policy, want)
		}
	}
	for _, banned := range []string{"http://", "https://", "src=", "href=", "innerHTML", "eval("} {
		if strings.Contains(res.text, banned) {
			t.Errorf("the page holds %s", banned)
		}
	}
}

func TestFormatSuitsTheStream(t *testing.T) {
	o, err := parseOffer(goodOffer)
	if err != nil {
		t.Fatal(err)
	}
	track := func(profile ...byte) media.Track {
		return media.Track{Codec: media.H264, ClockRate: 90000, Parameters: [][]byte{append([]byte{0x67}, profile...)}}
	}
	for name, tc := range map[string]struct {
		track media.Track
		want  uint8
	}{
		"baseline":             {track(66, 0, 30), 102},
		"constrained baseline": {track(66, 0xC0, 30), 106},
		"main":                 {track(77, 0x40, 31), 104},
		"high":                 {track(100, 0, 51), 108},
		"unknown":              {media.Track{Codec: media.H264, ClockRate: 90000}, 102},
		"H.265":                {media.Track{Codec: media.H265, ClockRate: 90000}, 49},
		"G.711A":               {media.Track{Codec: media.G711A, ClockRate: 8000, Channels: 1}, 8},
		"G.711U":               {media.Track{Codec: media.G711U, ClockRate: 8000}, 0},
	} {
		c, err := o.choose([]media.Track{tc.track})
		if err != nil || len(c.tracks) != 1 || c.tracks[0].format.typ != tc.want {
			t.Errorf("%s: %+v, %v, want type %d", name, c, err, tc.want)
		}
	}
	c, err := o.choose([]media.Track{{Codec: media.H264, ClockRate: 90000}, {Codec: media.AAC, ClockRate: 16000}})
	if err != nil || len(c.tracks) != 1 || !strings.Contains(c.leftOut, "AAC") {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := o.choose([]media.Track{{Codec: media.AAC, ClockRate: 16000}}); err == nil {
		t.Error("AAC alone is shown")
	}
}

// FuzzOffer reads anything as an offer. What is told to the library of it must be a
// session description of our own, whatever it was.
func FuzzOffer(f *testing.F) {
	f.Add(goodOffer)
	f.Add("v=0\nm=audio 9 UDP/TLS/RTP/SAVPF 8\na=mid:a\na=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\na=fingerprint:sha-256 AA:BB\n")
	f.Add("v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-1 AA\r\na=inactive\r\nm=video 0 x/y 96\r\na=mid:0\r\n")
	f.Add("v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF" + strings.Repeat(" 96", 128))
	f.Add("v=0\nm=video 9 UDP/TLS/RTP/SAVPF" + strings.Repeat(" 1", 127) + " 2\n" + strings.Repeat("a=fmtp:2 x\n", 5000))
	f.Add("v=0\nm=video 9 UDP/TLS/RTP/SAVPF 1\na=rtpmap:1 " + strings.Repeat("/", 60000))
	tracks := []media.Track{{Codec: media.H264, ClockRate: 90000}, {Codec: media.G711A, ClockRate: 8000, Channels: 1}}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxOffer {
			return
		}
		var o *offer
		var c choice
		var err error
		cost.Bound(t, func() {
			if o, err = parseOffer(text); err == nil {
				c, err = o.choose(tracks)
			}
		})
		if err != nil {
			return
		}
		described := o.describe(c)
		if n := strings.Count(described, "\n"); n > 6+2*20 || strings.Count(described, "\r") != n || strings.ContainsRune(described, 0) {
			t.Fatalf("%q", described)
		}
		sd := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: described}
		if d, err := sd.Unmarshal(); err != nil || len(d.MediaDescriptions) != len(c.tracks) {
			t.Fatalf("%v in %q", err, described)
		}
		answer := o.answer(c, described, []string{"192.0.2.1"})
		sections := strings.Count(answer, "\r\nm=")
		if sections != len(o.sections) {
			t.Fatalf("%d sections answer %d: %q", sections, len(o.sections), answer)
		}
	})
}

func TestAnswerKeepsThePlacesOfSections(t *testing.T) {
	o, err := parseOffer(goodOffer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.choose([]media.Track{{Codec: media.G711A, ClockRate: 8000}})
	if err != nil {
		t.Fatal(err)
	}
	own := "v=0\r\ns=-\r\nm=audio 9 UDP/TLS/RTP/SAVPF 8\r\na=candidate:1 1 udp 7 10.0.0.1 8189 typ host\r\n" +
		"a=candidate:2 1 tcp 6 10.0.0.1 8189 typ host tcptype passive\r\na=end-of-candidates\r\n"
	got := strings.Split(o.answer(c, own, []string{"203.0.113.7"}), "\r\n")
	want := []string{"v=0", "s=-",
		"m=video 0 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=mid:0", "a=rtpmap:96 VP8/90000", "a=inactive",
		"m=audio 9 UDP/TLS/RTP/SAVPF 8",
		"a=candidate:1 1 udp 7 10.0.0.1 8189 typ host", "a=candidate:nat0udp 1 udp 7 203.0.113.7 8189 typ host",
		"a=candidate:2 1 tcp 6 10.0.0.1 8189 typ host tcptype passive", "a=candidate:nat0tcp 1 tcp 6 203.0.113.7 8189 typ host tcptype passive",
		"a=end-of-candidates",
		"m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:2", "a=inactive", ""}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
