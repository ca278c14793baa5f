package encoder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/icholy/digest"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/encodersim/internal/discovery"
	"districtgateway/cmd/encodersim/internal/onvifserver"
)

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 20 * time.Second

// loopback takes free ports.
func loopback() Addresses { return Addresses{HTTP: "127.0.0.1:0", RTSP: "127.0.0.1:0"} }

// builtin is the built-in clip.
func builtin(t *testing.T, c clip.Coding) Library {
	t.Helper()
	var l Library
	for i := range l.H264 {
		var errs [2]error
		l.H264[i], errs[0] = clip.Pattern(false, i == 1)
		l.H265[i], errs[1] = clip.Pattern(true, i == 1)
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if l.Audio, err = clip.Tone(c); err != nil {
		t.Fatal(err)
	}
	return l
}

// start runs an encoder on loopback for the length of a test.
func start(t *testing.T, change func(*Config)) *Encoder {
	t.Helper()
	cfg := Config{
		Identity: onvifserver.Identity{Name: "gate", Hardware: "SIM", Manufacturer: "m", Model: "x"},
		User:     "admin", Password: "secret", Listen: loopback(),
		PTZ: true, KeyOnPlay: true, Library: builtin(t, clip.PCMA), Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, nil) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	return e
}

func TestReaderGetsEveryPictureOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		h265     bool
		coding   clip.Coding
		path     string
		protocol gortsplib.Protocol
	}{
		"H.264 and G.711 over TCP": {false, clip.PCMA, "main", gortsplib.ProtocolTCP},
		"H.264 and AAC over UDP":   {false, clip.AAC, "main", gortsplib.ProtocolUDP},
		"H.265 and AAC over TCP":   {true, clip.AAC, "main", gortsplib.ProtocolTCP},
		"H.265 sub over UDP":       {true, clip.PCMA, "sub", gortsplib.ProtocolUDP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := start(t, func(c *Config) { c.H265, c.Library = tc.h265, builtin(t, tc.coding) })
			v := watch(t, e, tc.path, tc.protocol)
			last := v.next(t)
			if !last.key || len(last.params) != 1 {
				t.Errorf("the first picture is no key picture: %+v", last)
			}
			for range 60 { // past a key picture
				f := v.next(t)
				if f.number != last.number+1 || f.rtp-last.rtp != 3600 {
					t.Fatalf("picture %d at %d after %d at %d", f.number, f.rtp, last.number, last.rtp)
				}
				if late := time.Since(f.sent); late < 0 || late > patience {
					t.Errorf("sent %s ago", late)
				}
				last = f
			}
			checkSound(t, v, tc.coding)
			select {
			case sr := <-v.report:
				if got := time.Since(sr2time(sr)).Abs(); got > patience {
					t.Errorf("sender report is %s off", got)
				}
			case <-time.After(patience):
				t.Error("no sender report")
			}
		})
	}
}

// sr2time reads the 64-bit NTP time of a report (RFC 3550 section 4).
func sr2time(sr *rtcp.SenderReport) time.Time {
	const to1970 = 2208988800
	return time.Unix(int64(sr.NTPTime>>32)-to1970, 0)
}

func checkSound(t *testing.T, v *viewer, c clip.Coding) {
	t.Helper()
	step := map[clip.Coding]uint32{clip.PCMA: 320, clip.AAC: 1024}[c]
	last := <-v.sound
	for range 20 {
		p := <-v.sound
		if p.Timestamp-last.Timestamp != step || p.SequenceNumber != last.SequenceNumber+1 {
			t.Fatalf("sound %d at %d after %d at %d", p.SequenceNumber, p.Timestamp, last.SequenceNumber, last.Timestamp)
		}
		last = p
	}
}

func TestWrongPasswordGetsNoStream(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	watch(t, e, "main", gortsplib.ProtocolTCP) // it is up
	e.SetPassword("changed")
	u := address(t, e, "main", "secret")
	c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := c.Describe(u); err == nil {
		t.Error("the old password still works")
	}
}

func TestUnknownPathIsNotFound(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	watch(t, e, "main", gortsplib.ProtocolTCP)
	u := address(t, e, "other", "secret")
	c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, res, err := c.Describe(u); err == nil || res == nil || res.StatusCode != base.StatusNotFound {
		t.Errorf("DESCRIBE: %v, %v", res, err)
	}
}

func TestTalkIsCountedAndRecorded(t *testing.T) {
	t.Parallel()
	var heard lockedBuffer
	e := start(t, func(c *Config) { c.Talk = &heard })
	v := watch(t, e, "main", gortsplib.ProtocolTCP)
	i := slices.IndexFunc(v.desc.Medias, func(m *description.Media) bool { return m.IsBackChannel })
	if i < 0 {
		t.Fatal("no back-channel is described")
	}
	for n := range uint16(10) {
		if n == 4 {
			continue // lost
		}
		err := v.WritePacketRTP(v.desc.Medias[i], &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: 8, SequenceNumber: 100 + n, Timestamp: 160 * uint32(n)},
			Payload: bytes.Repeat([]byte{byte(n)}, 160),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	until(t, "talk is heard", func() bool { return e.State().Talk.Packets == 9 })
	talk := e.State().Talk
	if talk.Bytes != 9*160 || talk.Lost != 1 || talk.Last.IsZero() {
		t.Errorf("%+v", talk)
	}
	if got := heard.bytes(); len(got) != 9*160 || got[159] != 0 || got[160] != 1 {
		t.Errorf("%d bytes recorded", len(got))
	}
}

// A lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, p...)
	return len(p), nil
}

func (l *lockedBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.b)
}

// until polls for what another process's state would be polled for.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("%s: never", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestCodecSwitchClosesSessionsAndDescribesAnew(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "main", gortsplib.ProtocolTCP)
	before := v.next(t)
	if err := e.SwitchCodec(); err != nil {
		t.Fatal(err)
	}
	if err := v.Wait(); err == nil {
		t.Error("the session was not closed")
	}
	again := watch(t, e, "main", gortsplib.ProtocolTCP)
	var h265 *format.H265
	if again.desc.FindFormat(&h265) == nil {
		t.Fatal("H.265 is not described")
	}
	if f := again.next(t); !f.key || f.number <= before.number {
		t.Errorf("first H.265 picture %+v after %d", f, before.number)
	}
	if p := e.profiles()[0]; !p.H265 {
		t.Errorf("ONVIF tells %+v", p)
	}
}

func TestSizeSwitchStaysInTheSession(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "main", gortsplib.ProtocolTCP)
	first := v.next(t)
	if err := e.SwitchSize(); err != nil {
		t.Fatal(err)
	}
	last := first
	for {
		f := v.next(t)
		if f.number != last.number+1 || f.rtp-last.rtp != 3600 {
			t.Fatalf("picture %d at %d after %d at %d", f.number, f.rtp, last.number, last.rtp)
		}
		last = f
		if f.key && !bytes.Equal(f.params[0], first.params[0]) {
			break
		}
	}
	if p := e.profiles()[0]; p.Width != 320 {
		t.Errorf("ONVIF tells %+v", p)
	}
}

func TestTimestampsJump(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "sub", gortsplib.ProtocolTCP)
	last := v.next(t)
	e.Jump(10 * time.Second)
	for {
		f := v.next(t)
		if step := f.rtp - last.rtp; step == 3600+900000 {
			return
		} else if step != 3600 {
			t.Fatalf("timestamps step by %d", step)
		}
		last = f
	}
}

func TestClockFaultShowsInReports(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "sub", gortsplib.ProtocolTCP)
	e.Skew(24 * time.Hour)
	for {
		select {
		case sr := <-v.report:
			if ahead := time.Until(sr2time(sr)); ahead > 23*time.Hour && ahead < 25*time.Hour {
				return
			}
		case <-time.After(patience):
			t.Fatal("no report tells the wrong time")
		}
	}
}

func TestLossLosesPictures(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "main", gortsplib.ProtocolUDP)
	last := v.next(t)
	e.Lose(100, 200*time.Millisecond)
	for {
		f := v.next(t)
		if f.number > last.number+1 {
			return
		}
		last = f
	}
}

func TestRebootComesBackAtTheSameAddress(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "main", gortsplib.ProtocolTCP)
	before, onvif, target := v.next(t), e.ONVIF(), e.Target()
	var again *viewer
	e.Reboot(50 * time.Millisecond)
	if err := v.Wait(); err == nil {
		t.Error("the session survived")
	}
	until(t, "it is back", func() (ok bool) {
		v, err := tryWatch(t, e, "main", gortsplib.ProtocolTCP)
		if err == nil {
			again = v
		}
		return err == nil
	})
	f := again.next(t)
	if f.number <= before.number || !f.key {
		t.Errorf("first picture %+v after %d", f, before.number)
	}
	if e.ONVIF() != onvif || e.Target().UUID != target.UUID || e.Target().Instance <= target.Instance {
		t.Errorf("came back as %+v at %s", e.Target(), e.ONVIF())
	}
}

func TestRebootIsAnnounced(t *testing.T) {
	t.Parallel()
	e, err := New(Config{
		User: "a", Password: "b", Listen: loopback(), Library: builtin(t, clip.PCMA), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan bool, 2)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx, func(_ *discovery.Target, up bool) { told <- up }) }()
	e.Reboot(0)
	if <-told || !<-told {
		t.Error("want bye, then hello")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestONVIFRebootsAndControlTells(t *testing.T) {
	t.Parallel()
	e := start(t, func(c *Config) { c.RebootTime = 10 * time.Millisecond })
	watch(t, e, "main", gortsplib.ProtocolTCP).next(t)
	instance := e.Target().Instance
	client := &http.Client{Transport: &digest.Transport{Username: "admin", Password: "secret"}, Timeout: patience}
	res, err := client.Post(e.ONVIF(), "application/soap+xml", strings.NewReader(
		`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><SystemReboot xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	until(t, "it rebooted", func() bool { return e.Target().Instance > instance && e.Up() })
}

func TestControlEndpoint(t *testing.T) {
	t.Parallel()
	e := start(t, nil)
	v := watch(t, e, "main", gortsplib.ProtocolTCP)
	v.next(t)
	srv := httptest.NewServer(Control([]*Encoder{e}))
	defer srv.Close()
	var state struct{ Encoders []State }
	get(t, srv.URL+"/state", &state)
	s := state.Encoders[0]
	if len(s.Sessions) != 1 || !s.Sessions[0].Playing || s.Sessions[0].Transport != "TCP" || s.Pictures["main"] == 0 || s.PTZ == nil || s.MAC == "" {
		t.Errorf("state %+v", s)
	}
	for path, want := range map[string]int{
		"/fault/silence?for=1ms": 200, "/fault/clock?off=-1h": 200, "/fault/none": 200, "/fault/loss?percent=0": 200,
		"/fault/size?encoder=1": 200, "/fault/timestamp?jump=1s": 200, "/fault/password": 200,
		"/fault/silence?for=x": 400, "/fault/clock": 400, "/fault/loss?percent=101": 400, "/fault/loss": 400,
		"/fault/fire": 400, "/fault/size?encoder=2": 400, "/fault/silence?for=48h": 400, "/state": 405,
	} {
		res, err := http.Post(srv.URL+path, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	if _, password := e.credentials(); password == "secret" {
		t.Error("the password is the old one")
	}
}

func get(t *testing.T, url string, into any) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

func TestNothingElseToShowIsAConflict(t *testing.T) {
	t.Parallel()
	e := start(t, func(c *Config) {
		c.Library.H264[1] = c.Library.H264[0] // as with a file
		c.Library.H265 = [2]*clip.Video{}
	})
	for _, fault := range []string{"size", "codec"} {
		if err := e.Inject(fault, url.Values{}); !errors.Is(err, ErrNoOther) {
			t.Errorf("%s: %v", fault, err)
		}
	}
}

func TestIdentityFollowsFromSerial(t *testing.T) {
	e, err := New(Config{
		Identity: onvifserver.Identity{Serial: "S1"}, User: "a", Password: "b",
		Listen: Addresses{HTTP: "0.0.0.0:0", RTSP: "127.0.0.1:0"}, Library: builtin(t, clip.PCMA),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if mac := e.Identity().MAC; len(mac) != 17 || !strings.HasPrefix(mac, "02:") {
		t.Errorf("MAC %q", mac)
	}
	if e.Target().Host != "" || !strings.HasPrefix(e.ONVIF(), "http://127.0.0.1:") {
		t.Errorf("listening on all addresses: %q, %s", e.Target().Host, e.ONVIF())
	}
}

func TestEncoderWantsCredentials(t *testing.T) {
	if _, err := New(Config{User: "admin", Listen: loopback()}); err == nil {
		t.Error("no password was accepted")
	}
}
