//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

// A foreignUpper is a platform of another make above the city: SIP as it stands in
// GB/T 28181, written by hand, and nothing of ours.
type foreignUpper struct {
	t        *testing.T
	conn     *net.UDPConn
	city     *net.UDPAddr
	answers  chan string // final responses to its requests
	requests chan string // BYE and MESSAGE in the dialog
	wg       sync.WaitGroup
	mu       sync.Mutex
	seen     []string // headers and attributes of ours
	toTag    string
	cseq     int
}

const (
	foreignID  = "33000000002000000001"
	middleID   = "33010000002000000001"
	ownerID    = "33010600002000000001"
	foreignAt  = "127.91.1.1:5060"
	middleAt   = "127.91.1.2:5060"
	ownerAt    = "127.91.1.3:5060"
	encoderAt  = "127.91.1.10"
	chainPass  = "e2e-Chain-5"
	mediaPort0 = 21000
)

func foreign(t *testing.T) *foreignUpper {
	t.Helper()
	at, _ := net.ResolveUDPAddr("udp4", foreignAt)
	city, _ := net.ResolveUDPAddr("udp4", middleAt)
	conn, err := net.ListenUDP("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	u := &foreignUpper{t: t, conn: conn, city: city, answers: make(chan string, 64), requests: make(chan string, 64)}
	u.wg.Go(u.serve)
	t.Cleanup(func() {
		conn.Close()
		u.wg.Wait()
	})
	return u
}

// serve answers every request with 200, as a registrar that trusts everybody.
func (u *foreignUpper) serve() {
	b := make([]byte, 65536)
	for {
		n, from, err := u.conn.ReadFromUDP(b)
		if err != nil {
			return
		}
		msg := string(b[:n])
		if strings.HasPrefix(msg, "SIP/2.0") {
			if !strings.HasPrefix(msg, "SIP/2.0 1") {
				u.answers <- msg
			}
			u.note(msg)
			continue
		}
		method, _, _ := strings.Cut(msg, " ")
		if method != "REGISTER" && method != "ACK" {
			u.note(msg)
			select {
			case u.requests <- msg:
			default:
			}
		}
		if method != "ACK" {
			u.conn.WriteToUDP([]byte(reply200(msg)), from)
		}
	}
}

// note keeps what a standard peer should never see.
func (u *foreignUpper) note(msg string) {
	for line := range strings.SplitSeq(msg, "\n") {
		if lower := strings.ToLower(line); strings.Contains(lower, "x-district") && !strings.HasPrefix(lower, "x-district-level") {
			u.mu.Lock()
			u.seen = append(u.seen, line)
			u.mu.Unlock()
		}
	}
}

func reply200(request string) string {
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	out := "SIP/2.0 200 OK\r\n"
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, _, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "via", "from", "call-id", "cseq", "expires", "contact":
			out += line + "\r\n"
		case "to":
			if !strings.Contains(line, "tag=") {
				line += ";tag=foreign"
			}
			out += line + "\r\n"
		}
	}
	return out + "Content-Length: 0\r\n\r\n"
}

// ask sends a request for a channel in the one dialog there is, and returns its answer.
func (u *foreignUpper) ask(method, channel, head, body string) string {
	u.t.Helper()
	u.cseq++
	to := fmt.Sprintf("<sip:%s@3301000000>", channel)
	if u.toTag != "" {
		to += ";tag=" + u.toTag
	}
	seq := u.cseq
	if method == "ACK" {
		u.cseq--
		seq = u.cseq
	}
	msg := fmt.Sprintf("%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s%d\r\nFrom: <sip:%s@3300000000>;tag=above\r\n"+
		"To: %s\r\nCall-ID: foreign-1@127.91.1.1\r\nCSeq: %d %s\r\nContact: <sip:%s@%s>\r\nMax-Forwards: 70\r\n%sContent-Length: %d\r\n\r\n%s",
		method, channel, middleAt, foreignAt, method, seq, foreignID, to, seq, method, foreignID, foreignAt, head, len(body), body)
	if _, err := u.conn.WriteToUDP([]byte(msg), u.city); err != nil {
		u.t.Fatal(err)
	}
	if method == "ACK" {
		return ""
	}
	for {
		select {
		case a := <-u.answers:
			if strings.Contains(a, fmt.Sprintf("CSeq: %d %s", seq, method)) {
				return a
			}
		case <-time.After(30 * time.Second):
			u.t.Fatalf("%s is not answered", method)
		}
	}
}

// command sends a command of MANSRTSP and returns the status of its answer.
func (u *foreignUpper) command(channel, text string) string {
	u.t.Helper()
	a := u.ask("INFO", channel, "Content-Type: Application/MANSRTSP\r\n", text+"\r\n\r\n")
	return strings.Fields(a)[1]
}

// gateway starts a gatewayd with a configuration.
func gateway(t *testing.T, dir, config string) control {
	t.Helper()
	return gatewayOn(t, dir, config, fmt.Sprintf("ports = \"%d-%d\"", mediaPort0, mediaPort0+199))
}

// gatewayOn starts one with settings for its media, too.
func gatewayOn(t *testing.T, dir, config, media string) control {
	t.Helper()
	file := filepath.Join(dir, "gateway.toml")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(config+"\n[media]\n"+media+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, program(t, "gatewayd"), "--config", file)
	c := control{t, filepath.Join(dir, "control.sock")}
	until(t, 10*time.Second, "the daemon answers", func() bool {
		_, err := os.Stat(c.socket)
		return err == nil
	})
	return c
}

// TestStandardUpperControlsAPlayback: over two gateways, a platform that knows nothing of
// us plays a recording, pauses it for longer than silence may last, goes on, seeks, and
// is refused what the owner cannot do.
func TestStandardUpperControlsAPlayback(t *testing.T) {
	t.Parallel() // it mostly waits
	dir := shortDir(t)
	u := foreign(t)
	simulate(t, "-http", encoderAt+":0", "-rtsp", encoderAt+":0", "-discovery", encoderAt+":3702")
	gateway(t, filepath.Join(dir, "city"), fmt.Sprintf("[server]\nid = %q\nlisten = %q\nstate = %q\n[[upper]]\nid = %q\naddress = %q\npassword = \"x\"\n"+
		"[[lower]]\nid = %q\npassword = %q\n[discovery]\nenabled = false\n", middleID, middleAt, filepath.Join(dir, "city"), foreignID, foreignAt, ownerID, chainPass))
	owner := gateway(t, filepath.Join(dir, "district"), fmt.Sprintf("[server]\nid = %q\nlisten = %q\nstate = %q\n[[upper]]\nid = %q\naddress = %q\npassword = %q\n"+
		"[discovery]\ninterfaces = []\naddresses = [\"127.91.1.8/29\"]\nevery = \"5s\"\nuser = \"admin\"\npassword = %q\n"+
		"[[volume]]\npath = %q\ncreate = true\nsize = \"1GB\"\nfree = \"1MB\"\n",
		ownerID, ownerAt, filepath.Join(dir, "district"), middleID, middleAt, chainPass, password, filepath.Join(dir, "volume")))
	channel, from := recordedChannel(t, owner, 30*time.Second)
	u.play(channel, from)
}

// recordedChannel waits for footage and returns whose it is and when it begins.
func recordedChannel(t *testing.T, c control, length time.Duration) (channel string, from time.Time) {
	t.Helper()
	d := districtRun{t: t, control: c}
	until(t, length+30*time.Second, "there is footage", func() bool {
		var all []api.Channel
		d.ask(&all, "channels")
		i := slices.IndexFunc(all, func(c api.Channel) bool { return c.Kind == "channel" })
		if i < 0 {
			return false
		}
		for _, r := range d.records(all[i].ID).Items {
			if r.Gap == "" && r.To.Sub(r.From) > length {
				channel, from = all[i].ID, r.From
				return true
			}
		}
		return false
	})
	return channel, from
}

// play is what the platform does with the recording.
func (u *foreignUpper) play(channel string, from time.Time) {
	t := u.t
	t.Helper()
	media := catch(t)
	sdp := fmt.Sprintf("v=0\r\no=%s 0 0 IN IP4 127.0.0.1\r\ns=Playback\r\nu=%s:0\r\nc=IN IP4 127.0.0.1\r\nt=%d %d\r\nm=video %d RTP/AVP 96\r\n"+
		"a=recvonly\r\na=rtpmap:96 PS/90000\r\ny=%010d\r\n", foreignID, channel, from.Unix(), from.Unix()+28, media.addr().Port(), uint32(ssrc))
	answer := u.ask("INVITE", channel, fmt.Sprintf("Subject: %s:10,%s:1\r\nContent-Type: application/sdp\r\n", channel, foreignID), sdp)
	if !strings.HasPrefix(answer, "SIP/2.0 200") {
		t.Fatalf("INVITE: %s", answer)
	}
	u.toTag = regexp.MustCompile(`(?m)^To: .*;tag=([^;\r]+)`).FindStringSubmatch(answer)[1]
	u.ask("ACK", channel, "", "")
	heard := func() int { // the answer names another SSRC than the offer: they all count
		media.mu.Lock()
		defer media.mu.Unlock()
		return len(media.seqs) + len(media.bad)
	}
	until(t, 10*time.Second, "media flows", func() bool { return heard() > 20 })
	if got := u.command(channel, "PAUSE RTSP/1.0\r\nCSeq: 1\r\nPauseTime: now"); got != "200" {
		t.Fatalf("pause: %s", got)
	}
	still, since := heard(), time.Now()
	until(t, 60*time.Second, "it stands still for longer than silence may last", func() bool {
		if n := heard(); n > still { // what was on its way
			still, since = n, time.Now()
		}
		return time.Since(since) > 18*time.Second
	})
	for text, want := range map[string]string{
		"PLAY RTSP/1.0\r\nCSeq: 2\r\nScale: -1.0":       "488",
		"PLAY RTSP/1.0\r\nCSeq: 3\r\nRange: npt=3600-":  "404",
		"PLAY RTSP/1.0\r\nCSeq: 4\r\nRange: clock=now-": "400",
	} {
		if got := u.command(channel, text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got := u.command(channel, "PLAY RTSP/1.0\r\nCSeq: 5\r\nRange: npt=now-"); got != "200" {
		t.Errorf("go on: %s", got)
	}
	until(t, 10*time.Second, "it goes on", func() bool { return heard() > still+20 })
	if got := u.command(channel, "PLAY RTSP/1.0\r\nCSeq: 6\r\nRange: npt=26-\r\nScale: 2.0"); got != "200" {
		t.Errorf("seek: %s", got)
	}
	u.endsWith("<NotifyType>121</NotifyType>")
	if a := u.ask("BYE", channel, "", ""); !strings.HasPrefix(a, "SIP/2.0 200") {
		t.Errorf("BYE: %s", a)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.seen) > 0 {
		t.Errorf("a standard platform was told %q", u.seen)
	}
}

// endsWith waits for a request with a text.
func (u *foreignUpper) endsWith(text string) {
	u.t.Helper()
	limit := time.After(15 * time.Second)
	for {
		select {
		case r := <-u.requests:
			if strings.Contains(r, text) {
				return
			}
		case <-limit:
			u.t.Fatalf("no %s came", text)
		}
	}
}
