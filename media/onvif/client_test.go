package onvif

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"districtgateway/media/digest"
)

func TestIdentifyTellsVendorsApart(t *testing.T) {
	for name, tc := range map[string]struct {
		script map[string]string
		want   Device
		key    string
	}{
		"modern dome": {modern, Device{
			HardwareAddress: "02:1a:2b:3c:4d:5e", Serial: "AC2024-0001", Manufacturer: "Acme", Model: "Dome 4K", Firmware: "V1.2.3", PTZ: true,
			Channels: []Channel{{
				"src1",
				Profile{"p0", "main", "src1", Video{"H265", 3840, 2160, 25, 8192, 0}, Audio{"AAC", 64, 48000}, "ptz0", true},
				Profile{"p1", "sub", "src1", Video{"H264", 640, 360, 12.5, 512, 50}, Audio{}, "", true},
				"p0",
			}},
		}, "mac:02:1a:2b:3c:4d:5e"},
		"old box": {old, Device{
			Serial: "SN-77", Manufacturer: "Old & Sons", Model: "E2", Firmware: "1",
			Channels: []Channel{
				{"in1", Profile{"a", "one", "in1", Video{"H264", 704, 576, 25, 1024, 25}, Audio{"G711", 64, 8000}, "", false}, Profile{}, ""},
				{"in2", Profile{"b", "two", "in2", Video{Codec: "MPEG4", Width: 352, Height: 288}, Audio{}, "", false}, Profile{}, ""},
			},
		}, "serial:old & sons/sn-77"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, tc.script)
			f.auth, f.skew = "SHA-256", 24*time.Hour
			got, err := f.client(t, nil).Identify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			tc.want.XAddr, tc.want.Endpoint = f.URL+devicePath, "urn:uuid:E1"
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(Device{}, "Skew")); diff != "" {
				t.Error(diff)
			}
			if off := (got.Skew - f.skew).Abs(); off > 5*time.Second {
				t.Errorf("skew %v, want a day", got.Skew)
			}
			if got.Key() != tc.key || got.Main().Token != tc.want.Channels[0].Main.Token || got.Sub().Token != tc.want.Channels[0].Sub.Token {
				t.Errorf("key %q main %q sub %q", got.Key(), got.Main().Token, got.Sub().Token)
			}
		})
	}
}

func TestProfileThatMovesNeedNotBeTheMainOne(t *testing.T) {
	profile := func(token, codec string, width int, ptz string) Profile {
		return Profile{Token: token, Source: "s", Video: Video{Codec: codec, Width: width, Height: 1}, PTZ: ptz}
	}
	for name, tc := range map[string]struct {
		list []Profile
		want string
	}{
		"main":        {[]Profile{profile("sub", "H264", 640, "h"), profile("main", "H264", 3840, "h")}, "main"},
		"sub alone":   {[]Profile{profile("main", "H264", 3840, ""), profile("sub", "H264", 640, "h")}, "sub"},
		"the middle":  {[]Profile{profile("main", "H264", 3840, ""), profile("mid", "H264", 1920, "h"), profile("sub", "H264", 640, "")}, "mid"},
		"never taken": {[]Profile{profile("jpeg", "JPEG", 7680, "h"), profile("main", "H264", 3840, "")}, "jpeg"},
		"none":        {[]Profile{profile("main", "H264", 3840, "")}, ""},
	} {
		all := channels(tc.list)
		if len(all) != 1 || all[0].Moves != tc.want {
			t.Errorf("%s: %+v, want %q", name, all, tc.want)
		}
	}
}

func TestDeviceThatOnlySpeaksHasNoChannels(t *testing.T) {
	f := newFake(t, old)
	f.script["GetCapabilities"] = plain(`<GetCapabilitiesResponse/>`)
	d, err := f.client(t, nil).Identify(t.Context())
	if err != nil || len(d.Channels) != 0 || d.Main().Token != "" || d.Sub().Token != "" || d.Model != "E2" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestAuthenticationFollowsTheDevice(t *testing.T) {
	for name, tc := range map[string]struct {
		auth   string
		status int // of faults
		skew   time.Duration
		ops    string // of DeviceInformation twice
	}{
		"open":           {"", 400, 0, "GetDeviceInformation GetDeviceInformation"},
		"md5":            {"MD5", 400, 0, "GetDeviceInformation GetDeviceInformation GetDeviceInformation"},
		"sha-256":        {"SHA-256", 400, 0, "GetDeviceInformation GetDeviceInformation GetDeviceInformation"},
		"token, 400":     {"token", 400, 0, "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"token, 500":     {"token", 500, 0, "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"token, 200":     {"token", 200, 0, "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"token, 401":     {"token", 401, 0, "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"a day ahead":    {"token", 400, 24 * time.Hour, "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"a decade late":  {"token", 400, -87600 * time.Hour, "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"both kinds":     {"MD5+token", 400, 0, "GetDeviceInformation GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
		"both, long off": {"SHA-256+token", 500, -time.Hour, "GetDeviceInformation GetDeviceInformation GetSystemDateAndTime GetDeviceInformation GetDeviceInformation"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, modern)
			f.auth, f.status, f.skew = tc.auth, tc.status, tc.skew
			c := f.client(t, nil)
			for range 2 {
				if info, err := c.DeviceInformation(t.Context()); err != nil || info.Model != "Dome 4K" || info.HardwareID != "88" {
					t.Fatalf("%+v, %v", info, err)
				}
			}
			if got := f.ops(); got != tc.ops {
				t.Errorf("asked %q, want %q", got, tc.ops)
			}
		})
	}
}

func TestWrongPasswordIsToldSoonAndWithoutGuessing(t *testing.T) {
	for name, tc := range map[string]struct {
		auth     string
		user     string
		password digest.Secret
		most     int // requests that carry an answer
	}{
		"md5":          {"MD5", fakeUser, "wrong", 1},
		"sha-256":      {"SHA-256", fakeUser, "wrong", 1},
		"token":        {"token", fakeUser, "wrong", 1},
		"wrong user":   {"token", "guest", fakePassword, 1},
		"no user":      {"token", "", "", 0},
		"no user, md5": {"MD5", "", "", 0},
		"basic only":   {"basic", fakeUser, fakePassword, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, modern)
			f.auth = tc.auth
			answers := 0
			f.raw = func(_ http.ResponseWriter, r *http.Request) bool {
				if a := r.Header.Get("Authorization"); a != "" {
					answers++
				}
				if strings.HasPrefix(r.Header.Get("Authorization"), "Basic") {
					t.Error("password given away")
				}
				return false
			}
			c := f.client(t, func(cfg *Config) { cfg.User, cfg.Password = tc.user, tc.password })
			_, err := c.DeviceInformation(t.Context())
			if !errors.Is(err, ErrUnauthorized) {
				t.Fatal(err)
			}
			for _, r := range f.log() {
				if r.Token {
					answers++
				}
			}
			if answers > tc.most {
				t.Errorf("%d answers, want %d at most: accounts lock", answers, tc.most)
			}
			if strings.Contains(err.Error(), "wrong") {
				t.Error("the password is in the error")
			}
		})
	}
}

func TestClockIsMeasuredAgainWhenTheTokenIsRefused(t *testing.T) {
	f := newFake(t, modern)
	f.auth = "token"
	ahead := time.Duration(0)
	c := f.client(t, func(cfg *Config) { cfg.Now = func() time.Time { return time.Now().Add(ahead) } })
	if _, err := c.DeviceInformation(t.Context()); err != nil {
		t.Fatal(err)
	}
	ahead = 5 * time.Minute // our clock was stepped; the skew is stale now
	if _, err := c.DeviceInformation(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "GetDeviceInformation GetSystemDateAndTime GetDeviceInformation " +
		"GetDeviceInformation GetSystemDateAndTime GetDeviceInformation"
	if got := f.ops(); got != want {
		t.Errorf("asked %q, want %q", got, want)
	}
}

func TestHiddenClockIsReadFromTheDateHeader(t *testing.T) {
	f := newFake(t, modern)
	f.auth, f.skew = "token", -48*time.Hour
	f.script["GetSystemDateAndTime"] = strings.Replace(faultText, "%s", "ter:NotAuthorized", 1)
	f.raw = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Date", time.Now().Add(f.skew).UTC().Format(http.TimeFormat))
		return false
	}
	if _, err := f.client(t, nil).DeviceInformation(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFaultsAreTyped(t *testing.T) {
	const head = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><e:Fault>`
	const tail = `</e:Fault></e:Body></e:Envelope>`
	for name, tc := range map[string]struct {
		text string
		want Fault
		auth bool
	}{
		"1.2": {strings.Replace(faultText, "%s", "ter:InvalidArgVal", 1), Fault{"Sender", "InvalidArgVal", "go away"}, false},
		"1.2 nested": {head + `<e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ter:InvalidArgVal</e:Value><e:Subcode><e:Value>ter:NoProfile</e:Value>
</e:Subcode></e:Subcode></e:Code>` + tail, Fault{"Sender", "InvalidArgVal/NoProfile", ""}, false},
		"1.1":            {head + `<faultcode>e:Server</faultcode><faultstring>busy</faultstring>` + tail, Fault{"Server", "", "busy"}, false},
		"1.1 wsse":       {head + `<faultcode>wsse:FailedAuthentication</faultcode>` + tail, Fault{"FailedAuthentication", "", ""}, true},
		"only in reason": {head + `<e:Code><e:Value>x:Sender</e:Value></e:Code><e:Reason><e:Text>Sender Not Authorized</e:Text></e:Reason>` + tail, Fault{"Sender", "", "Sender Not Authorized"}, true},
		"empty":          {head + tail, Fault{}, false},
	} {
		for _, status := range []int{200, 400, 500} {
			t.Run(name+" "+strconv.Itoa(status), func(t *testing.T) {
				f := newFake(t, nil)
				f.raw = func(w http.ResponseWriter, _ *http.Request) bool {
					w.WriteHeader(status)
					w.Write([]byte(tc.text))
					return true
				}
				_, err := f.client(t, func(cfg *Config) { cfg.User = "" }).DeviceInformation(t.Context())
				got, ok := errors.AsType[*Fault](err)
				if !ok || *got != tc.want || errors.Is(err, ErrUnauthorized) != tc.auth {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

func TestHostilePeersAreErrors(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("followed a redirect") }))
	t.Cleanup(elsewhere.Close)
	good := modern["GetDeviceInformation"]
	write := func(status int, s string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); w.Write([]byte(s)) }
	}
	for name, tc := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   error
	}{
		"silent":        {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, context.DeadlineExceeded},
		"web page":      {write(200, "<!DOCTYPE html><html><body>Login<br></body></html>"), ErrNotONVIF},
		"xhtml":         {write(200, "<html/>"), ErrNotONVIF},
		"empty":         {write(200, ""), ErrNotONVIF},
		"404":           {write(404, "not found"), ErrNotONVIF},
		"500":           {write(500, "oops"), ErrNotONVIF},
		"cut off":       {write(200, good[:len(good)/2]), ErrNotONVIF},
		"other answer":  {write(200, modern["GetServices"]), ErrNotONVIF},
		"empty body":    {write(200, soap("")), ErrNotONVIF},
		"500 with body": {write(500, good), ErrNotONVIF},
		"entity bomb":   {write(200, `<!DOCTYPE a [<!ENTITY b "cccc">]>`+good), ErrNotONVIF},
		"instruction":   {write(200, `<?php boom ?>`+good), ErrNotONVIF},
		"deep":          {write(200, soap(strings.Repeat("<a>", 100)+strings.Repeat("</a>", 100))), ErrNotONVIF},
		"utf-16":        {write(200, "\xff\xfe<\x00a\x00/\x00>\x00"), ErrNotONVIF},
		"odd charset":   {write(200, strings.Replace(good, "UTF-8", "EBCDIC", 1)), ErrNotONVIF},
		"forbidden":     {write(403, "no"), ErrUnauthorized},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, ErrRedirect},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(gzipped(good))
		}, ErrEncoding},
		"says it is big": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "99999999") }, ErrTooLarge},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for b := make([]byte, 1<<16); ; {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, nil)
			f.raw = func(w http.ResponseWriter, r *http.Request) bool { tc.answer(w, r); return true }
			c := f.client(t, func(cfg *Config) {
				cfg.User = ""
				if tc.want == context.DeadlineExceeded {
					cfg.Timeout = 20 * time.Millisecond
				}
			})
			if _, err := c.DeviceInformation(t.Context()); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestCancelledCallReturnsItsContextsError(t *testing.T) {
	f := newFake(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	f.raw = func(_ http.ResponseWriter, r *http.Request) bool { cancel(); <-r.Context().Done(); return true }
	if _, err := f.client(t, nil).Identify(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestSelfSignedCertificateOnlyWhenInsecure(t *testing.T) {
	f := newFake(t, modern)
	tls := httptest.NewUnstartedServer(f)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0) // the refused handshake
	tls.StartTLS()
	t.Cleanup(tls.Close)
	for _, insecure := range []bool{false, true} {
		c := f.client(t, func(cfg *Config) { cfg.Address, cfg.Insecure = tls.URL, insecure })
		if _, err := c.DeviceInformation(t.Context()); (err == nil) != insecure {
			t.Errorf("insecure %v: %v", insecure, err)
		}
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for _, cfg := range []Config{{Address: "ftp://h/"}, {Address: "http://u:secret@h/"}, {Address: "http://%zz/"}, {}, {Address: "h", Timeout: -1}} {
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", cfg.Address, err)
		}
	}
}
