//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// padAt is where the encoder of the page with a pad is: in nobody else's network here.
const padAt = "127.93.1.9"

// A pad is a page by which a camera is moved.
type pad struct {
	*tab
	head head
}

// spot returns where a button of the pad is, by its name.
func (p pad) spot(name string) (x, y float64) {
	p.t.Helper()
	var at struct{ X, Y float64 }
	text := p.value(`(() => { const r = document.querySelector('#pad [aria-label="` + name + `"]').getBoundingClientRect();
		return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()`)
	if err := json.Unmarshal([]byte(text), &at); err != nil || at.X == 0 {
		p.t.Fatalf("no button %s: %s", name, text)
	}
	return at.X, at.Y
}

// mouse presses or releases the button of the mouse on a button of the pad.
func (p pad) mouse(event, name string) {
	p.t.Helper()
	x, y := p.spot(name)
	p.do(nil, "Input.dispatchMouseEvent", map[string]any{"type": event, "x": x, "y": y, "button": "left", "clickCount": 1})
}

// touch puts a finger on a button of the pad, or takes it away.
func (p pad) touch(event, name string) {
	p.t.Helper()
	points := []any{}
	if event == "touchStart" {
		x, y := p.spot(name)
		points = append(points, map[string]any{"x": x, "y": y})
	}
	p.do(nil, "Input.dispatchTouchEvent", map[string]any{"type": event, "touchPoints": points})
}

// key presses or releases a key.
func (p pad) key(event, name string) {
	p.t.Helper()
	p.do(nil, "Input.dispatchKeyEvent", map[string]any{"type": event, "key": name, "code": name})
}

// told is what the pad says in words.
func (p pad) told() string { return p.value(`document.getElementById('told').textContent`) }

// listen keeps what the page says to cameras from now on.
func (p pad) listen() {
	p.t.Helper()
	p.value(`window.sent = []; window.asked ??= fetch; window.fetch = (at, o) => { if (o?.body) sent.push(o.body); return asked(at, o); }; 0`)
}

// sent returns what the page has said since it was listened to.
func (p pad) sent() (all []string) {
	p.t.Helper()
	if text := p.value(`sent`); json.Unmarshal([]byte(text), &all) != nil {
		p.t.Fatal(text)
	}
	return all
}

// holds has something move the camera one way for longer than it would go by itself, lets
// it go, and checks that the page has said so.
func (p pad) holds(what string, begin, end func(), way func() float64) {
	p.t.Helper()
	p.listen()
	from := way()
	begin()
	until(p.t, 20*time.Second, what+" moves the camera on", func() bool { return way() > from+0.6 }) // 2.4 s at half speed
	end()
	released := time.Now()
	until(p.t, 5*time.Second, "the page says that it stops", func() bool { return slices.Contains(p.sent(), `{"action":"stop"}`) })
	until(p.t, 5*time.Second, "the camera stands", func() bool {
		_, moves := p.head.looks()
		return !moves
	})
	stands := time.Since(released)
	all := p.sent()
	moves := slices.Index(all, `{"action":"stop"}`)
	if moves < 4 || slices.ContainsFunc(all[moves:], func(s string) bool { return strings.Contains(s, "move") }) {
		p.t.Errorf("%s: the page said %q", what, all)
	}
	p.t.Logf("%s: said %d times, the camera stands %s after it was let go", what, moves, stands.Round(time.Millisecond))
}

// TestChromiumMovesACamera has a browser press, touch and type on the page of the gateway,
// looks at the camera's head by ONVIF, and leaves the page while the camera moves.
func TestChromiumMovesACamera(t *testing.T) {
	t.Parallel()
	sim := simulate(t, "-http", padAt+":0", "-rtsp", padAt+":0", "-discovery", padAt+":3702")
	c, base := pagesOf(t, "127.93.1.1:5060", "operator", fmt.Sprintf("[discovery]\ninterfaces = []\naddresses = [%q]\n[[encoder]]\nid = %q\nonvif = %q\nuser = \"admin\"\npassword = %q\n",
		padAt, plainChannel, sim.onvif, password))
	p := pad{chromium(t), headAt(t, sim.onvif, "admin", sim.password)}
	p.do(nil, "Emulation.setTouchEmulationEnabled", map[string]any{"enabled": true})
	until(t, 20*time.Second, "the page shows the pad", func() bool {
		p.open(base + plainChannel)
		until(t, 20*time.Second, "pictures are decoded", func() bool { return p.inbound("video").FramesDecoded > 0 })
		return p.value(`askPad().then(() => $('pad').hidden)`) == "false"
	})
	p.shot("pad")
	pan := func() float64 { at, _ := p.head.looks(); return at.Pan }
	tilt := func() float64 { at, _ := p.head.looks(); return at.Tilt }
	minus := func(way func() float64) func() float64 { return func() float64 { return -way() } }
	p.holds("the mouse", func() { p.mouse("mousePressed", "Right") }, func() { p.mouse("mouseReleased", "Stop") }, pan)
	p.holds("a finger", func() { p.touch("touchStart", "Up") }, func() { p.touch("touchEnd", "") }, tilt)
	p.value(`$('video').focus()`)
	p.holds("a key", func() { p.key("keyDown", "ArrowLeft") }, func() { p.key("keyUp", "ArrowLeft") }, minus(pan))
	p.holds("a key, until the window is left", func() { p.key("keyDown", "ArrowDown") }, func() { p.value(`dispatchEvent(new Event('blur'))`) }, minus(tilt))
	p.key("keyUp", "ArrowDown")
	p.presets(pan)
	p.refused(c)
	p.answers()
	p.leaves(c, base)
}

// presets goes away from a place and back to it.
func (p pad) presets(pan func() float64) {
	p.t.Helper()
	home := pan()
	p.value(`$('preset').value = 7; $('keep').click()`)
	until(p.t, 10*time.Second, "the preset is kept", func() bool { return strings.Contains(p.told(), "preset 7") })
	p.mouse("mousePressed", "Right and up")
	until(p.t, 10*time.Second, "the camera looks elsewhere", func() bool { return pan() > home+0.1 })
	p.mouse("mouseReleased", "Right and up")
	p.value(`$('go').click()`)
	until(p.t, 20*time.Second, "the camera is back", func() bool {
		_, moves := p.head.looks()
		return !moves && pan() < home+0.01
	})
}

// refused presses a button while somebody else has the camera.
func (p pad) refused(c control) {
	p.t.Helper()
	c.run("ptz", plainChannel, "hold", "1m", "--user", "guard", "--rank", "20")
	p.listen()
	p.mouse("mousePressed", "Left")
	until(p.t, 10*time.Second, "the page says who has it", func() bool { return strings.Contains(p.told(), "nother moves the camera: guard, for ") })
	p.shot("held")
	until(p.t, 20*time.Second, "that goes again", func() bool { return p.told() == `""` })
	p.mouse("mouseReleased", "Left")
	if all := p.sent(); len(all) != 1 {
		p.t.Errorf("what was refused was said again: %q", all)
	}
	c.run("ptz", plainChannel, "release", "--user", "guard", "--rank", "20")
}

// answers has the page hear answers in orders that a network rarely has.
func (p pad) answers() {
	p.t.Helper()
	const begin = `(async () => {
		const real = fetch, answers = [], sent = [];
		window.fetch = (at, o) => { sent.push(o.body.match(/"action":"(.*?)"/)[1]); return new Promise(r => answers.push(r)); };
		const answer = async (n, status) => { answers[n](new Response(status === 204 ? null : 'no', {status})); await new Promise(r => setTimeout(r, 50)); };
		const press = () => { hold('x', {pan: 1}); clearInterval(beat); };`
	const end = ` window.fetch = real; return sent.join(' '); })()`
	for name, tc := range map[string]struct{ does, want string }{
		"in order":                  {`press(); release('x'); await answer(0, 204); await answer(1, 204);`, "move stop"},
		"the movement comes last":   {`press(); release('x'); await answer(1, 204); await answer(0, 204); await answer(2, 204);`, "move stop stop"},
		"refused":                   {`press(); await answer(0, 409); release('x');`, "move"},
		"refused, and held on":      {`press(); await answer(0, 409); steer(true); steer(true);`, "move"},
		"no answer":                 {`press(); for (let i = 0; i < 9; i++) steer(true); release('x'); for (let i = 0; i < 4; i++) await answer(i, 204);`, "move move move stop"},
		"held for very long":        {`press(); began = -1e6; steer(true); await answer(0, 204); await answer(1, 204);`, "move stop"},
		"the focus stops alone":     {`press(); hold('y', {focus: 1}); release('y'); release('x'); for (let i = 0; i < 4; i++) await answer(i, 204);`, "move lens lens-stop stop"},
		"two ways that undo theirs": {`press(); hold('y', {pan: -1}); await answer(0, 204); await answer(1, 204); release('x'); release('y'); await answer(2, 204); await answer(3, 204);`, "move stop move stop"},
	} {
		if got := p.value(begin + tc.does + end); got != strconv.Quote(tc.want) {
			p.t.Errorf("%s: the page said %s, want %s", name, got, tc.want)
		}
	}
}

// leaves goes to another page while the camera moves; whoever is a viewer from then on
// has no pad.
func (p pad) leaves(c control, base string) {
	p.t.Helper()
	p.mouse("mousePressed", "Left")
	until(p.t, 10*time.Second, "the camera moves", func() bool {
		_, moves := p.head.looks()
		return moves
	})
	p.do(nil, "Page.navigate", map[string]any{"url": "about:blank"})
	left := time.Now()
	until(p.t, 5*time.Second, "the camera stands", func() bool {
		_, moves := p.head.looks()
		return !moves
	})
	p.t.Logf("the camera stands %s after the page was left", time.Since(left).Round(time.Millisecond))
	c.run("user", "role", wang.name, "viewer")
	p.open(base + plainChannel)
	until(p.t, 20*time.Second, "pictures are decoded", func() bool { return p.inbound("video").FramesDecoded > 0 })
	if hidden := p.value(`askPad().then(() => $('pad').hidden)`); hidden != "true" {
		p.t.Errorf("the pad is hidden from a viewer: %s", hidden)
	}
}
