package onvifserver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	testUser     = "admin"
	testPassword = "opensesame"
)

// A device is a Server with settings that tests change.
type device struct {
	*Server
	skew    atomic.Int64
	reboots atomic.Int64
}

func (d *device) clock() time.Time { return time.Now().Add(time.Duration(d.skew.Load())) }

// newDevice makes a device with PTZ and two profiles, sub being H.265.
func newDevice() *device {
	d := &device{}
	d.Server = New(Config{
		Identity:    Identity{Name: "Gate <1>", Manufacturer: "M & M", Model: "X", Firmware: "1", Serial: "S1", Hardware: "H", MAC: "02:00:00:00:00:01"},
		Scopes:      []string{"onvif://www.onvif.org/name/Gate"},
		Credentials: func() (string, string) { return testUser, testPassword },
		Profiles: func() []Profile {
			return []Profile{
				{Token: "main", Width: 640, Height: 360, FPS: 25, Group: 50, Kbps: 430, Sound: &Sound{Law: "PCMA", Rate: 8000, Kbps: 64}},
				{Token: "sub", Width: 320, Height: 180, FPS: 25, Group: 50, Kbps: 100, H265: true},
			}
		},
		RTSPPort: 8554, PTZ: true, Clock: d.clock,
		SetClock: func(t time.Time) {
			d.skew.Store(0)
			if !t.IsZero() {
				d.skew.Store(int64(time.Until(t)))
			}
		},
		Reboot: func() { d.reboots.Add(1) },
		Log:    slog.New(slog.DiscardHandler),
	})
	return d
}

// call posts a body to a service without credentials over HTTP, with header as
// the SOAP header.
func call(h http.Handler, header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, pathDevice, strings.NewReader(wrap(header, body)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func wrap(header, body string) string {
	return `<s:Envelope xmlns:s="` + nsEnvelope + `" xmlns:tds="` + nsDevice + `" xmlns:trt="` + nsMedia + `" xmlns:tr2="` + nsMedia2 +
		`" xmlns:tptz="` + nsPTZ + `" xmlns:timg="` + nsImaging + `" xmlns:tt="` + nsSchema + `"><s:Header>` + header + `</s:Header><s:Body>` + body + `</s:Body></s:Envelope>`
}

// ask makes an authorised call and returns the answer's body element.
func (d *device) ask(t *testing.T, body string) (*element, int) {
	t.Helper()
	w := call(d, usernameToken(d.clock(), testUser, testPassword), body)
	doc, err := parseXML(w.Body)
	if err != nil {
		t.Fatalf("%s: answer: %v", body, err)
	}
	return doc.kid("Body").kids[0], w.Code
}

// subcodes lists a fault's codes, outermost first.
func subcodes(fault *element) []string {
	var list []string
	for c := fault.kid("Code"); c != nil; c = c.kid("Subcode") {
		list = append(list, c.value("Value"))
	}
	return list
}

func TestAnswersSayWhatTheDeviceIs(t *testing.T) {
	d := newDevice()
	for name, tc := range map[string]struct {
		body string
		path []string
		want string
	}{
		"maker":      {`<tds:GetDeviceInformation/>`, []string{"Manufacturer"}, "M & M"},
		"serial":     {`<tds:GetDeviceInformation/>`, []string{"SerialNumber"}, "S1"},
		"MAC":        {`<tds:GetNetworkInterfaces/>`, []string{"NetworkInterfaces", "Info", "HwAddress"}, "02:00:00:00:00:01"},
		"scope":      {`<tds:GetScopes/>`, []string{"Scopes", "ScopeItem"}, "onvif://www.onvif.org/name/Gate"},
		"host name":  {`<tds:GetHostname/>`, []string{"HostnameInformation", "Name"}, "Gate <1>"},
		"media":      {`<tds:GetCapabilities><tds:Category>Media</tds:Category></tds:GetCapabilities>`, []string{"Capabilities", "Media", "XAddr"}, "http://127.0.0.1:80/onvif/media_service"},
		"services":   {`<tds:GetServices><tds:IncludeCapability>true</tds:IncludeCapability></tds:GetServices>`, []string{"Service", "Version", "Major"}, "2"},
		"profile":    {`<trt:GetProfiles/>`, []string{"Profiles", "VideoEncoderConfiguration", "Encoding"}, "H264"},
		"width":      {`<trt:GetProfile><trt:ProfileToken>main</trt:ProfileToken></trt:GetProfile>`, []string{"Profile", "VideoEncoderConfiguration", "Resolution", "Width"}, "640"},
		"no H.265":   {`<trt:GetProfile><trt:ProfileToken>sub</trt:ProfileToken></trt:GetProfile>`, []string{"Profile", "VideoEncoderConfiguration", "Encoding"}, ""},
		"H.265":      {`<tr2:GetProfiles><tr2:Token>sub</tr2:Token><tr2:Type>All</tr2:Type></tr2:GetProfiles>`, []string{"Profiles", "Configurations", "VideoEncoder", "Encoding"}, "H265"},
		"not asked":  {`<tr2:GetProfiles><tr2:Type>PTZ</tr2:Type></tr2:GetProfiles>`, []string{"Profiles", "Configurations", "VideoEncoder", "Encoding"}, ""},
		"sound":      {`<trt:GetAudioEncoderConfigurations/>`, []string{"Configurations", "Encoding"}, "G711"},
		"sound 2":    {`<tr2:GetAudioEncoderConfigurations/>`, []string{"Configurations", "Encoding"}, "PCMA"},
		"encoders":   {`<trt:GetVideoEncoderConfigurations/>`, []string{"Configurations", "H264", "GovLength"}, "50"},
		"encoders 2": {`<tr2:GetVideoEncoderConfigurations/>`, []string{"Configurations", "RateControl", "BitrateLimit"}, "430"},
		"source":     {`<trt:GetVideoSources/>`, []string{"VideoSources", "Resolution", "Height"}, "360"},
		"stream":     {`<trt:GetStreamUri><trt:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP</tt:Protocol></tt:Transport></trt:StreamSetup><trt:ProfileToken>sub</trt:ProfileToken></trt:GetStreamUri>`, []string{"MediaUri", "Uri"}, "rtsp://127.0.0.1:8554/sub"},
		"stream 2":   {`<tr2:GetStreamUri><tr2:Protocol>RtspUnicast</tr2:Protocol><tr2:ProfileToken>main</tr2:ProfileToken></tr2:GetStreamUri>`, []string{"Uri"}, "rtsp://127.0.0.1:8554/main"},
		"node":       {`<tptz:GetNodes/>`, []string{"PTZNode", "MaximumNumberOfPresets"}, "128"},
		"imaging":    {`<tds:GetCapabilities><tds:Category>Imaging</tds:Category></tds:GetCapabilities>`, []string{"Capabilities", "Imaging", "XAddr"}, "http://127.0.0.1:80/onvif/imaging_service"},
		"focus":      {`<timg:GetMoveOptions><timg:VideoSourceToken>camera</timg:VideoSourceToken></timg:GetMoveOptions>`, []string{"MoveOptions", "Continuous", "Speed", "Min"}, "-7"},
		"wiper":      {`<tptz:GetNodes/>`, []string{"PTZNode", "AuxiliaryCommands"}, "tt:Wiper|On"},
		"PTZ config": {`<tptz:GetConfigurations/>`, []string{"PTZConfiguration", "NodeToken"}, tokenPTZNode},
	} {
		t.Run(name, func(t *testing.T) {
			body, status := d.ask(t, tc.body)
			if got := body.value(tc.path...); got != tc.want || status != 200 || !strings.HasSuffix(body.name, "Response") {
				t.Errorf("%d %s %v = %q, want %q", status, body.name, tc.path, got, tc.want)
			}
		})
	}
}

func TestFaultsNameWhatIsWrong(t *testing.T) {
	d := newDevice()
	for name, tc := range map[string]struct {
		body   string
		status int
		code   string // the innermost
	}{
		"unknown action":    {`<tds:MakeCoffee/>`, 500, "ter:ActionNotSupported"},
		"unknown namespace": {`<GetProfiles xmlns="urn:x"/>`, 500, "ter:ActionNotSupported"},
		"no multicast":      {`<trt:StartMulticastStreaming/>`, 500, "ter:ActionNotSupported"},
		"unknown profile":   {`<trt:GetStreamUri><trt:ProfileToken>x</trt:ProfileToken></trt:GetStreamUri>`, 400, "ter:NoProfile"},
		"unknown profile 2": {`<tr2:GetProfiles><tr2:Token>x</tr2:Token></tr2:GetProfiles>`, 400, "ter:NoProfile"},
		"head of nothing":   {`<tptz:GetStatus/>`, 400, "ter:NoProfile"},
		"multicast":         {`<trt:GetStreamUri><trt:StreamSetup><tt:Stream>RTP-Multicast</tt:Stream></trt:StreamSetup><trt:ProfileToken>main</trt:ProfileToken></trt:GetStreamUri>`, 400, "ter:InvalidStreamSetup"},
		"protocol":          {`<tr2:GetStreamUri><tr2:Protocol>RtspMulticast</tr2:Protocol><tr2:ProfileToken>main</tr2:ProfileToken></tr2:GetStreamUri>`, 400, "ter:InvalidStreamSetup"},
		"category":          {`<tds:GetCapabilities><tds:Category>Events</tds:Category></tds:GetCapabilities>`, 500, "ter:NoSuchService"},
		"two actions":       {`<tds:GetScopes/><tds:GetScopes/>`, 400, "ter:WellFormed"},
		"no action":         {``, 400, "ter:WellFormed"},
		"too far":           {`<tptz:AbsoluteMove><tptz:ProfileToken>main</tptz:ProfileToken><tptz:Position><tt:PanTilt x="1.5" y="0"/></tptz:Position></tptz:AbsoluteMove>`, 400, "ter:InvalidPosition"},
		"no number":         {`<tptz:AbsoluteMove><tptz:ProfileToken>main</tptz:ProfileToken><tptz:Position><tt:PanTilt x="NaN" y="0"/></tptz:Position></tptz:AbsoluteMove>`, 400, "ter:InvalidPosition"},
		"too fast":          {`<tptz:ContinuousMove><tptz:ProfileToken>main</tptz:ProfileToken><tptz:Velocity><tt:Zoom x="2"/></tptz:Velocity></tptz:ContinuousMove>`, 400, "ter:InvalidSpeed"},
		"too long":          {`<tptz:ContinuousMove><tptz:ProfileToken>main</tptz:ProfileToken><tptz:Timeout>PT2H</tptz:Timeout></tptz:ContinuousMove>`, 400, "ter:TimeoutNotSupported"},
		"no preset":         {`<tptz:GotoPreset><tptz:ProfileToken>main</tptz:ProfileToken><tptz:PresetToken>9</tptz:PresetToken></tptz:GotoPreset>`, 400, "ter:NoToken"},
		"no light":          {`<tptz:SendAuxiliaryCommand><tptz:ProfileToken>main</tptz:ProfileToken><tptz:AuxiliaryData>tt:Light|On</tptz:AuxiliaryData></tptz:SendAuxiliaryCommand>`, 400, "ter:AuxiliaryDataNotSupported"},
		"focus too fast":    {`<timg:Move><timg:VideoSourceToken>camera</timg:VideoSourceToken><timg:Focus><tt:Continuous><tt:Speed>8</tt:Speed></tt:Continuous></timg:Focus></timg:Move>`, 400, "ter:SettingsInvalid"},
		"focus to a place":  {`<timg:Move><timg:VideoSourceToken>camera</timg:VideoSourceToken><timg:Focus><tt:Absolute><tt:Position>1</tt:Position></tt:Absolute></timg:Focus></timg:Move>`, 400, "ter:SettingsInvalid"},
		"focus of nothing":  {`<timg:Stop><timg:VideoSourceToken>main</timg:VideoSourceToken></timg:Stop>`, 400, "ter:NoSource"},
		"no such day":       {`<tds:SetSystemDateAndTime><tds:DateTimeType>Manual</tds:DateTimeType><tds:UTCDateTime><tt:Time><tt:Hour>1</tt:Hour><tt:Minute>1</tt:Minute><tt:Second>1</tt:Second></tt:Time><tt:Date><tt:Year>2030</tt:Year><tt:Month>2</tt:Month><tt:Day>30</tt:Day></tt:Date></tds:UTCDateTime></tds:SetSystemDateAndTime>`, 400, "ter:InvalidDateTime"},
	} {
		t.Run(name, func(t *testing.T) {
			body, status := d.ask(t, tc.body)
			codes := subcodes(body)
			if body.name != "Fault" || status != tc.status || codes[len(codes)-1] != tc.code {
				t.Errorf("%d %s %v, want %d %s", status, body.name, codes, tc.status, tc.code)
			}
		})
	}
}

func TestDamagedRequestsAreRefused(t *testing.T) {
	d := newDevice()
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
	}{
		"not XML":       {"POST", pathDevice, "hello", 400},
		"empty":         {"POST", pathDevice, "", 400},
		"cut short":     {"POST", pathDevice, wrap("", "<tds:GetScopes/>")[:200], 400},
		"two documents": {"POST", pathDevice, "<a/><b/>", 400},
		"not SOAP":      {"POST", pathDevice, "<a/>", 500},
		"too deep":      {"POST", pathDevice, strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), 413},
		"too many":      {"POST", pathDevice, "<a>" + strings.Repeat("<b/>", 5000) + "</a>", 413},
		"too large":     {"POST", pathDevice, "<a>" + strings.Repeat(" ", maxBody) + "</a>", 413},
		"GET":           {"GET", pathDevice, "", 405},
		"elsewhere":     {"POST", "/onvif/else", "", 404},
	} {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body)))
		if w.Code != tc.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tc.status)
		}
	}
}

func TestPTZMovesAndRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		do := func(action, rest string) *element {
			body, status := d.ask(t, "<tptz:"+action+"><tptz:ProfileToken>main</tptz:ProfileToken>"+rest+"</tptz:"+action+">")
			if status != 200 {
				t.Fatalf("%s: %d %v", action, status, subcodes(body))
			}
			return body
		}
		do("ContinuousMove", `<tptz:Velocity><tt:PanTilt x="1" y="0"/></tptz:Velocity><tptz:Timeout>PT1.5S</tptz:Timeout>`)
		time.Sleep(time.Second)
		st := do("GetStatus", "").kid("PTZStatus")
		if x, m := st.kid("Position", "PanTilt").attr("x"), st.value("MoveStatus", "PanTilt"); x != "0.500000" || m != "MOVING" {
			t.Errorf("after a second at %s, %s", x, m)
		}
		time.Sleep(time.Second)
		st = do("GetStatus", "").kid("PTZStatus")
		if x, m := st.kid("Position", "PanTilt").attr("x"), st.value("MoveStatus", "PanTilt"); x != "0.750000" || m != "IDLE" {
			t.Errorf("after the timeout at %s, %s", x, m)
		}
		token := do("SetPreset", `<tptz:PresetName>gate</tptz:PresetName>`).value("PresetToken")
		do("RelativeMove", `<tptz:Translation><tt:PanTilt x="-1" y="0.5"/><tt:Zoom x="1"/></tptz:Translation>`)
		time.Sleep(time.Second)
		do("Stop", "<tptz:PanTilt>true</tptz:PanTilt><tptz:Zoom>true</tptz:Zoom>")
		time.Sleep(time.Second)
		at, _ := d.Head()
		if p := at.Position; p.Pan != 0.25 || p.Tilt != 0.5 || p.Zoom != 0.2 {
			t.Errorf("stopped at %+v", p)
		}
		if got := do("GetPresets", "").value("Preset", "Name"); got != "gate" {
			t.Errorf("preset %q", got)
		}
		do("GotoPreset", "<tptz:PresetToken>"+token+"</tptz:PresetToken>")
		time.Sleep(time.Minute)
		if at, _ := d.Head(); at.Position.Pan != 0.75 || at.Position.Tilt != 0 {
			t.Errorf("preset is at %+v", at.Position)
		}
		do("RemovePreset", "<tptz:PresetToken>"+token+"</tptz:PresetToken>")
		if got := do("GetPresets", "").kid("Preset"); got != nil {
			t.Errorf("removed preset is still there")
		}
	})
}

func TestFocusMovesAndStopsAndTheWiperWipes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		do := func(body string) *element {
			answer, status := d.ask(t, body)
			if status != 200 {
				t.Fatalf("%s: %d %v", body, status, subcodes(answer))
			}
			return answer
		}
		const source = `<timg:VideoSourceToken>camera</timg:VideoSourceToken>`
		do(`<timg:Move>` + source + `<timg:Focus><tt:Continuous><tt:Speed>3.5</tt:Speed></tt:Continuous></timg:Focus></timg:Move>`)
		time.Sleep(time.Second)
		st := do(`<timg:GetStatus>`+source+`</timg:GetStatus>`).kid("Status", "FocusStatus20")
		if at, m := st.value("Position"), st.value("MoveStatus"); at != "0.125" || m != "MOVING" {
			t.Errorf("after a second at %s, %s", at, m)
		}
		do(`<timg:Stop>` + source + `</timg:Stop>`)
		time.Sleep(time.Second)
		if at, moving, wiping := d.Lens(); at != 0.125 || moving || wiping {
			t.Errorf("stopped at %g, moving %t, wiping %t", at, moving, wiping)
		}
		for _, on := range []bool{true, false} {
			command := map[bool]string{true: wiperOn, false: wiperOff}[on]
			do(`<tptz:SendAuxiliaryCommand><tptz:ProfileToken>main</tptz:ProfileToken><tptz:AuxiliaryData>` + command + `</tptz:AuxiliaryData></tptz:SendAuxiliaryCommand>`)
			if _, _, wiping := d.Lens(); wiping != on {
				t.Errorf("%s: wiping %t", command, wiping)
			}
		}
	})
}

func TestHeadWithoutZoomRefusesIt(t *testing.T) {
	d := newDevice()
	d.cfg.NoZoom = true
	move := func(zoom string) int {
		_, status := d.ask(t, `<tptz:ContinuousMove><tptz:ProfileToken>main</tptz:ProfileToken><tptz:Velocity><tt:PanTilt x="1" y="0"/>`+zoom+`</tptz:Velocity></tptz:ContinuousMove>`)
		return status
	}
	if with, without := move(`<tt:Zoom x="0"/>`), move(""); with != 400 || without != 200 {
		t.Errorf("with zoom %d, without %d", with, without)
	}
	body, _ := d.ask(t, `<tptz:GetNodes/>`)
	spaces := body.kid("PTZNode", "SupportedPTZSpaces")
	if spaces.kid("ContinuousZoomVelocitySpace") != nil || spaces.kid("ContinuousPanTiltVelocitySpace") == nil {
		t.Error("the node tells other spaces")
	}
}

func TestClockIsToldAndSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		d.skew.Store(int64(24 * time.Hour))
		year := func() string {
			w := call(d, "", `<tds:GetSystemDateAndTime/>`)
			doc, err := parseXML(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			date := doc.kid("Body", "GetSystemDateAndTimeResponse", "SystemDateAndTime", "UTCDateTime", "Date")
			return date.value("Year") + "-" + date.value("Month") + "-" + date.value("Day")
		}
		if got := year(); got != "2000-1-2" { // synctest begins at 2000-01-01
			t.Errorf("wrong clock tells %s", got)
		}
		d.ask(t, `<tds:SetSystemDateAndTime><tds:DateTimeType>NTP</tds:DateTimeType></tds:SetSystemDateAndTime>`)
		if got := year(); got != "2000-1-1" {
			t.Errorf("clock set by NTP tells %s", got)
		}
		d.ask(t, `<tds:SetSystemDateAndTime><tds:DateTimeType>Manual</tds:DateTimeType><tds:UTCDateTime><tt:Time><tt:Hour>1</tt:Hour><tt:Minute>1</tt:Minute><tt:Second>1</tt:Second></tt:Time><tt:Date><tt:Year>2031</tt:Year><tt:Month>2</tt:Month><tt:Day>3</tt:Day></tt:Date></tds:UTCDateTime></tds:SetSystemDateAndTime>`)
		if got := year(); got != "2031-2-3" {
			t.Errorf("clock set by hand tells %s", got)
		}
	})
}

func TestRebootIsAnsweredAndDone(t *testing.T) {
	d := newDevice()
	if body, status := d.ask(t, `<tds:SystemReboot/>`); status != 200 || body.value("Message") == "" || d.reboots.Load() != 1 {
		t.Errorf("%d %s, %d reboots", status, body.name, d.reboots.Load())
	}
}

func TestWithoutHeadThereIsNoPTZ(t *testing.T) {
	d := newDevice()
	d.cfg.PTZ = false
	if body, status := d.ask(t, `<tptz:GetNodes/>`); status != 500 {
		t.Errorf("GetNodes: %d %s", status, body.name)
	}
	if body, status := d.ask(t, `<timg:GetMoveOptions/>`); status != 500 {
		t.Errorf("GetMoveOptions: %d %s", status, body.name)
	}
	if body, _ := d.ask(t, `<tds:GetCapabilities/>`); body.kid("Capabilities", "PTZ") != nil || body.kid("Capabilities", "Imaging") != nil {
		t.Error("capabilities tell of PTZ")
	}
	if n := d.Requests(); n != 3 {
		t.Errorf("%d requests counted", n)
	}
}

func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`<tds:GetSystemDateAndTime/>`, `<trt:GetProfiles/>`, `<tr2:GetProfiles><tr2:Type>All</tr2:Type></tr2:GetProfiles>`,
		`<tptz:ContinuousMove><tptz:ProfileToken>main</tptz:ProfileToken><tptz:Velocity><tt:PanTilt x="1" y="0"/></tptz:Velocity></tptz:ContinuousMove>`,
		`<timg:Move><timg:VideoSourceToken>camera</timg:VideoSourceToken><timg:Focus><tt:Continuous><tt:Speed>1</tt:Speed></tt:Continuous></timg:Focus></timg:Move>`,
	} {
		f.Add(wrap("", body), "")
	}
	f.Add("<a", `Digest username="admin", realm="encodersim", nonce="00", uri="/onvif/device_service", qop=auth-int, nc=1, response="1"`)
	d := newDevice()
	f.Fuzz(func(t *testing.T, body, authorization string) {
		r := httptest.NewRequest(http.MethodPost, pathDevice, strings.NewReader(body))
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		checkXML(t, w.Body.Bytes())
		// The same past the guard.
		doc, err := parseXML(strings.NewReader(body))
		if err != nil || doc.kid("Body") == nil || len(doc.kid("Body").kids) != 1 {
			return
		}
		req := &request{body: doc.kid("Body").kids[0], host: "::1", http: r}
		do, _ := lookup(req.body.space, req.body.name, true)
		if do == nil {
			return
		}
		answer, fault := do(d.Server, req)
		if fault != nil {
			answer = fault.node()
		}
		checkXML(t, envelope(answer))
	})
}

func checkXML(t *testing.T, b []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("our answer is damaged: %v", err)
		}
	}
}
