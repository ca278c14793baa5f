package rtsp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/pion/rtcp"

	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/mediatest"
	"districtgateway/media/mediatest/cost"
	"districtgateway/media/sock"
)

// twoTracks is a stream of H.264 and G.711A with one key picture in it.
func twoTracks() *feed {
	f := videoFeed(media.H264, false)
	f.src = mediatest.NewSource(media.Opened{Front: framed, Tracks: []media.Track{
		{Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H264)},
		{Codec: media.G711A, ClockRate: 8000, PayloadType: 8, Channels: 1},
	}})
	f.push(2)
	return f
}

func TestNobodyIsAdmittedWithoutTheRightPassword(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.must(base.Options, h.url)
	for _, m := range []base.Method{base.Describe, base.Setup, base.Play, base.Teardown, base.GetParameter, base.SetParameter, base.Pause, base.Announce} {
		p.say(m, h.url)
		res := p.answer()
		if c := strings.Join(res.Header["WWW-Authenticate"], "|"); res.StatusCode != base.StatusUnauthorized ||
			strings.Count(c, "Digest realm=\"District Gateway\"") != 2 || strings.Contains(c, "Basic") {
			t.Errorf("%s: %d %s", m, res.StatusCode, c)
		}
	}
	p.say(base.Describe, h.url, "Authorization: Basic d2FuZzpyaWdodA==")
	if res := p.answer(); res.StatusCode != base.StatusUnauthorized {
		t.Errorf("Basic: %d", res.StatusCode)
	}
	p.must(base.Describe, h.url)
	res := p.ask(base.Describe, "rtsp://h/other")
	if res.StatusCode != base.StatusNotFound {
		t.Errorf("another stream: %d", res.StatusCode)
	}
	a, _ := p.auth.Answer("DESCRIBE", h.url, nil)
	fmt.Fprintf(p.conn, "DESCRIBE %s/sub RTSP/1.0\r\nCSeq: %d\r\nAuthorization: %s\r\n\r\n", h.url, p.seq, a.Header)
	if res := p.answer(); res.StatusCode != base.StatusBadRequest {
		t.Errorf("credentials for another stream: %d", res.StatusCode)
	}
}

func TestWithoutUsersNobodyIsAdmitted(t *testing.T) {
	none := func(context.Context, string, string) (*media.Stream, func(), error) { return nil, nil, ErrNotFound }
	s, err := NewServer(ServerConfig{Listen: "127.0.0.1:0", Streams: none})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"", "wang"} {
		if ha1, ok := s.ha1(user, "MD5"); ok {
			t.Errorf("%q is admitted with %q", user, ha1)
		}
	}
}

func TestGuessingIsBounded(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	judged, refused := 0, 0
	for i := 0; refused == 0 && i < 10; i++ {
		p := h.dial()
		p.auth = digest.New(digest.Config{User: "wang", Password: "guess"})
		p.say(base.Describe, h.url)
		if err := p.auth.Challenge(digest.Answer{}, p.answer().Header["WWW-Authenticate"]); err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for wrong < maxWrong && refused == 0 {
			p.say(base.Describe, h.url)
			if p.answer().StatusCode == base.StatusUnauthorized {
				wrong++
			} else {
				refused++
			}
		}
		if judged += wrong; wrong == maxWrong {
			p.closed()
		}
	}
	if judged != 10 {
		t.Errorf("%d guesses were judged", judged)
	}
	if res := h.dial().ask(base.Describe, h.url); res.StatusCode != base.StatusForbidden {
		t.Errorf("%d for the address that guessed", res.StatusCode)
	}
}

func TestRequestsOutOfPlaceAreRefused(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	track := h.url + "/trackID=0"
	root := strings.TrimSuffix(h.url, "cam1")
	udp := func(more string) string { return "Transport: RTP/AVP;unicast;" + more }
	for name, tc := range map[string]struct {
		method  base.Method
		url     string
		headers []string
		want    base.StatusCode
	}{
		"PLAY first":                 {base.Play, h.url, nil, base.StatusMethodNotValidInThisState},
		"TEARDOWN first":             {base.Teardown, h.url, nil, base.StatusSessionNotFound},
		"a session of others":        {base.Play, h.url, []string{"Session: 1"}, base.StatusSessionNotFound},
		"a setup of others":          {base.Setup, track, []string{"Session: 1", interleave}, base.StatusSessionNotFound},
		"no such channel":            {base.Describe, root + "cam2", nil, base.StatusNotFound},
		"no such stream":             {base.Describe, h.url + "/main", nil, base.StatusNotFound},
		"above":                      {base.Describe, root + "../etc/passwd", nil, base.StatusNotFound},
		"above, hidden":              {base.Describe, root + "%2e%2e/cam1", nil, base.StatusNotFound},
		"nothing":                    {base.Describe, root, nil, base.StatusNotFound},
		"a name without end":         {base.Describe, root + strings.Repeat("x", 65), nil, base.StatusNotFound},
		"all tracks at once":         {base.Setup, h.url, []string{interleave}, base.StatusAggregateOperationNotAllowed},
		"no such track":              {base.Setup, h.url + "/trackID=2", []string{interleave}, base.StatusNotFound},
		"a track far away":           {base.Setup, h.url + "/trackID=99", []string{interleave}, base.StatusNotFound},
		"no transport":               {base.Setup, track, nil, base.StatusUnsupportedTransport},
		"multicast":                  {base.Setup, track, []string{"Transport: RTP/AVP;multicast;client_port=5000-5001"}, base.StatusUnsupportedTransport},
		"encrypted":                  {base.Setup, track, []string{"Transport: RTP/SAVP;unicast;client_port=5000-5001"}, base.StatusUnsupportedTransport},
		"towards us":                 {base.Setup, track, []string{interleave + ";mode=record"}, base.StatusUnsupportedTransport},
		"UDP without ports":          {base.Setup, track, []string{udp("")}, base.StatusUnsupportedTransport},
		"UDP to a service":           {base.Setup, track, []string{udp("client_port=53-54")}, base.StatusUnsupportedTransport},
		"UDP with RTCP to one":       {base.Setup, track, []string{udp("client_port=5000-53")}, base.StatusUnsupportedTransport},
		"UDP to one port":            {base.Setup, track, []string{udp("client_port=5000-5000")}, base.StatusUnsupportedTransport},
		"UDP beyond all":             {base.Setup, track, []string{udp("client_port=65536-65537")}, base.StatusUnsupportedTransport},
		"UDP to a third":             {base.Setup, track, []string{udp("destination=192.0.2.1;client_port=5000-5001")}, base.StatusUnsupportedTransport},
		"UDP to a name":              {base.Setup, track, []string{udp("destination=localhost;client_port=5000-5001")}, base.StatusUnsupportedTransport},
		"channels beyond all":        {base.Setup, track, []string{"Transport: RTP/AVP/TCP;interleaved=256-257"}, base.StatusUnsupportedTransport},
		"one channel":                {base.Setup, track, []string{"Transport: RTP/AVP/TCP;interleaved=5-5"}, base.StatusUnsupportedTransport},
		"the ninth is not looked at": {base.Setup, track, []string{"Transport: " + strings.Repeat("X,", 8) + interleave[11:]}, base.StatusUnsupportedTransport},
		"an extension":               {base.Describe, h.url, []string{"Require: www.onvif.org/ver20/backchannel"}, base.StatusOptionNotSupported},
		"PAUSE":                      {base.Pause, h.url, nil, base.StatusMethodNotAllowed},
		"RECORD":                     {base.Record, h.url, nil, base.StatusMethodNotAllowed},
		"ANNOUNCE":                   {base.Announce, h.url, nil, base.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			p := h.dial()
			p.t = t
			if res := p.ask(tc.method, tc.url, tc.headers...); res.StatusCode != tc.want {
				t.Errorf("%d %s, want %d", res.StatusCode, res.StatusMessage, tc.want)
			}
			p.id = ""
			p.must(base.Options, h.url) // and the conversation goes on
		})
	}
}

func TestSetupIsBoundedAndDoneOnce(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{Ports: [2]uint16{23000, 23003}}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.must(base.Setup, h.url+"/trackID=0", "Transport: RTP/AVP;unicast;client_port=5000-5001") // DESCRIBE may be left out
	for range 100 {
		if res := p.ask(base.Setup, h.url+"/trackID=0", "Transport: RTP/AVP;unicast;client_port=5000-5001"); res.StatusCode != base.StatusMethodNotValidInThisState {
			t.Fatalf("%d", res.StatusCode)
		}
	}
	if res := p.ask(base.Describe, h.url); res.StatusCode != base.StatusMethodNotValidInThisState {
		t.Errorf("DESCRIBE: %d", res.StatusCode)
	}
	if res := p.ask(base.Setup, h.url+"/trackID=1", interleave); res.StatusCode != base.StatusUnsupportedTransport {
		t.Errorf("another transport: %d", res.StatusCode)
	}
	p.must(base.Setup, h.url+"/trackID=1", "Transport: RTP/AVP;unicast;client_port=5002-5003")
	q := h.dial()
	if res := q.ask(base.Setup, h.url+"/trackID=0", "Transport: RTP/AVP;unicast;client_port=5004-5005"); res.StatusCode != base.StatusServiceUnavailable {
		t.Errorf("without a port: %d", res.StatusCode)
	}
	p.must(base.Teardown, h.url)
	q.must(base.Setup, h.url+"/trackID=0", "Transport: RTP/AVP;unicast;client_port=5004-5005") // its ports are free again
	res := q.must(base.Setup, h.url+"/trackID=1", "Transport: RTP/SAVP;unicast;client_port=1-2,RTP/AVP/UDP;unicast;client_port=5006-5007")
	if tr := res.Header["Transport"][0]; !strings.Contains(tr, "server_port=2300") || !strings.Contains(tr, "client_port=5006-5007") || !strings.Contains(tr, "ssrc=") {
		t.Error(tr)
	}
}

// A viewer that sets up for ever holds one session, and nobody else notices.
func TestHundredThousandSetupsAreOneSession(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	_, sink := h.watch(h.url, false)
	until(t, "no picture", func() bool { return have(sink) > 0 })
	p := h.dial()
	if err := p.conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	p.must(base.Setup, h.url+"/trackID=0", interleave)
	before, goroutines := allocated(), runtime.NumGoroutine()
	const setups, batch = 100_000, 500
	for i := 0; i < setups; i += batch {
		for range batch {
			p.say(base.Setup, h.url+"/trackID=0", interleave)
		}
		for range batch {
			_, res, err := p.next()
			if err != nil || res.StatusCode != base.StatusMethodNotValidInThisState {
				t.Fatalf("after %d: %v, %v", i, res, err)
			}
		}
		f.push(1)
	}
	t.Log("allocated", (allocated()-before)/setups, "a request")
	if n := runtime.NumGoroutine(); n > goroutines+4 {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	until(t, "the viewer beside it suffers", func() bool { return have(sink) >= setups/batch-3 })
	if st := h.server.Stats(); st.Open != 2 {
		t.Errorf("%+v", st)
	}
}

func TestChannelsOfTwoTracksDiffer(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	for i, want := range []string{"interleaved=0-1", "interleaved=2-3"} {
		res := p.must(base.Setup, fmt.Sprintf("%s/trackID=%d", h.url, i), interleave)
		if tr := res.Header["Transport"][0]; !strings.Contains(tr, want) {
			t.Errorf("%s, want %s", tr, want)
		}
	}
}

func TestHostileBytesEndTheirConnectionOnly(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	s, sink := h.watch(h.url, false)
	until(t, "no picture", func() bool { return have(sink) > 0 })
	for name, text := range map[string]string{
		"a header of 1 MB":      "DESCRIBE " + h.url + " RTSP/1.0\r\nCSeq: 1\r\nX: " + strings.Repeat("x", 1<<20),
		"headers of 1 MB":       "DESCRIBE " + h.url + " RTSP/1.0\r\nCSeq: 1\r\n" + strings.Repeat("X: y\r\n", 200000),
		"a body of 1 GB":        "DESCRIBE " + h.url + " RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 1000000000\r\n\r\n",
		"a body larger than us": "DESCRIBE " + h.url + " RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 60000),
		"a frame of 64 KB":      "$\x00\xff\xff" + strings.Repeat("x", 70000),
		"no text":               "\x16\x03\x01\x02\x00",
		"the web":               "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"another version":       "OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n",
		"no address":            "DESCRIBE http://[ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"answers nobody reads":  strings.Repeat("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", 1<<20/32*20),
	} {
		p := h.dial()
		_, err := io.WriteString(p.conn, text)
		if name == "answers nobody reads" {
			if err == nil || isTimeout(err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		p.closed()
	}
	p := h.dial() // half a frame, and half a request, and away
	io.WriteString(p.conn, "$\x00\x10\x00abc")
	p.conn.Close()
	p = h.dial()
	io.WriteString(p.conn, "DESCRIBE "+h.url)
	p.conn.Close()
	before := have(sink)
	f.push(20)
	until(t, "the viewer beside them suffers", func() bool { return have(sink) >= before+18 })
	if st := s.Stats(); st.Lost+st.Damaged != 0 {
		t.Errorf("%+v", st)
	}
	until(t, "connections are left", func() bool { return h.server.Stats().Open == 1 })
}

func TestNoNumberIsABadRequest(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	for _, lines := range []string{"", "CSeq: x\r\n", "CSeq: -1\r\n", "CSeq: 1\r\nCSeq: 2\r\n"} {
		p := h.dial()
		fmt.Fprintf(p.conn, "OPTIONS * RTSP/1.0\r\n%s\r\n", lines)
		if _, res, err := p.next(); err != nil || res.StatusCode != base.StatusBadRequest {
			t.Errorf("%q: %v, %v", lines, res, err)
		}
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{Limit: 12}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.play()
	for range 100 {
		q := h.dial()
		defer q.conn.Close()
	}
	until(t, "none was declined", func() bool { return h.server.Stats().Declined == 98 }) // a quarter may be one address's
	if open := h.server.Stats().Open; open != 3 {
		t.Errorf("%d connections", open)
	}
	p.must(base.GetParameter, h.url)
}

func TestPatienceWithViewersEnds(t *testing.T) {
	now := time.Unix(10000, 0)
	users := &people{all: map[string]string{"wang": "right"}}
	ha1, _ := users.HA1("wang", digest.SHA256)
	who := digest.Credential{User: "wang", Algorithm: digest.SHA256, HA1: ha1}
	srv := &Server{cfg: ServerConfig{Users: users}}
	for name, tc := range map[string]struct {
		v    viewer
		want error
	}{
		"connected just now": {viewer{limit: now.Add(1)}, nil},
		"says nothing":       {viewer{limit: now.Add(-1)}, errStranger},
		"asks":               {viewer{limit: now.Add(1), who: who}, nil},
		"asks no more":       {viewer{limit: now.Add(-1), who: who}, errIdle},
		"plays":              {viewer{limit: now.Add(-1), who: who, playout: &playout{}}, nil},
		"is user no more":    {viewer{who: digest.Credential{User: "li", Algorithm: digest.MD5}, playout: &playout{}}, errRevoked},
		"has a new password": {viewer{who: digest.Credential{User: "wang", Algorithm: digest.MD5, HA1: ha1}, playout: &playout{}}, errRevoked},
	} {
		tc.v.srv = srv
		if err := tc.v.look(now); err != tc.want {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestAnotherPasswordEndsWhatPlays(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.play()
	h.people.set("wang", "another")
	p.say(base.GetParameter, h.url) // it is looked at now, and every 5 s
	p.closed()
}

func TestTeardownIsAnsweredAndEndsTheSession(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.play()
	p.must(base.Teardown, h.url)
	p.closed()
	until(t, "the stream is still held", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.held == 0
	})
}

func TestAnswersNeverTearFrames(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	info := p.play().Header["RTP-Info"]
	const asked = 200
	for i := range asked {
		f.push(1)
		p.say(base.GetParameter, h.url)
		if i%8 == 7 { // several wait at a time
			for k := range 8 {
				p.seq = p.seq - 7 + k
				p.answer()
				p.seq += 7 - k
			}
		}
	}
	var seq, ts uint32
	fmt.Sscanf(info[0], "url="+h.url+"/trackID=0;seq=%d;rtptime=%d", &seq, &ts)
	media, first := 0, -1
	for i, frame := range p.frames {
		if frame[0] == 1 {
			if first < 0 {
				first = i
			}
			continue
		}
		if got := uint16(frame[3])<<8 | uint16(frame[4]); got != uint16(seq)+uint16(media) {
			t.Fatalf("packet %d has number %d, the first %d", media, got, seq)
		}
		if got := uint32(frame[5])<<24 | uint32(frame[6])<<16 | uint32(frame[7])<<8 | uint32(frame[8]); media == 0 && got != ts {
			t.Errorf("begins at %d, not at %d", got, ts)
		}
		media++
	}
	if media < asked || first != 0 {
		t.Errorf("%d packets of %d pictures; the first report is frame %d", media, asked, first)
	}
}

func TestAnotherCodecEndsTheSession(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.play()
	f.src.Do(func(s *media.Stream) {
		s.SetTracks([]media.Track{{Codec: media.H265, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H265)}})
	})
	h.streams["cam1"].Wake()
	p.closed()
	last := p.frames[len(p.frames)-1]
	packets, err := rtcp.Unmarshal(last[1:])
	if err != nil || len(packets) != 3 {
		t.Fatalf("ends with %x", last)
	}
	if _, ok := packets[2].(*rtcp.Goodbye); !ok || last[0] != 1 {
		t.Errorf("ends with %v", packets)
	}
}

func TestReportsTellTheTimeOfThePictures(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	before := time.Now()
	p.play()
	p.must(base.GetParameter, h.url)
	f.push(1)
	until(t, "no packet", func() bool {
		frame, _, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		p.frames = append(p.frames, frame)
		return frame[0] == 0
	})
	var report *rtcp.SenderReport
	for _, frame := range p.frames {
		if packets, err := rtcp.Unmarshal(frame[1:]); frame[0] == 1 && err == nil && report == nil {
			report = packets[0].(*rtcp.SenderReport)
		}
	}
	if report == nil {
		t.Fatal("no report")
	}
	wall := time.Unix(int64(report.NTPTime>>32)-2208988800, 0)
	if wall.Before(before.Add(-time.Second)) || wall.After(time.Now().Add(time.Second)) {
		t.Errorf("report of %s", wall)
	}
}

func TestSlowViewerCostsOthersNothingAndIsCut(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	slow := h.dial()
	slow.play() // and reads no more
	s, sink := h.watch(h.url, false)
	until(t, "no picture", func() bool { return have(sink) > 0 })
	until(t, "the slow one is not cut", func() bool {
		before := have(sink)
		f.push(10)
		until(t, "the other one waits", func() bool { return have(sink) >= before+8 })
		return h.streams["cam1"].Stats().Consumers.Slow == 1
	})
	if st := s.Stats(); st.Lost+st.Damaged+st.Duplicates != 0 {
		t.Errorf("%+v", st)
	}
	until(t, "its connection stays", func() bool { return h.server.Stats().Open == 1 })
}

func TestViewerOverUDPThatIsGoneIsCut(t *testing.T) {
	local := netip.MustParseAddr("127.0.0.1")
	pool := newPairs([2]uint16{})
	ours, err := pool.open(local)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.close()
	theirs, err := pool.open(local)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.close()
	ours.host, theirs.host = local, local
	for a, b := range map[*udpPorts]*udpPorts{ours: theirs, theirs: ours} {
		if err := a.connect(b.rtp.Local().Port(), b.rtcp.Local().Port()); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(10000, 0)
	p := &playout{lanes: []*lane{{ports: ours}}}
	p.touch(now)
	if err := p.hear(nil, now.Add(sessionTimeout)); err != nil {
		t.Error(err)
	}
	var b sock.Batch
	b.Add([]byte("report"))
	b.End()
	if _, err := theirs.rtcp.Send(&b, 0, 1); err != nil {
		t.Fatal(err)
	}
	later := now.Add(sessionTimeout + 2*graceTime)
	until(t, "the report is not heard", func() bool { return p.hear(nil, later) == nil })
	if err := p.hear(nil, later.Add(sessionTimeout)); err != nil {
		t.Error(err)
	}
	if err := p.hear(nil, later.Add(sessionTimeout+2*graceTime)); err == nil {
		t.Error("nobody is there, and media flows")
	}
}

// TestSoundOfAProgramStreamIsDescribed has AAC in a program stream that nobody has
// unpacked yet.
func TestSoundOfAProgramStreamIsDescribed(t *testing.T) {
	for name, tc := range map[string]struct {
		sound bool
		want  string
	}{"sound": {true, "MPEG4-GENERIC/16000/1"}, "none": {false, ""}} {
		t.Run(name, func(t *testing.T) {
			f := videoFeed(media.H264, true)
			h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
			f.push(5)
			if tc.sound {
				adts := append([]byte{0xFF, 0xF1, 0x60, 0x40, 0x03, 0x7F, 0xFC}, make([]byte, 20)...)
				pes := append([]byte{0, 0, 1, 0xC0, 0, byte(8 + 2*len(adts)), 0x80, 0x80, 5, 0x21, 0, 1, 0, 1}, append(adts, adts...)...)
				f.src.Push(0, f.video.Cut(5*3600, pes)...)
			}
			f.push(60)
			body := string(h.dial().must(base.Describe, h.url).Body)
			if got := strings.Contains(body, "m=audio"); got != tc.sound || !strings.Contains(body, tc.want) {
				t.Errorf("described as\n%s", body)
			}
		})
	}
}

// requests also seed the fuzzer.
var requests = []string{
	"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
	"DESCRIBE rtsp://h/cam1 RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\nSETUP rtsp://h/cam1/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\nPLAY rtsp://h/cam1/ RTSP/1.0\r\nCSeq: 3\r\n\r\n",
	"SETUP rtsp://h/cam1/trackID=1 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP;unicast;client_port=5000-5001\r\n\r\nSETUP rtsp://h/cam1/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP;unicast;client_port=5000-5001\r\n\r\n",
	"$\x01\x00\x04abcdGET_PARAMETER rtsp://h/cam1 RTSP/1.0\r\nCSeq: 7\r\nContent-Length: 3\r\n\r\nabcTEARDOWN rtsp://h/cam1 RTSP/1.0\r\nCSeq: 8\r\n\r\n",
	"SETUP rtsp://h/cam1/sub/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/SAVP;unicast,RTP/AVP/TCP;interleaved=255-0;mode=play;ssrc=1\r\n\r\n",
	"SET_PARAMETER * RTSP/1.0\r\nCSeq: 2\r\nAuthorization: Digest username=\"wang\"\r\n\r\n",
}

// FuzzRequests has the server do what any bytes ask for, as if the password were
// right.
func FuzzRequests(f *testing.F) {
	for _, text := range requests {
		f.Add([]byte(text))
	}
	feed := twoTracks()
	s := media.NewStream(media.StreamConfig{RingBytes: 1 << 20}, feed.src.Open)
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	go func() { _ = s.Run(ctx) }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	held := 0
	srv, err := NewServer(ServerConfig{Streams: func(_ context.Context, _, path string) (*media.Stream, func(), error) {
		if path != "cam1" {
			return nil, nil, ErrNotFound
		}
		held++
		return s, func() { held-- }, nil
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, far := fuzzViewer(t, srv, l)
		defer far.Close()
		defer v.conn.Close()
		for at := 0; at < len(b); {
			var n int
			var err error
			cost.Bound(t, func() { n, err = v.message(ctx, b[at:]) })
			if err != nil || n == 0 {
				break
			}
			cost.Bound(t, func() { perform(ctx, v, b[at:at+n]) })
			at += n
		}
		if v.forget(); held != 0 {
			t.Errorf("%d streams are held", held)
		}
	})
}

// fuzzViewer connects a viewer that needs no password.
func fuzzViewer(t *testing.T, srv *Server, l net.Listener) (*viewer, net.Conn) {
	t.Helper()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := sock.NewTCP(near.(*net.TCPConn))
	if err != nil {
		t.Fatal(err)
	}
	return newViewer(srv, conn), far
}

// perform does what a request asks for, as if it were admitted and its sender knew
// the session's id.
func perform(ctx context.Context, v *viewer, b []byte) {
	var req base.Request
	if req.Unmarshal(bufio.NewReader(bytes.NewReader(b))) != nil {
		return
	}
	if _, ok := sequence(&req); !ok {
		return
	}
	if _, named := sessionOf(&req); named || req.Method == base.Play {
		req.Header["Session"] = base.HeaderValue{v.id}
	}
	if res := v.perform(ctx, &req); res != nil {
		_ = v.answer(res)
	}
}

// An encoder that was opened anew with other parameter sets may tell them in its
// description only. Who plays is told of them before the first picture that needs
// them.
func TestOtherParameterSetsAreToldToWhoPlays(t *testing.T) {
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	p := h.dial()
	p.play()
	sets := mediatest.OtherParameters(media.H264)
	f.src.Do(func(s *media.Stream) {
		s.Adopt(media.Opened{Tracks: []media.Track{
			{Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: sets},
			{Codec: media.G711A, ClockRate: 8000, PayloadType: 8, Channels: 1},
		}}, time.Now())
	})
	key := func(i int) []byte { return mediatest.Slice(media.H264, true, 500, byte(i)) }
	for i := range 3 {
		f.src.Push(0, f.video.Video(media.H264, uint32(1e6+i*36000), key(i))...)
	}
	last := mediatest.Slice(media.H264, false, 500, 9)
	f.src.Push(0, f.video.Video(media.H264, 2e6, last)...)
	var got [][]byte
	until(t, "the last picture did not come", func() bool {
		frame, _, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if frame[0] == 0 {
			got = append(got, frame[13:])
		}
		return frame[0] == 0 && bytes.Equal(frame[13:], last)
	})
	at := slices.IndexFunc(got, func(b []byte) bool { return bytes.Equal(b, sets[0]) })
	if at < 0 || at+2 >= len(got) || !bytes.Equal(got[at+1], sets[1]) || !bytes.Equal(got[at+2], key(0)) {
		t.Fatalf("the parameter sets did not come before their picture, but at %d of %d packets", at, len(got))
	}
	if slices.IndexFunc(got[at+1:], func(b []byte) bool { return bytes.Equal(b, sets[0]) }) >= 0 {
		t.Error("they come again and again")
	}
}

// Why there is no stream stands on one line, whatever the words are.
func TestRefusalsSayWhy(t *testing.T) {
	for why, want := range map[string]string{
		"channel 东门 is offline":                 "channel 东门 is offline",
		"two\r\nSession: 1\r\n\r\nlines":        "two  Session: 1    lines",
		"\xff\xfe":                              "\ufffd\ufffd",
		strings.Repeat("门", maxReason/3+1):      strings.Repeat("门", maxReason/3),
		strings.Repeat("x", maxReason-1) + "门门": strings.Repeat("x", maxReason-1),
	} {
		res := statusOf(errors.New(why))
		if res.StatusCode != base.StatusServiceUnavailable || res.StatusMessage != want {
			t.Errorf("%q: %d %q, want %q", why, res.StatusCode, res.StatusMessage, want)
		}
	}
	f := twoTracks()
	h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
	h.mu.Lock()
	h.refusal = errors.New("channel is offline\r\nSession: 1")
	h.mu.Unlock()
	if res := h.dial().ask(base.Describe, h.url); res.StatusCode != base.StatusServiceUnavailable ||
		res.StatusMessage != "channel is offline  Session: 1" || res.Header["Session"] != nil {
		t.Errorf("%d %q, %v", res.StatusCode, res.StatusMessage, res.Header)
	}
}
