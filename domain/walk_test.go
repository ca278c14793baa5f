package domain

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the machines do to testdata/walk; read the difference before you keep it")

var noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func testDesk() *desk {
	d := newDesk(1)
	d.now = noon
	return &d
}

// took names the effects since the last call, without their numbers.
func took(d *desk) string {
	var names []string
	for _, fx := range d.out {
		name := strings.TrimPrefix(fmt.Sprintf("%T", fx), "domain.")
		switch fx := fx.(type) {
		case Reply:
			name = answerName(name, fx.Err)
		case ReplyRegister:
			name = answerName(name, fx.Err)
		case RefuseInvite:
			name = answerName(name, fx.Err)
		case Denied:
			name = answerName(name, fx.Err)
		case Ended:
			name = answerName(name, fx.Err)
		case Register:
			if name = fmt.Sprintf("%s(%v)", name, fx.Expires); fx.Leaving {
				name = fmt.Sprintf("%s leaving", name)
			}
			if fx.Force {
				name += " by force"
			}
		case Control:
			name = fmt.Sprintf("%s(%v)", name, fx.Command.Verb)
		case ControlSender:
			name = fmt.Sprintf("%s(%v)", name, fx.Command.Verb)
		case HoldReceiver:
			name = fmt.Sprintf("%s(%v)", name, fx.Held)
		}
		names = append(names, name)
	}
	d.out = nil
	return strings.Join(names, " ")
}

func answerName(name string, err error) string {
	if err == nil {
		return name + "(ok)"
	}
	return name + "(" + err.Error() + ")"
}

// walked compares the lines of a walk with what was reviewed.
func walked(t *testing.T, name string, lines []string) {
	t.Helper()
	path := filepath.Join("testdata", "walk", name+".txt")
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s walks another way (-reviewed +now):\n%s", name, diff)
	}
}

// A named event of a walk.
type named struct {
	name string
	ev   any
}

var errTest = errors.New("fault")

func TestReceiverWalk(t *testing.T) {
	events := []named{{"opened", rxOpened{}}, {"answered 200", rxAnswered{Answered{Status: 200}}},
		{"answered 486", rxAnswered{Answered{Status: 486, Reason: "Busy Here"}}}, {"answered never", rxAnswered{}},
		{"picture", rxPicture{}}, {"ended", rxEnded{}}, {"ended fault", rxEnded{errTest}}, {"bye", rxBye{"gone"}},
		{"sent all", rxSentAll{}}, {"due", rxDue{}}, {"joined", rxJoined{}}, {"alone", rxAlone{}},
		{"lost", rxLost{ErrPeerOffline}}}
	var lines []string
	for _, kind := range []Kind{Live, Playback} {
		for state := rxOpening; state <= rxGone; state++ {
			for _, e := range events {
				lines = append(lines, receiverStep(t, kind, state, e))
			}
		}
	}
	walked(t, "receiver", lines)
}

func receiverStep(t *testing.T, kind Kind, state rxState, e named) string {
	d := testDesk()
	r := &receiver{leg: 7, state: state, peer: newLower(PeerConfig{Code: "33010200002000000001", Role: Lower}),
		below: "33010200001320000001", linger: time.Second,
		request: request{stream: StreamID{Channel: "33010200001320000001", Kind: kind}, limit: noon.Add(time.Second)}}
	r.alarm.owner = r
	if r.open() {
		r.at = noon
	}
	r.last.sent = state == rxDraining || state == rxDrained
	if state > rxOpening {
		r.tag = d.ask(rxWait{r})
	}
	v, err := r.step(d, e.ev)
	closes, byes := 0, 0
	for _, fx := range d.out {
		switch fx.(type) {
		case CloseLeg:
			closes++
		case Bye, Cancel:
			byes++
		}
	}
	_, legGone := e.ev.(rxEnded)
	held := state < rxCancelled && state != rxUnsaid && !legGone
	if now := r.open() && r.state != rxUnsaid; held && !now && closes != 1 || !held && closes != 0 || now && closes != 0 {
		t.Errorf("%v %s: leg closed %d times, now %v", state, e.name, closes, r.state)
	}
	if byes > 1 || r.state == rxGone && r.alarm.place != 0 {
		t.Errorf("%v %s: %d goodbyes, alarm set %v", state, e.name, byes, r.alarm.place != 0)
	}
	return fmt.Sprintf("%s %s, %s: %s [%s] %s", kind, state, e.name, r.state, took(d), verdictName(v, err))
}

func verdictName(v verdict, err error) string {
	name := [...]string{"", "ready", "over"}[v]
	if err != nil {
		name += ": " + err.Error()
	}
	return name
}

func TestSenderWalk(t *testing.T) {
	events := []named{{"source", txSource{3}}, {"opened", txOpened{}}, {"ack", txAck{}}, {"cancel", txCancel{}},
		{"bye", txBye{}}, {"ended", txEnded{}}, {"ended fault", txEnded{errTest}}, {"over", txOver{}},
		{"over fault", txOver{errTest}}, {"due", txDue{}}, {"drop", txDrop{ErrPeerOffline}}}
	var lines []string
	for _, kind := range []Kind{Live, Playback} {
		for state := txWaiting; state <= txGone; state++ {
			for _, e := range events {
				lines = append(lines, senderStep(t, kind, state, e))
			}
		}
	}
	walked(t, "sender", lines)
}

// TestSenderWaitsForTheLastWordOnARecording: a sender in the middle tells its upper
// that all was sent only once its own leg has sent it and the lower has said so.
func TestSenderWaitsForTheLastWordOnARecording(t *testing.T) {
	for name, tc := range map[string]struct {
		events []any
		want   string
	}{
		"leg first":         {[]any{txEnded{}, txOver{}}, "ending [SendMediaStatus]"},
		"word first":        {[]any{txOver{}, txEnded{}}, "ending [SendMediaStatus]"},
		"word only":         {[]any{txOver{}}, "flowing []"},
		"leg only":          {[]any{txEnded{}}, "flowing []"},
		"the word is bad":   {[]any{txEnded{}, txOver{errTest}}, "gone [Bye]"},
		"the word is late":  {[]any{txEnded{}, txDue{}}, "gone [Bye]"},
		"leg ends with one": {[]any{txEnded{errTest}}, "gone [Bye]"},
	} {
		t.Run(name, func(t *testing.T) {
			d := testDesk()
			s := &sender{dialog: 9, upper: newUpper(PeerConfig{Code: "33010000002000000001", Role: Upper}), state: txFlowing,
				stream: StreamID{Kind: Playback}, leg: 7, from: &receiver{state: rxGone}}
			s.alarm.owner = s
			for _, ev := range tc.events {
				s.step(d, ev)
				if _, late := ev.(txEnded); late {
					d.now = d.now.Add(time.Minute)
				}
			}
			if got := fmt.Sprintf("%s [%s]", s.state, took(d)); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

func senderStep(t *testing.T, kind Kind, state txState, e named) string {
	d := testDesk()
	s := &sender{dialog: 9, upper: newUpper(PeerConfig{Code: "33010000002000000001", Role: Upper}), state: state,
		stream: StreamID{Kind: kind}}
	s.alarm.owner = s
	if state < txGone {
		s.at = noon
	}
	if state > txWaiting && state < txGone {
		s.leg = 7
	}
	s.step(d, e.ev)
	answers, byes := 0, 0
	for _, fx := range d.out {
		switch fx.(type) {
		case AnswerInvite, RefuseInvite:
			answers++
		case Bye:
			byes++
		}
	}
	_, cancelled := e.ev.(txCancel)
	early := state <= txOpening
	if left := s.state > txOpening; early && (left && !cancelled) != (answers == 1) || !early && answers != 0 || early && byes != 0 {
		t.Errorf("%v %s: %d answers, %d goodbyes, now %v", state, e.name, answers, byes, s.state)
	}
	if s.state == txGone && (s.leg != 0 || s.alarm.place != 0) {
		t.Errorf("%v %s: leg %d is left, alarm %v", state, e.name, s.leg, s.alarm.place != 0)
	}
	return fmt.Sprintf("%s %s, %s: %s [%s]", kind, state, e.name, s.state, took(d))
}

func TestWatchWalk(t *testing.T) {
	events := []named{{"ready", watchReady{3}}, {"over", watchOver{}}, {"over fault", watchOver{errTest}},
		{"out", watchOut{}}, {"due", watchDue{}}}
	var lines []string
	for state := watchWaiting; state <= watchGone; state++ {
		for _, e := range events {
			d := testDesk()
			w := &watch{state: state, at: noon}
			w.step(d, e.ev)
			lines = append(lines, fmt.Sprintf("%d, %s: %d [%s]", state, e.name, w.state, took(d)))
		}
	}
	walked(t, "watch", lines)
}

func TestUpperWalk(t *testing.T) {
	ok := Answered{Tag: 1, Status: 200, Expires: time.Hour, Caps: CapUpperKeepalive}
	events := []named{{"start", upStart{}}, {"due", upDue{}}, {"heard", upHeard{}}, {"stop", upStop{}},
		{"registered", upRegistered{ok}}, {"registered 403", upRegistered{Answered{Tag: 1, Status: 403, Reason: "Forbidden"}}},
		{"registered 503", upRegistered{Answered{Tag: 1, Status: 503, Reason: "Busy"}}}, {"registered never", upRegistered{Answered{Tag: 1}}},
		{"beaten", upBeaten{Answered{Tag: 2, Status: 200}}}, {"beaten 403", upBeaten{Answered{Tag: 2, Status: 403, Reason: "Forbidden"}}},
		{"beaten 500", upBeaten{Answered{Tag: 2, Status: 500}}}, {"beaten never", upBeaten{Answered{Tag: 2}}}}
	var lines []string
	for state := LinkIdle; state <= LinkLeft; state++ {
		for _, e := range events {
			for _, missed := range []int{0, 2} {
				lines = append(lines, upperStep(state, missed, e))
			}
		}
	}
	walked(t, "upper", slices.Compact(lines))
}

func upperStep(state LinkState, missed int, e named) string {
	d := testDesk()
	u := newUpper(PeerConfig{Code: "33010000002000000001", Role: Upper})
	u.link.State, u.missed, u.tried = state, missed, noon.Add(-time.Minute)
	u.registering, u.beating, d.last = 1, 2, 2
	switch state {
	case LinkOnline:
		u.registerAt, u.beatAt, u.silentAt = noon.Add(time.Minute), noon, noon.Add(time.Minute)
		u.link.Expires = noon.Add(time.Hour)
		if u.registering = 0; strings.HasPrefix(e.name, "registered") {
			u.registering = 1
		}
	case LinkRefused, LinkOffline:
		u.registering, u.registerAt = 0, noon
		if strings.HasPrefix(e.name, "registered") {
			u.registering = 1
		}
	case LinkRegistering, LinkLeaving:
		u.registerAt = noon.Add(time.Minute)
	case LinkIdle, LinkLeft:
		u.registering = 0
	}
	u.step(d, e.ev)
	next := "never"
	if u.alarm.place > 0 {
		next = u.alarm.at.Sub(noon).Round(time.Second).String()
	}
	return fmt.Sprintf("%s missed %d, %s: %s %q [%s] next %s", state, missed, e.name, u.link.State, u.link.Reason, took(d), next)
}

func TestLowerWalk(t *testing.T) {
	here, there := Origin{Address: "udp:10.0.0.1:5060"}, Origin{Address: "udp:10.0.0.2:5060"}
	reg := func(o Origin, instance string, expires time.Duration, leaving, busy, force bool) any {
		return downRegister{RegisterIn{Origin: o, Expires: expires, Instance: instance, Leaving: leaving, Force: force, Caps: ownCaps}, busy}
	}
	events := []named{
		{"register", reg(here, "a", time.Hour, false, false, false)},
		{"register elsewhere", reg(there, "a", time.Hour, false, false, false)},
		{"register other instance", reg(there, "b", time.Hour, false, false, false)},
		{"register without instance", reg(there, "", time.Hour, false, false, false)},
		{"down", reg(here, "a", 0, false, false, false)}, {"down while busy", reg(here, "a", 0, false, true, false)},
		{"down other instance", reg(there, "b", 0, false, false, false)},
		{"leave", reg(here, "a", 0, true, false, false)}, {"leave while busy", reg(here, "a", 0, true, true, false)},
		{"leave by force", reg(here, "a", 0, true, true, true)},
		{"beat", downBeat{KeepaliveIn{Origin: here}}}, {"beat new port", downBeat{KeepaliveIn{Origin: Origin{Address: "udp:10.0.0.1:9"}}}},
		{"beat elsewhere", downBeat{KeepaliveIn{Origin: there}}},
		{"beat elsewhere, proved", downBeat{KeepaliveIn{Origin: Origin{Address: there.Address, Proved: true}}}},
		{"heard", downHeard{}}, {"start", downStart{}}, {"due", downDue{}}, {"silent", downDue{}},
		{"answer", downAnswer{Answered{Tag: 1, Status: 200}}}, {"answer 403", downAnswer{Answered{Tag: 1, Status: 403}}},
		{"answer never", downAnswer{Answered{Tag: 1}}}, {"old answer", downAnswer{Answered{Tag: 9, Status: 200}}},
		{"old answer never", downAnswer{Answered{Tag: 9}}},
	}
	var lines []string
	for _, state := range []LinkState{LinkIdle, LinkOnline, LinkOffline} {
		for _, caps := range []Capability{0, ownCaps} {
			for _, e := range events {
				lines = append(lines, lowerStep(state, caps, lowerIn{}, e), lowerStep(state, caps, lowerIn{forget: true}, e))
				if state == LinkOnline && caps != 0 {
					lines = append(lines, lowerStep(state, caps, lowerIn{missed: 2}, e))
				}
			}
		}
	}
	walked(t, "lower", lines)
}

// A lowerIn is what a lower is in besides its state.
type lowerIn struct {
	missed int
	forget bool
}

func (in lowerIn) String() string {
	switch {
	case in.forget:
		return ", to be forgotten"
	case in.missed > 0:
		return fmt.Sprintf(", missed %d", in.missed)
	}
	return ""
}

func lowerStep(state LinkState, caps Capability, in lowerIn, e named) string {
	d := testDesk()
	l := newLower(PeerConfig{Code: "33010200002000000001", Role: Lower, Forget: in.forget})
	if state != LinkIdle {
		l.link.Address, l.link.Caps, l.link.LastSeen = "udp:10.0.0.1:5060", caps, noon
		l.link.Expires = noon.Add(time.Hour)
		if caps != 0 {
			l.link.Instance = "a"
		}
	}
	if l.link.State = state; state == LinkOnline {
		l.silentAt, l.beatAt, l.missed = noon.Add(time.Minute), noon, in.missed
		if caps.Has(CapUpperKeepalive) {
			l.beating, d.last = 1, 1
		}
	}
	if state != LinkIdle && e.name == "silent" {
		l.silentAt = noon
	}
	l.step(d, e.ev)
	next := "never"
	if l.alarm.place > 0 {
		next = l.alarm.at.Sub(noon).Round(time.Second).String()
	}
	return fmt.Sprintf("%s caps %d%s, %s: %s at %s %q missed %d [%s] next %s", state, caps, in, e.name, l.link.State, l.link.Address,
		l.link.Reason, l.missed, took(d), next)
}
