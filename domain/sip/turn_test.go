package sip

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"districtgateway/domain"
)

const movedText, stoppedText = "<PTZCmd>A50F010280000037</PTZCmd>", "<PTZCmd>A50F0100000000B5</PTZCmd>"

// send sends messages of one after the other, without a look at the answers.
func (p *rawPeer) send(msgs ...string) {
	for _, msg := range msgs {
		p.seq++
		p.sock.WriteTo([]byte(strings.ReplaceAll(msg, "{n}", fmt.Sprint(p.seq))), net.UDPAddrFromAddrPort(p.w.upAt))
	}
}

func wantTurns(t *testing.T, s *turns, known, hosts int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) != known || len(s.last) != hosts || len(s.held) > known || known == 0 && len(s.held) > 0 {
		t.Errorf("%d turns of %d hosts, want %d of %d", len(s.known), len(s.last), known, hosts)
	}
}

// TestCameraCommandsKeepTheirOrder: what stops a camera does not overtake what moved it,
// and what is said twice is told twice.
func TestCameraCommandsKeepTheirOrder(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			for i := range 100 {
				for _, c := range []domain.PTZ{left128, left128, {}} {
					w.up.Send(domain.AskPTZ{Tag: w.up.nextTag(), Peer: lowerRef(), SN: i, Channel: camera, Command: c})
				}
				a, b, c := expect[domain.PTZIn](w.down), expect[domain.PTZIn](w.down), expect[domain.PTZIn](w.down)
				if a.Command != left128 || b.Command != left128 || !c.Command.Stops() || a.Ref == b.Ref {
					t.Fatalf("%d: %v, %v, %v", i, a.Command, b.Command, c.Command)
				}
			}
		})
	})
}

func TestCameraCommandsOfAnyPeerKeepTheirOrder(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		for i := range 100 {
			p.send(keepaliveText("", "", ptzBody(movedText)), keepaliveText("", "", strings.ToLower(ptzBody(stoppedText))))
			if a, b := expect[domain.PTZIn](w.up), expect[domain.PTZIn](w.up); !a.Command.Moves() || !b.Command.Stops() {
				t.Fatalf("%d: %v, then %v", i, a.Command, b.Command)
			}
		}
		synctest.Wait()
		wantTurns(t, w.up.gate.turns, 200, 0)
		time.Sleep(time.Minute)
		wantTurns(t, w.up.gate.turns, 0, 0)
	})
}

// TestTurnNobodyTakesIsWaitedForButNotLong: of what is refused before its body is read;
// a copy of what waits for its answer has none.
func TestTurnNobodyTakesIsWaitedForButNotLong(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		w.up.script(func(*station, domain.Event) {})
		told := func(want domain.PTZ, after time.Duration) {
			t.Helper()
			began := time.Now()
			if in := expect[domain.PTZIn](w.up); in.Command != want || time.Since(began) != after {
				t.Errorf("%v after %v", in.Command, time.Since(began))
			}
			quiet[domain.PTZIn](w.up)
		}
		moved := strings.ReplaceAll(keepaliveText("", "", ptzBody(movedText)), "{n}", "same")
		p.send(moved)
		told(left128, 0)
		synctest.Wait()
		p.send(moved, moved, keepaliveText("", "", ptzBody(stoppedText)))
		told(domain.PTZ{}, 0)
		p.send(strings.Replace(keepaliveText("", "", ptzBody(movedText)), "7 MESSAGE", "7 INFO", 1), keepaliveText("", "", ptzBody(stoppedText)))
		told(domain.PTZ{}, turnWait)
	})
}

func TestTurnsAreOfCommandsAndBounded(t *testing.T) {
	branch := func(n int) string { return fmt.Sprintf("Via: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK%d;rport\r\n", n) }
	for msg, want := range map[string]string{
		branch(1) + "\r\n<PTZCmd>":                               "z9hG4bK1",
		branch(1) + branch(2) + "\r\n<ptzcmd>":                   "z9hG4bK1",
		"v: SIP/2.0/UDP 10.0.0.7;branch=z9\r\n\r\nPTZCmd":        "z9",
		branch(1) + "\r\n<IFrameCmd>":                            "",
		"\r\n<PTZCmd>":                                           "",
		"branch=PTZCmd":                                          "",
		branch(1) + "PTZCmd" + strings.Repeat("x", maxCommand):   "",
		"branch=" + strings.Repeat("x", maxBranch+1) + ";PTZCmd": "",
	} {
		if got := commandBranch([]byte(msg)); got != want {
			t.Errorf("%.80q: %q", msg, got)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newTurns()
		for n := range maxTurns + 10 {
			s.enter(netip.MustParseAddr("10.0.0.7"), []byte(branch(n)+"\r\n<PTZCmd>"))
		}
		wantTurns(t, s, maxTurns, 1)
		s.enter(netip.MustParseAddr("10.0.0.8"), []byte(branch(0)+"\r\n<PTZCmd>")) // who floods loses his own order
		wantTurns(t, s, maxTurns+1, 2)
		time.Sleep(turnWait)
		synctest.Wait()
		wantTurns(t, s, 0, 0)
	})
}
