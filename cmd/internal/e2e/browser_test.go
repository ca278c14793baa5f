//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"districtgateway/cmd/internal/api"
)

// A tab is a page of Chromium's that is driven by its DevTools protocol.
type tab struct {
	t       *testing.T
	browser *process
	conn    net.Conn
	last    int // number of the last command
}

// chromium starts a browser with one empty page, and with no word to anybody outside.
func chromium(t *testing.T) *tab {
	t.Helper()
	p := start(t, tool(t, "chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--no-proxy-server", "--window-size=800,600", "--remote-debugging-port=0", "--user-data-dir="+t.TempDir(), "about:blank")
	address := p.says("DevTools listening on ")
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "ws://"), "/")
	var pages []struct {
		Type string
		URL  string `json:"webSocketDebuggerUrl"`
	}
	at := ""
	until(t, 20*time.Second, "the browser has a page", func() bool {
		resp, err := http.Get("http://" + host + "/json/list")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		pages = nil
		if json.NewDecoder(resp.Body).Decode(&pages) != nil {
			return false
		}
		for _, page := range pages {
			if page.Type == "page" {
				at = page.URL
			}
		}
		return at != ""
	})
	conn, _, _, err := ws.Dial(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &tab{t: t, browser: p, conn: conn}
}

// do gives a command and reads its result into v.
func (b *tab) do(v any, method string, params any) {
	b.t.Helper()
	b.last++
	text, err := json.Marshal(map[string]any{"id": b.last, "method": method, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	_ = b.conn.SetDeadline(time.Now().Add(20 * time.Second)) // fails only for a closed connection
	if err := wsutil.WriteClientText(b.conn, text); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	var answer struct {
		ID     int
		Result json.RawMessage
		Error  json.RawMessage
	}
	for answer.ID != b.last { // in between it tells of other things
		text, err := wsutil.ReadServerText(b.conn)
		if err != nil {
			b.t.Fatalf("%s: %v", method, err)
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			b.t.Fatal(err)
		}
	}
	if answer.Error != nil {
		b.t.Fatalf("%s: %s", method, answer.Error)
	}
	if v != nil {
		if err := json.Unmarshal(answer.Result, v); err != nil {
			b.t.Fatalf("%s: %v in %s", method, err, answer.Result)
		}
	}
}

// open opens an address and waits until the page is there.
func (b *tab) open(address string) {
	b.t.Helper()
	var went struct{ ErrorText string }
	b.do(&went, "Page.navigate", map[string]any{"url": address})
	if went.ErrorText != "" {
		b.t.Fatalf("the page is not opened: %s", went.ErrorText)
	}
	until(b.t, 10*time.Second, "the page is loaded", func() bool {
		return b.value("location.pathname+document.readyState") == strconv.Quote(address[strings.LastIndex(address, "/"):]+"complete")
	})
}

// value returns what an expression of JavaScript yields, as JSON.
func (b *tab) value(expression string) string {
	b.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.do(&got, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if got.ExceptionDetails != nil {
		return "" // not loaded yet
	}
	return string(got.Result.Value)
}

// state is what the page says in words.
func (b *tab) state() string { return b.value(`document.getElementById('state').textContent`) }

// An inbound is what the browser received of one track.
type inbound struct {
	FramesDecoded, FrameWidth, FrameHeight, KeyFramesDecoded int
	PacketsLost, PacketsReceived, PliCount                   int
	TotalSamplesReceived, ConcealedSamples                   float64
}

// inbound asks for the browser's counters.
func (b *tab) inbound(kind string) (in inbound) {
	b.t.Helper()
	text := b.value(`(async () => {
		for (const r of (await pc.getStats()).values()) if (r.type === 'inbound-rtp' && r.kind === '` + kind + `') return r;
	})()`)
	if text != "" {
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			b.t.Fatalf("%v: %s", err, text)
		}
	}
	return in
}

// shot returns a picture of the page, and keeps it where SHOTS says.
func (b *tab) shot(name string) image.Image {
	b.t.Helper()
	var got struct{ Data []byte }
	b.do(&got, "Page.captureScreenshot", map[string]any{"format": "png"})
	if dir := os.Getenv("SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), got.Data, 0o644); err != nil {
			b.t.Error(err)
		}
	}
	img, err := png.Decode(bytes.NewReader(got.Data))
	if err != nil {
		b.t.Fatal(err)
	}
	return img
}

// colours returns how many colours a picture has, as far as eight a channel are told
// apart, and how much of it another one differs in.
func colours(a, b image.Image) (count int, differs float64) {
	seen := map[[3]uint32]bool{}
	other, all := 0, 0
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y += 2 {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x += 2 {
			r, g, bl, _ := a.At(x, y).RGBA()
			seen[[3]uint32{r >> 13, g >> 13, bl >> 13}] = true
			if r2, g2, b2, _ := b.At(x, y).RGBA(); r>>13 != r2>>13 || g>>13 != g2>>13 || bl>>13 != b2>>13 {
				other++
			}
			all++
		}
	}
	return len(seen), float64(other) / float64(all)
}

// The channels that browsers are shown.
const (
	plainChannel     = "33010600001320000001"
	reorderedChannel = "33010600001320000002"
	h265Channel      = "33010600001320000003"
)

// browsed starts a gateway with an account and three encoders, and returns the
// address of its pages with user and password.
func browsed(t *testing.T) (control, string) {
	t.Helper()
	config := "[discovery]\nenabled = false\n"
	b := clip{b: 3, seconds: 10, format: "mp4"}.make(t)
	for id, args := range map[string][]string{plainChannel: nil, reorderedChannel: {"-file", b}, h265Channel: {"-codec", "h265"}} {
		config += fmt.Sprintf("[[encoder]]\nid = %q\nrtsp = %q\nuser = \"admin\"\npassword = %q\n", id, simulate(t, args...).rtsp, password)
	}
	return pagesOf(t, "127.92.1.1:5060", "viewer", config)
}

// pagesOf starts a gateway at an address with an account of a role, and returns the
// address of its pages as browsed does.
func pagesOf(t *testing.T, at, role, config string) (control, string) {
	t.Helper()
	dir := shortDir(t)
	pages := freeTCP(t)
	c := gateway(t, dir, fmt.Sprintf("[server]\nid = \"33010600002000000001\"\nlisten = %q\nstate = %q\n[rtsp]\nlisten = \"\"\n"+
		"[webrtc]\nlisten = %q\nmedia = %q\n[record]\nenabled = false\n", at, dir, pages, freeTCP(t))+config)
	add := "printf '%s\\n' " + wang.password + " | " + program(t, "gatewayctl") + " --socket " + c.socket + " user add " + wang.name + " " + role
	run(t, "sh", "-c", add)
	until(t, 10*time.Second, "pages are served", func() bool {
		conn, err := net.Dial("tcp4", pages)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return c, fmt.Sprintf("http://%s:%s@%s/", wang.name, wang.password, pages)
}

// watching returns how many the gateway sends a channel to.
func watching(c control, channel string) (n int) {
	c.t.Helper()
	var all []api.Stream
	if err := json.Unmarshal([]byte(c.run("--json", "streams")), &all); err != nil {
		c.t.Fatal(err)
	}
	for _, s := range all {
		if s.Channel == channel {
			n += s.Users
		}
	}
	return n
}

// TestChromiumShowsAChannel has a browser open channels that it cannot show, and then
// one that it can on the page of the gateway, looks at what it shows, ends it, and has the
// gateway end another.
func TestChromiumShowsAChannel(t *testing.T) {
	t.Parallel()
	c, base := browsed(t)
	b := chromium(t)
	for channel, want := range map[string]string{
		reorderedChannel: "B pictures", h265Channel: "does not take H.265", "33010600001320000009": "no such channel",
	} {
		b.open(base + channel)
		until(t, 20*time.Second, "the page says "+want, func() bool { return strings.Contains(b.state(), want) })
		t.Log(b.state())
	}
	b.shot("refused")
	began := time.Now()
	b.open(base + plainChannel)
	until(t, 20*time.Second, "pictures are decoded", func() bool { return b.inbound("video").FramesDecoded > 0 })
	first := time.Since(began)
	before, heard := b.inbound("video"), b.inbound("audio")
	one := b.shot("one")
	until(t, 20*time.Second, "75 pictures more", func() bool { return b.inbound("video").FramesDecoded >= before.FramesDecoded+75 })
	until(t, 10*time.Second, "sound goes on", func() bool {
		return b.inbound("audio").TotalSamplesReceived > heard.TotalSamplesReceived+48000
	})
	until(t, 10*time.Second, "the page says so", func() bool { return strings.Contains(b.state(), "Live.") })
	after := b.inbound("video")
	two := b.shot("two")
	count, differs := colours(one, two)
	t.Logf("first picture after %s; %+v; %d colours, %.1f %% of the page differs; %s, %s", first.Round(time.Millisecond), after, count,
		100*differs, b.state(), b.value(`document.getElementById('numbers').textContent`))
	t.Logf("sound: %+v", b.inbound("audio"))
	if after.FrameWidth != 640 || after.FrameHeight != 360 || after.PacketsLost > 0 {
		t.Error("want 640x360, and nothing lost")
	}
	if count < 8 || differs < 0.001 {
		t.Error("the page shows no picture that moves")
	}
	if n := watching(c, plainChannel); n != 1 {
		t.Errorf("the gateway sends to %d", n)
	}
	b.browser.stop(os.Kill)
	until(t, 30*time.Second, "nothing is sent to a browser that is gone", func() bool { return watching(c, plainChannel) == 0 })

	b = chromium(t)
	b.open(base + plainChannel)
	until(t, 20*time.Second, "pictures are decoded", func() bool { return b.inbound("video").FramesDecoded > 0 })
	b.value(`window.said = []; new MutationObserver(() => said.push($('state').textContent)).observe($('state'), {childList: true}); 0`)
	c.run("user", "remove", wang.name)
	until(t, 10*time.Second, "the page hears that the gateway ended it", func() bool {
		return strings.Contains(b.value(`said.join(' ')`), "The gateway ended the connection.")
	})
	until(t, 10*time.Second, "nothing is sent to who may not watch", func() bool { return watching(c, plainChannel) == 0 })
}
