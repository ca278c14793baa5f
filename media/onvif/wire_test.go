package onvif

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRequestsAreWhatTheServicesAskFor(t *testing.T) {
	const profile = `<tptz:ProfileToken>p&amp;0</tptz:ProfileToken>`
	const source = `<timg:VideoSourceToken>v&amp;0</timg:VideoSourceToken>`
	for name, tc := range map[string]struct {
		call func(context.Context, *Client) error
		path string
		want string
	}{
		"move": {func(ctx context.Context, c *Client) error {
			return c.ContinuousMove(ctx, "p&0", Vector{Pan: -0.5, Zoom: 1}, 1500*time.Millisecond)
		}, "/onvif/ptz", `<tptz:ContinuousMove>` + profile + `<tptz:Velocity><onvif:PanTilt x="-0.5" y="0"></onvif:PanTilt>` +
			`<onvif:Zoom x="1"></onvif:Zoom></tptz:Velocity><tptz:Timeout>PT1.5S</tptz:Timeout></tptz:ContinuousMove>`},
		"zoom only, default time": {func(ctx context.Context, c *Client) error {
			return c.ContinuousMove(ctx, "p&0", Vector{Zoom: 1e-7, Axes: ZoomAxis}, 0)
		}, "/onvif/ptz", `<tptz:ContinuousMove>` + profile +
			`<tptz:Velocity><onvif:Zoom x="0.0000001"></onvif:Zoom></tptz:Velocity><tptz:Timeout>PT5S</tptz:Timeout></tptz:ContinuousMove>`},
		"stop": {func(ctx context.Context, c *Client) error { return c.Stop(ctx, "p&0") }, "/onvif/ptz",
			`<tptz:Stop>` + profile + `<tptz:PanTilt>true</tptz:PanTilt><tptz:Zoom>true</tptz:Zoom></tptz:Stop>`},
		"absolute": {func(ctx context.Context, c *Client) error {
			return c.AbsoluteMove(ctx, "p&0", Vector{Pan: 1, Tilt: -1, Axes: PanTiltAxes})
		}, "/onvif/ptz", `<tptz:AbsoluteMove>` + profile + `<tptz:Position><onvif:PanTilt x="1" y="-1"></onvif:PanTilt></tptz:Position></tptz:AbsoluteMove>`},
		"relative": {func(ctx context.Context, c *Client) error {
			return c.RelativeMove(ctx, "p&0", Vector{Tilt: 0.1})
		}, "/onvif/ptz", `<tptz:RelativeMove>` + profile +
			`<tptz:Translation><onvif:PanTilt x="0" y="0.1"></onvif:PanTilt><onvif:Zoom x="0"></onvif:Zoom></tptz:Translation></tptz:RelativeMove>`},
		"goto": {func(ctx context.Context, c *Client) error { return c.GotoPreset(ctx, "p&0", "1") }, "/onvif/ptz",
			`<tptz:GotoPreset>` + profile + `<tptz:PresetToken>1</tptz:PresetToken></tptz:GotoPreset>`},
		"remove": {func(ctx context.Context, c *Client) error { return c.RemovePreset(ctx, "p&0", "1") }, "/onvif/ptz",
			`<tptz:RemovePreset>` + profile + `<tptz:PresetToken>1</tptz:PresetToken></tptz:RemovePreset>`},
		"wiper": {func(ctx context.Context, c *Client) error { return c.Auxiliary(ctx, "p&0", "tt:Wiper|On") }, "/onvif/ptz",
			`<tptz:SendAuxiliaryCommand>` + profile + `<tptz:AuxiliaryData>tt:Wiper|On</tptz:AuxiliaryData></tptz:SendAuxiliaryCommand>`},
		"focus": {func(ctx context.Context, c *Client) error { return c.MoveFocus(ctx, "v&0", -0.5) }, "/onvif/imaging",
			`<timg:Move>` + source + `<timg:Focus><onvif:Continuous><onvif:Speed>-0.5</onvif:Speed></onvif:Continuous></timg:Focus></timg:Move>`},
		"focus stops": {func(ctx context.Context, c *Client) error { return c.StopFocus(ctx, "v&0") }, "/onvif/imaging",
			`<timg:Stop>` + source + `</timg:Stop>`},
		"focus options": {func(ctx context.Context, c *Client) error { _, err := c.FocusSpeeds(ctx, "v&0"); return err }, "/onvif/imaging",
			`<timg:GetMoveOptions>` + source + `</timg:GetMoveOptions>`},
		"new preset": {func(ctx context.Context, c *Client) error {
			token, err := c.SetPreset(ctx, "p&0", Preset{})
			if token != "7" {
				t.Errorf("token %q", token)
			}
			return err
		}, "/onvif/ptz", `<tptz:SetPreset>` + profile + `</tptz:SetPreset>`},
		"old preset": {func(ctx context.Context, c *Client) error {
			_, err := c.SetPreset(ctx, "p&0", Preset{Token: "3", Name: "<gate>"})
			return err
		}, "/onvif/ptz", `<tptz:SetPreset>` + profile + `<tptz:PresetName>&lt;gate&gt;</tptz:PresetName><tptz:PresetToken>3</tptz:PresetToken></tptz:SetPreset>`},
		"reboot": {func(ctx context.Context, c *Client) error {
			m, err := c.Reboot(ctx)
			if m != "Rebooting in 30 seconds" {
				t.Errorf("message %q", m)
			}
			return err
		}, devicePath, `<tds:SystemReboot></tds:SystemReboot>`},
		"stream, ver20": {func(ctx context.Context, c *Client) error {
			_, err := c.StreamURI(ctx, Profile{Token: "p", Media2: true}, UDP)
			return err
		}, "/onvif/media2", `<tr2:GetStreamUri><tr2:Protocol>RtspUnicast</tr2:Protocol><tr2:ProfileToken>p</tr2:ProfileToken></tr2:GetStreamUri>`},
		"stream, ver10": {func(ctx context.Context, c *Client) error {
			_, err := c.StreamURI(ctx, Profile{Token: "p"}, HTTP)
			return err
		}, "/onvif/media", `<trt:GetStreamUri><trt:StreamSetup><onvif:Stream>RTP-Unicast</onvif:Stream><onvif:Transport><onvif:Protocol>HTTP</onvif:Protocol>` +
			`</onvif:Transport></trt:StreamSetup><trt:ProfileToken>p</trt:ProfileToken></trt:GetStreamUri>`},
		"group, ver20": {func(ctx context.Context, c *Client) error {
			_, err := c.StreamURI(ctx, Profile{Token: "p", Media2: true}, Multicast)
			return err
		}, "/onvif/media2", `<tr2:GetStreamUri><tr2:Protocol>RtspMulticast</tr2:Protocol><tr2:ProfileToken>p</tr2:ProfileToken></tr2:GetStreamUri>`},
		"group, ver10": {func(ctx context.Context, c *Client) error {
			_, err := c.StreamURI(ctx, Profile{Token: "p"}, Multicast)
			return err
		}, "/onvif/media", `<trt:GetStreamUri><trt:StreamSetup><onvif:Stream>RTP-Multicast</onvif:Stream><onvif:Transport><onvif:Protocol>UDP</onvif:Protocol>` +
			`</onvif:Transport></trt:StreamSetup><trt:ProfileToken>p</trt:ProfileToken></trt:GetStreamUri>`},
		"key frame, ver20": {func(ctx context.Context, c *Client) error {
			return c.KeyFrame(ctx, Profile{Token: "p", Media2: true})
		}, "/onvif/media2", `<tr2:SetSynchronizationPoint><tr2:ProfileToken>p</tr2:ProfileToken></tr2:SetSynchronizationPoint>`},
		"key frame, ver10": {func(ctx context.Context, c *Client) error {
			return c.KeyFrame(ctx, Profile{Token: "p"})
		}, "/onvif/media", `<trt:SetSynchronizationPoint><trt:ProfileToken>p</trt:ProfileToken></trt:SetSynchronizationPoint>`},
		"snapshot, ver10": {func(ctx context.Context, c *Client) error {
			_, err := c.SnapshotURI(ctx, Profile{Token: "p"})
			return err
		}, "/onvif/media", `<trt:GetSnapshotUri><trt:ProfileToken>p</trt:ProfileToken></trt:GetSnapshotUri>`},
		"snapshot, ver20": {func(ctx context.Context, c *Client) error {
			_, err := c.SnapshotURI(ctx, Profile{Token: "p", Media2: true})
			return err
		}, "/onvif/media2", `<tr2:GetSnapshotUri><tr2:ProfileToken>p</tr2:ProfileToken></tr2:GetSnapshotUri>`},
		"set time": {func(ctx context.Context, c *Client) error { return c.SetSystemDateAndTime(ctx) }, devicePath,
			`<tds:SetSystemDateAndTime><tds:DateTimeType>Manual</tds:DateTimeType><tds:DaylightSavings>false</tds:DaylightSavings>` +
				`<tds:TimeZone><onvif:TZ>CST-8</onvif:TZ></tds:TimeZone><tds:UTCDateTime><onvif:Time><onvif:Hour>5</onvif:Hour><onvif:Minute>6</onvif:Minute>` +
				`<onvif:Second>7</onvif:Second></onvif:Time><onvif:Date><onvif:Year>2024</onvif:Year><onvif:Month>2</onvif:Month><onvif:Day>29</onvif:Day></onvif:Date>` +
				`</tds:UTCDateTime></tds:SetSystemDateAndTime>`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, modern)
			c := f.client(t, func(cfg *Config) {
				cfg.Now = func() time.Time { return time.Date(2024, 2, 29, 13, 6, 7, 0, time.FixedZone("CST", 8*3600)) }
			})
			if err := tc.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			log := f.log()
			if diff := cmp.Diff(request{Op: log[len(log)-1].Op, Path: tc.path, Body: tc.want}, log[len(log)-1]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestImpossibleMovesAreNotSent(t *testing.T) {
	f := newFake(t, modern)
	c := f.client(t, nil)
	for _, v := range []Vector{{Pan: 1.01}, {Tilt: -2}, {Zoom: math.NaN()}, {Pan: math.Inf(1)}} {
		if c.ContinuousMove(t.Context(), "p", v, 0) == nil || c.AbsoluteMove(t.Context(), "p", v) == nil || c.RelativeMove(t.Context(), "p", v) == nil {
			t.Errorf("%+v was accepted", v)
		}
	}
	if c.ContinuousMove(t.Context(), "p", Vector{}, -1) == nil || f.ops() != "" {
		t.Errorf("sent %q", f.ops())
	}
}

func TestSpeedsOfTheFocusAreTheDevicesOwn(t *testing.T) {
	options := func(s string) string {
		return `<timg:GetMoveOptionsResponse><timg:MoveOptions>` + s + `</timg:MoveOptions></timg:GetMoveOptionsResponse>`
	}
	speed := func(low, high string) string {
		return options(`<tt:Continuous><tt:Speed><tt:Min>` + low + `</tt:Min><tt:Max>` + high + `</tt:Max></tt:Speed></tt:Continuous>`)
	}
	for name, tc := range map[string]struct {
		answer string
		want   FocusSpeeds
	}{
		"its own":    {speed("-7", "5.0"), FocusSpeeds{-7, 5}},
		"amounts":    {speed("1", "8"), FocusSpeeds{-8, 8}},
		"none told":  {speed("", "NaN"), FocusSpeeds{-1, 1}},
		"not so":     {options(`<tt:Absolute><tt:Position><tt:Min>0</tt:Min><tt:Max>1</tt:Max></tt:Position></tt:Absolute>`), FocusSpeeds{}},
		"not at all": {options(""), FocusSpeeds{}},
		"one side":   {speed("-3", "0"), FocusSpeeds{-3, 3}},
	} {
		f := newFake(t, modern)
		f.script["GetMoveOptions"] = soap(tc.answer)
		got, err := f.client(t, nil).FocusSpeeds(t.Context(), "v")
		if got != tc.want || err != nil {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, tc.want)
		}
	}
}

func TestStatusAndPresetsAreRead(t *testing.T) {
	c := newFake(t, modern).client(t, nil)
	status, err := c.Status(t.Context(), "p")
	if diff := cmp.Diff(PTZStatus{&Vector{Pan: 0.5, Tilt: -0.25, Zoom: 1}, "IDLE", "MOVING", ""}, status); diff != "" || err != nil {
		t.Error(diff, err)
	}
	presets, err := c.Presets(t.Context(), "p")
	want := []Preset{{"1", "gate", nil}, {"2", "yard", &Vector{Zoom: 0.1, Axes: ZoomAxis}}}
	if diff := cmp.Diff(want, presets); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestURIsArePinnedToTheDevice(t *testing.T) {
	f := newFake(t, modern)
	c := f.client(t, nil)
	port := f.URL[strings.LastIndexByte(f.URL, ':'):]
	services, err := c.Services(t.Context())
	want := Services{f.URL + devicePath, f.URL + "/onvif/media", f.URL + "/onvif/media2", f.URL + "/onvif/ptz", "", f.URL + "/onvif/imaging"}
	if services != want || err != nil {
		t.Errorf("%+v (port %s), %v", services, port, err)
	}
	if got, err := c.StreamURI(t.Context(), Profile{Token: "p", Media2: true}, TCP); got != "rtsp://127.0.0.1:8554/main?x=1&y=2" {
		t.Error(got, err)
	}
	if got, err := c.SnapshotURI(t.Context(), Profile{Token: "p", Media2: true}); got != "http://127.0.0.1/snap.jpg" {
		t.Error(got, err)
	}
	box := newFake(t, old).client(t, nil)
	if got, err := box.StreamURI(t.Context(), Profile{Token: "a"}, TCP); got != "rtsp://127.0.0.1/ch1" {
		t.Error(got, err)
	}
	if got, err := box.SnapshotURI(t.Context(), Profile{Token: "a"}); err == nil {
		t.Errorf("took %q", got)
	}
	if err := box.Stop(t.Context(), "a"); !errors.Is(err, ErrNoService) {
		t.Error(err)
	}
}

func TestServiceAddressesSurviveTranslation(t *testing.T) {
	for name, tc := range map[string]struct{ raw, base, seen, want string }{
		"same host keeps its port":      {"http://10.0.0.5:8080/media", "http://10.0.0.5/d", "http://10.0.0.5/d", "http://10.0.0.5:8080/media"},
		"other host is ours":            {"https://192.168.1.64:8443/m?a=b", "http://10.0.0.5/d", "http://192.168.1.64/d", "https://10.0.0.5:8443/m?a=b"},
		"port behind a translator":      {"http://192.168.1.64/m", "https://203.0.113.5:8081/d", "http://192.168.1.64/d", "https://203.0.113.5:8081/m"},
		"unknown view":                  {"http://192.168.1.64/m", "http://203.0.113.5:8081/d", "", "http://203.0.113.5/m"},
		"ipv6":                          {"http://[fe80::1]:81/m", "http://[2001:db8::5]/d", "", "http://[2001:db8::5]:81/m"},
		"ipv6 without port":             {"http://192.0.2.1/m", "http://[2001:db8::5]/d", "", "http://[2001:db8::5]/m"},
		"user is dropped":               {"http://a:b@10.0.0.5/m", "http://10.0.0.5/d", "", "http://10.0.0.5/m"},
		"name":                          {"http://camera.local/m", "http://10.0.0.5/d", "", "http://10.0.0.5/m"},
		"no host":                       {"/m", "http://10.0.0.5/d", "", ""},
		"other scheme":                  {"file://10.0.0.5/m", "http://10.0.0.5/d", "", ""},
		"other scheme, behind a router": {"gopher://192.168.1.64/m", "http://10.0.0.5/d", "gopher://192.168.1.64/d", ""},
		"no url":                        {"http://[::1/m", "http://10.0.0.5/d", "", ""},
		"too long":                      {"http://10.0.0.5/" + strings.Repeat("x", maxText), "http://10.0.0.5/d", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			base, _ := url.Parse(tc.base)
			var seen *url.URL
			if tc.seen != "" {
				seen, _ = url.Parse(tc.seen)
			}
			if got, err := pinService(tc.raw, base, seen); got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestAddressesPeopleWrite(t *testing.T) {
	for in, want := range map[string]string{
		"10.0.0.5":                "http://10.0.0.5/onvif/device_service",
		" 10.0.0.5:8080 ":         "http://10.0.0.5:8080/onvif/device_service",
		"cam.lan":                 "http://cam.lan/onvif/device_service",
		"2001:db8::1":             "http://[2001:db8::1]/onvif/device_service",
		"[2001:db8::1]:81":        "http://[2001:db8::1]:81/onvif/device_service",
		"https://10.0.0.5/":       "https://10.0.0.5/onvif/device_service",
		"http://10.0.0.5/other?a": "http://10.0.0.5/other?a",
	} {
		if got, err := parseAddress(in); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v, want %q", in, got, err, want)
		}
	}
}

func TestKeyPrefersWhatStays(t *testing.T) {
	for name, tc := range map[string]struct {
		d    Device
		want string
	}{
		"mac":              {Device{HardwareAddress: "02:00:00:00:00:01", Serial: "SN123", Endpoint: "urn:uuid:X"}, "mac:02:00:00:00:00:01"},
		"serial":           {Device{Manufacturer: " Acme ", Serial: "SN123", Endpoint: "urn:uuid:X"}, "serial:acme/sn123"},
		"short serial":     {Device{Serial: "12", Endpoint: "urn:uuid:AB-C"}, "uuid:ab-c"},
		"constant serial":  {Device{Serial: "00000000", Endpoint: "uuid:AB-C"}, "uuid:ab-c"},
		"nothing":          {Device{}, ""},
		"no endpoint left": {Device{Serial: "1111"}, ""},
	} {
		if got := tc.d.Key(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestHardwareAddressesHaveOneForm(t *testing.T) {
	for in, want := range map[string]string{
		"02:1A:2b:3c:4d:5e": "02:1a:2b:3c:4d:5e", "02-1a-2b-3c-4d-5e": "02:1a:2b:3c:4d:5e", "021A2B3C4D5E": "02:1a:2b:3c:4d:5e",
		" 021a.2b3c.4d5e ": "02:1a:2b:3c:4d:5e", "00:00:00:00:00:00": "", "ff:ff:ff:ff:ff:ff": "", "01:00:5e:00:00:01": "",
		"": "", "eth0": "", "02:1a:2b:3c:4d:5e:6f:70": "", "zzzzzzzzzzzz": "",
	} {
		if got := hardwareAddress(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	list := []NetworkInterface{{HardwareAddress: ""}, {HardwareAddress: "off"}, {HardwareAddress: "on", Enabled: true}}
	if mainAddress(list) != "on" || mainAddress(list[:2]) != "off" || mainAddress(nil) != "" {
		t.Error("an enabled interface comes first")
	}
}

func TestMainIsLargestAndSubIsSmallest(t *testing.T) {
	p := func(token, codec string, w, h, rate int) Profile {
		return Profile{Token: token, Video: Video{Codec: codec, Width: w, Height: h, Bitrate: rate}}
	}
	for name, tc := range map[string]struct {
		list      []Profile
		main, sub string
	}{
		"three":           {[]Profile{p("m", "H264", 1280, 720, 0), p("s", "H264", 320, 240, 0), p("l", "H265", 2560, 1440, 0)}, "l", "s"},
		"bitrate decides": {[]Profile{p("a", "H264", 640, 480, 500), p("b", "H264", 640, 480, 900)}, "b", "a"},
		"order decides":   {[]Profile{p("a", "H264", 640, 480, 1), p("b", "H264", 640, 480, 1)}, "a", "b"},
		"jpeg is no main": {[]Profile{p("j", "JPEG", 9999, 9999, 0), p("h", "H264", 640, 480, 0)}, "h", ""},
		"only jpeg":       {[]Profile{p("j", "JPEG", 640, 480, 0), p("k", "JPEG", 1280, 720, 0)}, "k", "j"},
		"absurd":          {[]Profile{p("a", "H264", math.MaxInt32, math.MaxInt32, 0), p("b", "H264", 1, 1, 0)}, "a", "b"},
	} {
		got := channels(tc.list)
		if len(got) != 1 || got[0].Main.Token != tc.main || got[0].Sub.Token != tc.sub {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestImpossibleClockIsRefused(t *testing.T) {
	for name, change := range map[string][2]string{
		"month 13": {"%O%", "13"}, "no year": {"%Y%", ""}, "year 9999": {"%Y%", "9999"}, "hour -1": {"%H%", "24"},
		"no utc": {"UTCDateTime", "LocalDateTime"}, "words": {"%D%", "today"},
	} {
		f := newFake(t, modern)
		f.script["GetSystemDateAndTime"] = strings.ReplaceAll(f.script["GetSystemDateAndTime"], change[0], change[1])
		if got, err := f.client(t, nil).SystemDateAndTime(t.Context()); !errors.Is(err, ErrNotONVIF) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	f := newFake(t, modern)
	f.script["GetSystemDateAndTime"] = strings.Replace(f.script["GetSystemDateAndTime"], "%Y%", "0", 1)
	if err := f.client(t, nil).SetSystemDateAndTime(t.Context()); err != nil {
		t.Errorf("a clock that was never set cannot be set: %v", err)
	}
}

func TestMedia2WithoutVideoFallsBackToMedia(t *testing.T) {
	for name, text := range map[string]string{
		"fault": strings.Replace(faultText, "%s", "ter:ActionNotSupported", 1),
		"empty": soap(`<tr2:GetProfilesResponse/>`),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, modern)
			f.script["GetProfiles"] = old["GetProfiles"]
			f.raw = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/onvif/media2" {
					w.Write([]byte(text))
				}
				return r.URL.Path == "/onvif/media2"
			}
			got, err := f.client(t, nil).Profiles(t.Context())
			if err != nil || len(got) != 3 || got[0].Media2 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestEveryBodyIsClosed(t *testing.T) {
	for name, resp := range map[string]http.Response{
		"good":       {StatusCode: 200},
		"challenge":  {StatusCode: 401, Header: http.Header{"Www-Authenticate": {`Digest realm=r, nonce=n, stale=true`}}},
		"redirect":   {StatusCode: 302, Header: http.Header{"Location": {"http://192.0.2.9/"}}},
		"compressed": {StatusCode: 200, Header: http.Header{"Content-Encoding": {"gzip"}}},
		"large":      {StatusCode: 200, ContentLength: maxBody + 1},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &counting{resp: resp}
			c, err := New(Config{Address: "192.0.2.1", User: "u", Transport: tr})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.DeviceInformation(t.Context())
			if tr.opened == 0 || tr.opened != tr.closed || (err == nil) != (name == "good") {
				t.Errorf("%d bodies, %d closed, %v", tr.opened, tr.closed, err)
			}
		})
	}
}

// counting answers every request alike and counts the bodies closed.
type counting struct {
	resp           http.Response
	opened, closed int
}

func (c *counting) RoundTrip(*http.Request) (*http.Response, error) {
	resp := c.resp
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	c.opened++
	resp.Body = body{strings.NewReader(modern["GetDeviceInformation"]), c}
	return &resp, nil
}

type body struct {
	io.Reader
	c *counting
}

func (b body) Close() error { b.c.closed++; return nil }

func TestUsernameTokenVector(t *testing.T) { // ONVIF Application Programmer's Guide, §6.1.1.3
	nonce, err := decodeBase64("LKqI6G/AikKCQrN0zqZFlg==")
	if err != nil {
		t.Fatal(err)
	}
	if got := passwordDigest(nonce, "2010-09-16T07:50:45Z", "userpassword"); got != "tuOSpGlFlIXsozq4HFNeeGeFLEI=" {
		t.Error(got)
	}
}

func TestSilentDeviceEndsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Address: "192.0.2.1", Transport: silence{}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err = c.Identify(t.Context())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// silence accepts a request and never answers it.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
