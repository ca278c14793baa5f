package sip

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"districtgateway/domain"
)

// system starts a city and a district on real sockets of the loopback.
func system(t testing.TB, transport string) (up, down *station) {
	t.Helper()
	up = newStation(t, cityConfig(netip.MustParseAddrPort("127.0.0.1:0")), nil)
	down = newStation(t, districtConfig(netip.MustParseAddrPort("127.0.0.1:0"), up.at, transport), nil)
	if a := down.registerAt(city); a.Status != 200 {
		t.Fatalf("register: %+v", a)
	}
	expect[domain.RegisterIn](up)
	return up, down
}

// settled waits until no more goroutines run than before.
func settled(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			var b bytes.Buffer
			buf := make([]byte, 1<<20)
			b.Write(buf[:runtime.Stack(buf, true)])
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, b.String())
		}
	}
}

func TestRealSocketsLeaveNothingBehind(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		before := runtime.NumGoroutine()
		up, down := system(t, transport)
		w := &world{up: up, down: down}
		dialog, _ := w.agree(t, liveInvite(0))
		items := manyItems(1000)
		a := down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendCatalog{Tag: tag, Peer: upperRef(), SN: 248, Target: domain.NodeID(district), Items: items}
		})
		seen := 0
		for seen < len(items) {
			seen += len(expect[domain.CatalogIn](up).Items)
		}
		bye := down.answer(func(tag domain.Tag) domain.Effect { return domain.Bye{Tag: tag, Dialog: dialog} })
		if a.Status != 200 || bye.Status != 200 || seen != len(items) {
			t.Errorf("%+v %+v %d", a, bye, seen)
		}
		in, _ := w.call(liveInvite(0)) // still open at the end
		down.stop()
		up.stop()
		down.Answer(domain.RefuseInvite{Dialog: in.Dialog, Err: domain.ErrGone})
		if a := down.answer(func(tag domain.Tag) domain.Effect { return domain.Probe{Tag: tag, Peer: upperRef()} }); a.Status != 0 {
			t.Errorf("after the end: %+v", a)
		}
		settled(t, before)
	})
}

// TestCommandOverRealSockets: a playback is controlled over both transports.
func TestCommandOverRealSockets(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		up, down := system(t, transport)
		defer up.stop()
		defer down.stop()
		down.script(func(s *station, ev domain.Event) {
			if in, ok := ev.(domain.ControlIn); ok && in.Command.Scale < 0 {
				s.Answer(domain.Reply{Ref: in.Ref, Err: domain.ErrControl})
			} else if ok {
				s.Answer(domain.Reply{Ref: in.Ref})
			}
		})
		w := &world{up: up, down: down}
		dialog, c := w.playback(t, domain.Playback)
		for _, tc := range []struct {
			c    domain.Command
			want int
		}{{domain.Command{Verb: domain.CommandPause}, 200}, {domain.Command{Scale: 2, Seek: true, From: time.Minute}, 200}, {domain.Command{Scale: -1}, 488}} {
			a := up.answer(func(tag domain.Tag) domain.Effect {
				return domain.Control{Tag: tag, Dialog: c.dialog, Command: tc.c, Deadline: time.Now().Add(time.Minute)}
			})
			in := expect[domain.ControlIn](down)
			if a.Status != tc.want || in.Command != tc.c || in.Dialog != dialog || time.Until(in.Deadline) > controlWait {
				t.Errorf("%+v: %+v %+v", tc.c, a, in)
			}
		}
	})
}

// TestCameraCommandOverRealSockets: a camera is moved and stopped at once, over both
// transports, until somebody else has it.
func TestCameraCommandOverRealSockets(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		up, down := system(t, transport)
		defer up.stop()
		defer down.stop()
		held := domain.Reply{Err: domain.ErrHeld, Reason: "Held by 33000000002000000001-7, 12 s left"}
		down.script(func(s *station, ev domain.Event) {
			if in, ok := ev.(domain.PTZIn); ok && in.Rank == 0 {
				held.Ref = in.Ref
				s.Answer(held)
			} else if ok {
				s.Answer(domain.Reply{Ref: in.Ref})
			}
		})
		fx := domain.AskPTZ{Peer: lowerRef(), SN: 7, Channel: camera, Asker: deskParty.ID}
		for range 50 {
			for _, c := range []domain.PTZ{left128, {}} {
				fx.Tag, fx.Command, fx.Rank, fx.Hold = up.nextTag(), c, 9, time.Minute
				up.Send(fx)
			}
			moved, stopped := expect[domain.PTZIn](down), expect[domain.PTZIn](down)
			if !moved.Command.Moves() || !stopped.Command.Stops() || stopped.Rank != 9 || stopped.Asker != fx.Asker || stopped.Hold != fx.Hold {
				t.Errorf("%+v, then %+v", moved, stopped)
			}
			if a, b := expect[domain.Answered](up), expect[domain.Answered](up); a.Status != 200 || b.Status != 200 {
				t.Errorf("%+v %+v", a, b)
			}
		}
		fx.Rank = 0
		a := up.answer(func(tag domain.Tag) domain.Effect { fx.Tag = tag; return fx })
		if a.Status != 403 || a.Reason != held.Reason || a.Level != district {
			t.Errorf("%+v", a)
		}
	})
}

func TestThreeServersInOneProcess(t *testing.T) {
	up, down := system(t, "udp")
	defer up.stop()
	defer down.stop()
	cfg := districtConfig(netip.MustParseAddrPort("127.0.0.1:0"), up.at, "tcp")
	cfg.Self, cfg.Peers[0].Password = other, "x"
	third := newStation(t, cfg, nil)
	defer third.stop()
	if a := third.registerAt(city); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	for _, to := range []domain.Code{district, other} {
		if a := up.answer(func(tag domain.Tag) domain.Effect {
			return domain.Probe{Tag: tag, Peer: domain.PeerRef{Code: to, Role: domain.Lower}}
		}); a.Status != 200 {
			t.Errorf("%s: %+v", to, a)
		}
	}
}

func TestUnspecifiedListenTellsTheAddressTowardsThePeer(t *testing.T) {
	up := newStation(t, cityConfig(netip.MustParseAddrPort("0.0.0.0:0")), nil)
	defer up.stop()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), up.at.Port())
	down := newStation(t, districtConfig(netip.MustParseAddrPort("[::]:0"), at, "udp"), nil)
	defer down.stop()
	if a := down.registerAt(city); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	if in := expect[domain.RegisterIn](up); !strings.HasPrefix(in.Origin.Address, "udp:127.0.0.1:") {
		t.Error(in.Origin.Address)
	}
	if got := down.local(at); got.Addr() != at.Addr() || got.Port() != down.at.Port() {
		t.Error(got)
	}
}

func TestNameOfAnUpperIsResolved(t *testing.T) {
	up := newStation(t, cityConfig(netip.MustParseAddrPort("127.0.0.1:0")), nil)
	defer up.stop()
	cfg := districtConfig(netip.MustParseAddrPort("127.0.0.1:0"), up.at, "udp")
	cfg.Peers[0].Address = fmt.Sprintf("localhost:%d", up.at.Port())
	down := newStation(t, cfg, nil)
	defer down.stop()
	if a := down.registerAt(city); a.Status != 200 {
		t.Errorf("%+v", a)
	}
}

// TestUpperThatIsNeverRegisteredWithIsKnownByItsName: one that was left, and speaks.
func TestUpperThatIsNeverRegisteredWithIsKnownByItsName(t *testing.T) {
	cfg := districtConfig(netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.1:9"), "udp")
	cfg.Peers[0].Address = "localhost:9"
	down := newStation(t, cfg, nil)
	defer down.stop()
	for deadline := time.Now().Add(20 * time.Second); !down.book.knows(netip.MustParseAddr("127.0.0.1")); <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its host is a stranger's")
		}
	}
}

// dialCity opens a raw TCP connection to a lone city.
func dialCity(t *testing.T) (*station, net.Conn, *bufio.Reader) {
	t.Helper()
	up := newStation(t, cityConfig(netip.MustParseAddrPort("127.0.0.1:0")), nil)
	t.Cleanup(up.stop)
	c, err := net.Dial("tcp", up.at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return up, c, bufio.NewReader(c)
}

// tcpStatus reads one answer without a body.
func tcpStatus(t *testing.T, r *bufio.Reader) (string, string) {
	t.Helper()
	var all strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("%q: %v", all.String(), err)
		}
		all.WriteString(line)
		if strings.TrimRight(line, "\r\n") == "" {
			status, _, _ := strings.Cut(all.String(), "\r\n")
			return strings.TrimPrefix(status, "SIP/2.0 "), all.String()
		}
	}
}

func tcpText(msg string, n int) string {
	return strings.ReplaceAll(strings.ReplaceAll(msg, "{n}", fmt.Sprint(n)), "SIP/2.0/UDP", "SIP/2.0/TCP")
}

func TestStreamInPiecesAndHeaps(t *testing.T) {
	up, c, r := dialCity(t)
	challenge := tcpText(strings.ReplaceAll(rawRegister("Expires: 3600\r\nContent-Length: 0\r\n"), "\r\n", "\n"), 1)
	for i := range challenge { // byte by byte, LF only
		if _, err := c.Write([]byte{challenge[i]}); err != nil {
			t.Fatal(err)
		}
	}
	status, res := tcpStatus(t, r)
	if status != "401 Unauthorized" {
		t.Fatal(res)
	}
	io.WriteString(c, "\r\n\r\n"+tcpText(rawRegister("Expires: 3600\r\nContent-Length: 0\r\n"+credentials(t, res, "x", nil)), 2))
	if status, res := tcpStatus(t, r); status != "200 OK" {
		t.Fatal(res)
	}
	body := keepaliveText("", "", "")
	body = body[strings.Index(body, "<?xml"):]
	one := keepaliveText("", fmt.Sprintf("Content-Length: %d\r\n", len(body)), body)
	io.WriteString(c, tcpText(one, 3)+"\r\n\x00"+tcpText(one, 4)+tcpText(one, 5))
	for range 3 {
		if status, res := tcpStatus(t, r); status != "200 OK" {
			t.Error(res)
		}
	}
	if a := up.answer(func(tag domain.Tag) domain.Effect { // requests use the same connection
		go func() { // answered by hand
			line, _ := r.ReadString('\n')
			head := line
			for line != "\r\n" {
				line, _ = r.ReadString('\n')
				head += line
			}
			_, rest, _ := strings.Cut(head, "\r\n")
			io.WriteString(c, "SIP/2.0 200 OK\r\n"+rest)
		}()
		return domain.Probe{Tag: tag, Peer: domain.PeerRef{Code: other, Role: domain.Lower}}
	}); a.Status != 200 {
		t.Errorf("%+v", a)
	}
}

func TestHostileStreamsLoseTheConnection(t *testing.T) {
	for name, text := range map[string]string{
		"no SIP":          "GET / HTTP/1.1\r\n\r\n",
		"huge body":       tcpText(rawRegister("Content-Length: 70000\r\n"), 1),
		"endless header":  "MESSAGE sip:a@b SIP/2.0\r\nX: " + strings.Repeat("x", 2*maxHead),
		"endless line":    strings.Repeat("x", 2*maxHead),
		"length overflow": tcpText(rawRegister("Content-Length: 2147483647\r\n"), 1),
	} {
		t.Run(name, func(t *testing.T) {
			_, c, r := dialCity(t)
			io.WriteString(c, text)
			if b, err := r.ReadByte(); err == nil {
				t.Errorf("answered %q", b)
			}
		})
	}
}

func TestForeignConnectionsOfOneHostAreLimited(t *testing.T) {
	up, _, _ := dialCity(t)
	for i := range maxForeign {
		c, err := net.Dial("tcp", up.at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i < maxForeign-1 {
			continue
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err != io.EOF && !strings.Contains(err.Error(), "reset") {
			t.Errorf("one more: %v", err)
		}
	}
}

func TestPeerThatDoesNotReadLosesTheConnection(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := newStreamGate(near, netipAt("10.0.0.1:5060"), &gate{counts: new(counts), ledger: newLedger(), book: newBook(Config{})})
	var err error
	n := 0
	for ; err == nil && n < 10*writeQueue; n++ {
		_, err = s.Write([]byte("x"))
	}
	if err == nil || n != writeQueue+1 {
		t.Errorf("%v after %d", err, n)
	}
	if _, err := near.Write([]byte("x")); err != io.ErrClosedPipe {
		t.Errorf("still open: %v", err)
	}
}

func TestPortTakenIsTold(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at, _ := addrPort(l.Addr())
	tr, err := New(Config{Self: city, Listen: at, Post: func(domain.Event) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Run(context.Background()); err == nil || !strings.Contains(err.Error(), at.String()) {
		t.Errorf("%v", err)
	}
}

// BenchmarkKeepalive is one heartbeat there and back, both ends in this process.
func BenchmarkKeepalive(b *testing.B) {
	for _, transport := range []string{"udp", "tcp"} {
		b.Run(transport, func(b *testing.B) {
			up, down := system(b, transport)
			defer up.stop()
			defer down.stop()
			up.gate.most = 1 << 40
			done := make(chan struct{}, 64)
			down.cfg.Post = func(domain.Event) bool { <-done; return true }
			up.cfg.Post = func(ev domain.Event) bool {
				if in, ok := ev.(domain.KeepaliveIn); ok {
					up.Answer(domain.Reply{Ref: in.Ref})
				}
				return true
			}
			b.ReportAllocs()
			for b.Loop() {
				done <- struct{}{}
				down.Send(domain.Keepalive{Tag: 1, Peer: upperRef()})
			}
			for range cap(done) {
				done <- struct{}{}
			}
			for range cap(done) {
				<-done
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
		})
	}
}

// BenchmarkStranger is one registration turned away by a challenge.
func BenchmarkStranger(b *testing.B) {
	tr, err := New(Config{Self: city, Listen: netipAt("127.0.0.1:0"), Post: func(domain.Event) bool { return true }})
	if err != nil {
		b.Fatal(err)
	}
	tr.gate.strangers.rate, tr.gate.strangers.burst = 1e9, 1e12
	msg := []byte(strings.ReplaceAll(rawRegister("Expires: 3600\r\n"), "{n}", "1"))
	v := visit{place{"UDP", netipAt("10.0.0.7:5060")}, func([]byte) error { return nil }}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tr.gate.admit(msg, v); ok {
			b.Fatal("let in")
		}
	}
}
