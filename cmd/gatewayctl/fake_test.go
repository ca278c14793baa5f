package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"districtgateway/cmd/internal/api"
)

var (
	east = time.FixedZone("CST", 8*3600)
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, east)
)

const (
	channel1 = "33010600001320000001"
	channel2 = "33010600001320000002"
	level1   = "33000000002000000001"
	level2   = "33010000002000000001"
	level3   = "33010600002000000001"
)

// answers are what the fake daemon says by default.
var answers = map[string]any{
	"GET " + api.PathVersion: api.Version{Version: "v1.2.3", Go: "go1.26", System: "linux/arm"},
	"GET " + api.PathStatus: api.Status{
		Code: level3, Name: "西湖区", Version: "v1.2.3", Started: noon.Add(-26 * time.Hour), Health: "upper " + level2 + " is refused",
		Uppers:   []api.Peer{{Code: level2, Role: "upper", Name: "杭州市", State: "refused", Since: noon.Add(-time.Minute), Reason: "403 Forbidden"}},
		Channels: api.Count{Total: 2, Online: 1}, Encoders: encoders, Sessions: 3,
		Volumes: []api.Volume{{Path: "/mnt/san1", ID: "0276", State: "recording", Used: 1_234_567_890, Free: 50_000_000_000, Oldest: noon.Add(-48 * time.Hour), Segments: 12}},
		Buses:   []api.Bus{{Name: "yard", Port: "/dev/ttyS1", Open: true, Domes: 3, Moving: 1, Sent: 99, Refused: 2}, {Name: "roof", Port: "/dev/ttyUSB0", Problem: "no such file or directory"}},
		Servers: []api.Server{{Kind: api.ServerRTSP, Listen: ":8554", State: api.ServerOpen, Viewers: 3, Declined: 1},
			{Kind: api.ServerWeb, Listen: ":8889", Media: ":8189", State: api.ServerOpen, Viewers: 2}},
		Streams: api.Budget{Used: 61 << 20, Limit: 64 << 20, Refused: 2, Short: 1},
		Process: api.Process{PID: 42, Memory: 9_876_543, Mallocs: 31711, Packets: 708, Goroutines: 32},
	},
	"GET " + api.PathPeers: []api.Peer{
		{Code: level1, Role: "upper", Name: "浙江省", State: "online", Since: noon.Add(-3 * time.Hour), LastSeen: noon.Add(-4 * time.Second), Address: "udp:192.0.2.1:5060", Channels: 2},
		{Code: level2, Role: "lower", State: "idle", Since: noon.Add(-25 * time.Hour)},
		{Code: level3, Role: "lower", Name: "\x1b[31mred", State: "refused", Since: noon.Add(-90 * time.Second), Reason: "wrong password"},
		departed,
	},
	"GET " + api.PathChannels: []api.Channel{
		{ID: level1, Name: "浙江省", Region: "33", Owner: level1, Online: true, Kind: "system"},
		{ID: "33", Name: "33", Owner: level1, Kind: "region"},
		{ID: "3301", Name: "3301", Owner: level1, Kind: "region", Depth: 1},
		{ID: "330106", Name: "西湖区", Owner: level1, Kind: "region", Depth: 2},
		{ID: "33010603", Name: "灵隐", Owner: level1, Kind: "region", Depth: 3},
		{ID: "33010603001203", Name: "001203", Parent: "33010603", Owner: level1, Kind: "region", Depth: 4},
		{ID: "330106002201", Name: "002201", Parent: "330106", Owner: level1, Kind: "region", Depth: 3},
		{ID: level3, Name: "西湖区", Parent: level1, Region: "330106", Owner: level2, Online: true, Kind: "system"},
		{ID: channel1, Name: "断桥残雪", Parent: level3, Region: "330106", Owner: level2, Online: true, Kind: "channel"},
		{ID: channel2, Name: "north gate", Parent: level3, Region: "330106", Owner: level2, Kind: "channel"},
		{ID: "33010600001320000003", Name: "temple", Parent: level3, Region: "33010603", Fifth: "33010603001203", Owner: level2, Online: true, Kind: "channel"},
		{ID: "33010600001180000001", Name: "recorder", Parent: level3, Region: "330106", Owner: level2, Online: true, Kind: "device"},
		{ID: "33010600001320000004", Name: "of a recorder", Parent: "33010600001180000001", Region: "330106", Fifth: "330106002201", Owner: level2, Online: true, Kind: "channel"},
		{ID: "33010600002150000001", Name: "a", Parent: "33010600002150000002", Owner: level2, Kind: "group"},
		{ID: "33010600002150000002", Name: "circle", Parent: "33010600002150000001", Owner: level2, Kind: "group"},
	},
	"GET " + api.PathEncoders: encoders,
	"GET " + api.PathStreams: []api.Stream{
		{Channel: channel1, Profile: "main", Connected: true, Transport: "udp", Users: 2, Packets: 708, Bytes: 803_000, Units: 300, Ring: 4 << 20, Held: 7.84, Tracks: []string{"H.264 640x360", "G.711A 8000 Hz"}},
		{Channel: channel2, Profile: "live", Lost: 3, Damaged: 1, Problem: "connection refused"},
	},
	"GET " + api.PathStreams + "/" + channel1: details(),
	"GET " + api.PathStreams + "/" + channel2: []api.StreamDetail{},
	"GET " + api.PathSessions: []api.Session{{Channel: channel1, Kind: "live", Peer: level2, Role: "upper", State: "sending", Since: noon.Add(-75 * time.Second),
		Camera: api.Party{ID: channel1, Host: "10.1.0.31"}, Monitor: api.Party{ID: level1 + "-7", Host: "192.0.2.1", Place: "浙江省"}}},
	"GET " + api.PathRecords + channel1: api.Recordings{Channel: channel1, Owner: level3, Items: []api.Recording{
		{From: noon.Add(-time.Hour), To: noon.Add(-30 * time.Minute), Bytes: 123_456_789, Kind: "scheduled",
			Address: level3 + "/" + channel1 + "/20260301T030000Z-20260301T033000Z", Recorder: level3, Location: level3},
		{From: noon.Add(-20 * time.Minute), To: noon, Bytes: 9_950_000, Kind: "alarm"},
		{From: noon.Add(-30 * time.Minute), To: noon.Add(-20 * time.Minute), Gap: "encoder"},
	}},
	"GET " + api.PathRecords + channel2: api.Recordings{Channel: channel2, Partial: true, Items: []api.Recording{
		{From: noon.Add(-time.Second), To: noon, Bytes: 999, Kind: "manual"},
	}},
	"GET " + api.PathDiscover: []api.Found{
		{Address: "http://10.1.0.31/onvif/device_service", Name: "北门", Model: "X", Identity: "mac:02:00:00:00:00:01", Code: channel1, Verdict: "in service"},
		{Address: "10.1.0.32", Verdict: "user or password refused"},
	},
	"POST " + api.PathEncoders:           encoders,
	"PUT " + api.PathEncoders:            encoders,
	"POST " + api.PathRefresh + level2:   struct{}{},
	"POST " + api.PathConfig:             []map[string]string{{"path": "server.name", "old": "a", "new": "b"}, {"path": "upper[0].id", "new": level1}},
	"GET " + api.PathLive + "busy":       refusal{api.Error{Status: 502, Level: level1, Cause: "486 Busy Here (encoder busy)"}},
	"GET " + api.PathLive + "none":       refusal{api.Error{Status: 404, Cause: "no such channel"}},
	"POST " + api.PathLeave + level2:     departed,
	"POST " + api.PathLeave + level1:     refusal{api.Error{Status: 502, Level: level1, Cause: "486 Busy Here"}},
	"POST " + api.PathLeave + level3:     refusal{api.Error{Status: 404, Cause: "no such upper domain is configured"}},
	"POST " + api.PathJoin + level2:      api.Peer{Code: level2, Role: "upper", State: "online"},
	"POST " + api.PathJoin + level1:      refusal{api.Error{Status: 502, Level: level1, Cause: "403 Forbidden"}},
	"GET " + api.PathUsers:               users,
	"POST " + api.PathUsers + "wang":     users,
	"POST " + api.PathUsers + "li":       refusal{api.Error{Status: 409, Cause: "li: there is a user of that name"}},
	"POST " + api.PathUsers + "a b/c%2F": refusal{api.Error{Status: 400, Cause: "name \"a b/c%2F\": not taken"}},
	"PUT " + api.PathUsers + "wang":      users,
	"DELETE " + api.PathUsers + "wang":   users,
	"POST " + api.PathPTZ + channel1:     obeyed,
	"POST " + api.PathPTZ + channel2:     refusal{api.Error{Status: 502, Level: level2, Cause: "403 Held"}},
	"POST " + api.PathPTZ + "fixed":      refusal{api.Error{Status: 409, Cause: "camera cannot do that"}},
	"POST " + api.PathPTZ + "bad":        refusal{api.Error{Status: 400, Cause: "number=0: want 1 to 255\npreset takes no for"}},
	"POST " + api.PathRefresh + "nobody": refusal{api.Error{Status: 400, Cause: `code "nobody": want 20 digits`}},
}

var users = []api.User{{Name: "li", Role: "admin"}, {Name: "wang", Role: "viewer"}}

// obeyed is a command to a camera.
var obeyed = api.PTZDone{Channel: channel1, PTZ: api.PTZ{Action: api.PTZMove, Pan: -50, Tilt: 50, For: "2s", User: "wang", Rank: 7}}

// departed is an upper that was left.
var departed = api.Peer{Code: level2, Role: "upper", Name: "杭州市", State: "left", Since: noon.Add(-50 * time.Hour), Reason: "the upper agreed"}

var encoders = []api.Encoder{
	{Code: channel1, Name: "断桥残雪", Identity: "mac:02:00:00:00:00:01", Address: "http://10.1.0.31/onvif", Online: true, Since: noon.Add(-65 * time.Minute),
		Video: "H.264 1920x1080", Audio: "AAC 16000 Hz", Recording: true, LastByte: noon.Add(-time.Second)},
	{Code: channel2, Name: "gate", Since: noon.Add(-50 * time.Hour), Problem: "user or password refused"},
}

// details are the streams of a channel at noon.
func details() []api.StreamDetail {
	return []api.StreamDetail{{
		Stream: api.Stream{Channel: channel1, Profile: "main", Connected: true, Transport: "udp", Users: 3, Packets: 708_000, Bytes: 803_000_000,
			Lost: 3, Damaged: 1, Units: 300_000, Tracks: []string{"H.264 640x360", "G.711A 8000 Hz"}},
		At: noon, Source: "encoder 10.1.0.31", Since: noon.Add(-2 * time.Hour), Opened: 2, Keys: 6000,
		Losses: api.Losses{Late: 1, Reordered: 7, Doubled: 2, Jumps: 1},
		Memory: api.Ring{Bytes: 4 << 20, Held: 4_100_000, Seconds: 8.12, Copies: true},
		Media: []api.Track{{Coding: "H.264 640x360", Bits: 4_012_345, FPS: 25, Group: 50, Interval: 2},
			{Coding: "G.711A 8000 Hz", Bits: 64_000}},
		Consumers: []api.Consumer{
			{Kind: "recorder", Name: "/mnt/san1", Since: noon.Add(-2 * time.Hour), Units: 300_000, Packets: 7200, Bytes: 780_000_000, Copied: 780_000_000},
			{Kind: "relay tcp", Name: level2 + " 192.0.2.1:30000", Since: noon.Add(-65 * time.Second), Units: 1600, Packets: 31_000, Bytes: 32_000_000,
				Lapped: 48, Dropped: 1, Behind: 1234.5, Copied: 1400},
			{Kind: "rtsp udp", Name: "wang 192.0.2.7:49152", Since: noon.Add(-5 * time.Second), Units: 125, Packets: 2500, Bytes: 2_500_000},
		},
		Cut: 2, Slow: 1,
		LastCut: []api.CutConsumer{
			{Consumer: api.Consumer{Kind: "rtsp tcp", Name: "wang 192.0.2.7:49100", Since: noon.Add(-time.Hour), Bytes: 9_000_000, Lapped: 250, Behind: 9800},
				At: noon.Add(-10 * time.Minute), Why: "consumer too slow"},
			{Consumer: api.Consumer{Kind: "mp4", Name: "gatewayctl", Since: noon.Add(-time.Minute)},
				At: noon.Add(-30 * time.Second), Why: "flush: panic: x\ngoroutine 1"},
		},
	}}
}

// A refusal is an answer with its status.
type refusal struct{ api.Error }

// A request is what the fake daemon was asked.
type request struct{ line, body string }

// A fake is a daemon that says what a test wants, behind a real Unix socket.
type fake struct {
	socket string
	asked  chan request
}

// serve starts a fake daemon; media serves what answers does not have.
func serve(t *testing.T, media http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{socket: filepath.Join(t.TempDir(), "s"), asked: make(chan request, 10)}
	f.listen(t, func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		body.ReadFrom(r.Body)
		f.asked <- request{r.Method + " " + r.URL.RequestURI(), body.String()}
		switch a := answers[r.Method+" "+r.URL.Path].(type) {
		case nil:
			media(w, r)
		case refusal:
			w.WriteHeader(a.Status)
			json.NewEncoder(w).Encode(a.Error)
		default:
			json.NewEncoder(w).Encode(a)
		}
	})
	return f
}

// listen serves on the fake's socket until the test ends.
func (f *fake) listen(t *testing.T, h http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
}

// noMedia is for tests in which there is none.
func noMedia(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// A result is what a run of the program did.
type result struct {
	status      int
	out, errOut string
}

// A runner runs the program against a fake daemon.
type runner struct {
	fake     *fake
	ctx      context.Context
	stdin    string
	terminal bool
	screen   bool
}

func (r runner) run(args ...string) result {
	var out, errOut bytes.Buffer
	p := program{
		stdin: strings.NewReader(r.stdin), stdout: &out, stderr: &errOut, zone: east, terminal: r.terminal, screen: r.screen, every: time.Millisecond,
		now: func() time.Time { return noon }, account: func() string { return "wang" },
		getenv: func(name string) string {
			if name == socketVariable && r.fake != nil {
				return r.fake.socket
			}
			return ""
		},
	}
	ctx := r.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	status := p.run(ctx, args)
	return result{status, out.String(), errOut.String()}
}

var (
	sps = []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	pps = []byte{0x68, 0xcb, 0x8c, 0xb2}
)

// clip is footage of n seconds, a fragment each.
func clip(n int) (head []byte, fragments [][]byte) {
	var b seekablebuffer.Buffer
	init := fmp4.Init{Tracks: []*fmp4.InitTrack{{ID: 1, TimeScale: 90000, Codec: &codecs.H264{SPS: sps, PPS: pps}}}}
	if err := init.Marshal(&b); err != nil {
		panic(err)
	}
	for i := range n {
		var f seekablebuffer.Buffer
		part := fmp4.Part{Tracks: []*fmp4.PartTrack{{ID: 1, BaseTime: uint64(i) * 90000, Samples: []*fmp4.Sample{
			{Duration: 90000, Payload: []byte{0, 0, 0, 3, 0x65, 1, 2}},
		}}}}
		if err := part.Marshal(&f); err != nil {
			panic(err)
		}
		fragments = append(fragments, f.Bytes())
	}
	return b.Bytes(), fragments
}
