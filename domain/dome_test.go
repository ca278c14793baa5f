package domain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Commands of the tests.
var (
	left     = PTZ{Pan: Axis{Left, 128}}
	right    = PTZ{Pan: Axis{Right, 128}}
	near     = PTZ{Action: PTZLens, Focus: Axis{FocusNear, 9}}
	lensStop = PTZ{Action: PTZLens}
	call7    = PTZ{Action: PresetCall, Number: 7}
	set7     = PTZ{Action: PresetSet, Number: 7}
)

// A stand is a bench on which cameras are moved.
type stand struct {
	*bench
	ticket Ticket
	told   map[Ticket]error // nil: done
	said   map[Ref]error
}

// newStand has a camera of ours and two of a lower's. The upper has rank 50.
func newStand(t *testing.T, upper, lower Capability) *stand {
	t.Helper()
	b := stocked(t, func(c *Config) { c.Peers[0].Rank = 50 })
	b.p.uppers[0].link.Caps, b.p.lowers[below].link.Caps = upper, lower
	return &stand{b, 0, make(map[Ticket]error), make(map[Ref]error)}
}

// note keeps what was told, and returns the orders that were given: ">left 128" to the
// lower, "!left 128" to our own camera.
func (s *stand) note(out []Effect) string {
	var given []string
	for _, fx := range out {
		switch fx := fx.(type) {
		case AskPTZ:
			given = append(given, ">"+fx.Command.String())
		case DrivePTZ:
			given = append(given, "!"+fx.Command.String())
		case Reply:
			s.said[fx.Ref] = fx.Err
		case Done:
			s.told[fx.Ticket] = nil
		case Denied:
			s.told[fx.Ticket] = fx.Err
		}
	}
	return strings.Join(given, " ")
}

// asks has a local user ask, and returns the orders that were given.
func (s *stand) asks(user string, channel NodeID, p PTZ) string {
	s.ticket++
	return s.note(s.step(PTZAsked{Ticket: s.ticket, User: user, Channel: Code(channel), Command: p}))
}

// calls has the upper ask, which answers under ref.
func (s *stand) calls(ref Ref, channel NodeID, p PTZ) string {
	return s.note(s.step(PTZIn{Ref: ref, Origin: fromAbove, Target: channel, Command: p}))
}

// waits lets d pass.
func (s *stand) waits(d time.Duration) string { return s.note(s.pass(d)) }

// serves lets d pass while a camera obeys at once.
func (s *stand) serves(channel NodeID, d time.Duration) string {
	var given []string
	for end := s.now.Add(d); s.now.Before(end); {
		if got := s.waits(min(100*time.Millisecond, end.Sub(s.now))); got != "" {
			given = append(given, got)
			s.obey(channel, nil)
		}
	}
	return strings.Join(given, " ")
}

// obey answers what is under way for a channel.
func (s *stand) obey(channel NodeID, err error) string {
	s.t.Helper()
	for tag, w := range s.p.desk.tags {
		o, ok := w.(orderWait)
		if !ok || o.d.channel != Code(channel) || o.d.sent != o.o {
			continue
		}
		if o.d.lower == nil {
			return s.note(s.step(Driven{tag, err}))
		}
		ev := Answered{Tag: tag, Status: 200}
		if r, refused := errors.AsType[*Refused](err); refused {
			ev.Status, ev.Reason = r.Status, r.Reason
		} else if err != nil {
			ev = Answered{Tag: tag}
		}
		return s.note(s.step(ev))
	}
	s.t.Fatalf("nothing is under way for %s", channel)
	return ""
}

func (s *stand) want(got, want string) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("orders %q, want %q", got, want)
	}
}

func TestCameraIsMovedWhereItIs(t *testing.T) {
	for name, tc := range map[string]struct {
		channel NodeID
		want    string
		err     error
	}{
		"ours":       {camOwn, "!left 128", nil},
		"a lower's":  {camA, ">left 128", nil},
		"unknown":    {"33010200001320009999", "", ErrNoChannel},
		"a recorder": {nvr, "", ErrNoChannel},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, 0, 0)
			s.want(s.asks("wang", tc.channel, left), tc.want)
			if tc.err == nil {
				if _, early := s.told[1]; early {
					t.Error("answered before the camera was")
				}
				s.obey(tc.channel, nil)
			}
			if got, ok := s.told[1]; !ok || !errors.Is(got, tc.err) {
				t.Errorf("told %v (%v), want %v", got, ok, tc.err)
			}
		})
	}
	s := newStand(t, 0, 0)
	s.step(DevicesChanged{Items: []Item{{ID: camOwn, Status: StatusOn, PTZ: PTZFixed}}})
	s.want(s.asks("wang", camOwn, left), "")
	s.want(s.calls(9, camOwn, left), "")
	s.want(s.asks("wang", camA, PTZ{Action: PresetCall}), "")
	for i, got := range []error{s.told[1], s.said[9], s.told[2]} {
		if !errors.Is(got, ErrUnable) {
			t.Errorf("%d: %v", i, got)
		}
	}
	s.p.uppers[0].cfg.Rank = 0
	if s.want(s.calls(10, camA, left), ""); !errors.Is(s.said[10], ErrDenied) {
		t.Errorf("an upper without rank: %v", s.said[10])
	}
}

// A stop never overtakes the movement that it ends, and what was not sent yet is not
// sent any more.
func TestOneOrderAtATime(t *testing.T) {
	s := newStand(t, 0, 0)
	s.want(s.asks("wang", camA, left), ">left 128")
	s.want(s.asks("wang", camA, right), "")
	s.want(s.asks("wang", camA, near), "")
	s.want(s.asks("wang", camA, PTZ{}), "")
	s.want(s.obey(camA, nil), ">stop")
	s.want(s.obey(camA, nil), ">lens stop")
	s.want(s.asks("wang", camA, call7), "")
	s.want(s.asks("wang", camA, set7), "")
	s.want(s.obey(camA, nil), ">preset call 7")
	s.want(s.obey(camA, nil), ">preset set 7")
	s.want(s.obey(camA, nil), "")
	for i := range Ticket(6) {
		if err, ok := s.told[i+1]; !ok || err != nil {
			t.Errorf("ticket %d: %v (%v)", i+1, err, ok)
		}
	}
}

func TestQueueIsBoundedButForAStop(t *testing.T) {
	s := newStand(t, 0, 0)
	s.asks("wang", camA, left)
	for range mostQueue {
		s.asks("wang", camA, call7)
	}
	s.asks("wang", camA, set7)
	if !errors.Is(s.told[mostQueue+2], ErrBusy) {
		t.Errorf("one too many: %v", s.told[mostQueue+2])
	}
	s.asks("wang", camA, PTZ{})
	if err, ok := s.told[mostQueue+3]; ok {
		t.Errorf("a stop was refused: %v", err)
	}
}

// A movement ends if nobody asks for it any more: soon where who asks would repeat it,
// late where he sends one start and one stop.
func TestMovementEndsByItself(t *testing.T) {
	for name, tc := range map[string]struct {
		caps Capability
		user bool
		set  time.Duration
		want time.Duration
	}{
		"a local user":         {0, true, time.Minute, repeatedFor},
		"negotiated upper":     {CapPTZ, false, time.Minute, repeatedFor},
		"standard upper":       {0, false, 0, standardFor},
		"standard, as was set": {0, false, 12 * time.Second, 12 * time.Second},
	} {
		for channel, mark := range map[NodeID]string{camA: ">", camOwn: "!"} {
			s := newStand(t, tc.caps, 0)
			s.p.cfg.MoveFor = tc.set
			ask := func() string {
				if tc.user {
					return s.asks("wang", channel, left)
				}
				return s.calls(1, channel, left)
			}
			s.want(ask(), mark+"left 128")
			s.obey(channel, nil)
			s.serves(channel, tc.want-300*time.Millisecond)
			s.want(ask(), "") // it goes on
			if got := s.serves(channel, tc.want-time.Millisecond); strings.Contains(got, "stop") {
				t.Errorf("%s, %s: stopped too early: %s", name, mark, got)
			}
			s.want(s.waits(time.Millisecond), mark+"stop")
			s.obey(channel, nil)
			if s.waits(handFor); len(s.p.domes) != 0 {
				t.Errorf("%s: %d domes left", name, len(s.p.domes))
			}
		}
	}
}

// Who expects a movement to be repeated has it repeated, as long as it lasts; a preset
// that the camera goes to meanwhile is not disturbed.
func TestMovementIsRepeatedToWhoExpectsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		caps    Capability
		channel NodeID
		every   time.Duration
	}{
		"negotiated lower": {CapPTZ, camA, repeatEvery},
		"standard lower":   {0, camA, 0},
		"our own":          {0, camOwn, driveEvery},
	} {
		s := newStand(t, 0, tc.caps)
		s.calls(1, tc.channel, left)
		s.obey(tc.channel, nil)
		n := strings.Count(s.serves(tc.channel, 20*time.Second), "left 128")
		want := 0
		if tc.every > 0 {
			want = int(20 * time.Second / tc.every)
		}
		if n < want-2 || n > want {
			t.Errorf("%s: repeated %d times in 20 s, want %d", name, n, want)
		}
		s.calls(2, tc.channel, call7)
		s.waits(2500 * time.Millisecond)
		s.want(s.obey(tc.channel, nil), "")
		s.want(s.waits(time.Minute), "")
	}
}

func TestFailedMovementIsStopped(t *testing.T) {
	for name, tc := range map[string]struct {
		channel NodeID
		err     error
		want    string
	}{
		"refused below":    {camA, &Refused{Status: 403, Reason: "Camera Held"}, ""},
		"silence below":    {camA, ErrTimeout, ">stop"},
		"fault below":      {camA, &Refused{Status: 408}, ">stop"},
		"cannot":           {camOwn, fmt.Errorf("%w: no preset 7", ErrUnable), ""},
		"does not answer":  {camOwn, ErrOffline, "!stop"},
		"it moves anybody": {camOwn, nil, ""},
	} {
		s := newStand(t, 0, 0)
		s.calls(1, tc.channel, left)
		if s.want(s.obey(tc.channel, tc.err), tc.want); (s.said[1] == nil) != (tc.err == nil) {
			t.Errorf("%s: told %v", name, s.said[1])
		}
		if r, ok := errors.AsType[*Refused](s.said[1]); tc.channel == camA && (!ok || r.Level != below) {
			t.Errorf("%s: told %v", name, s.said[1])
		}
		if tc.want != "" {
			s.obey(tc.channel, nil)
		}
		if got := s.serves(tc.channel, time.Minute); (tc.err == nil) != strings.Contains(got, "stop") {
			t.Errorf("%s: later %q", name, got)
		}
	}
}

// A stop that nobody answers is sent again; what was given up and arrives after it is
// set right.
func TestStopIsInsistedOn(t *testing.T) {
	s := newStand(t, 0, 0)
	s.calls(1, camA, left)
	s.obey(camA, nil)
	s.want(s.calls(2, camA, PTZ{}), ">stop")
	s.want(s.obey(camA, ErrTimeout), ">stop")
	s.want(s.obey(camA, ErrTimeout), ">stop")
	s.want(s.obey(camA, ErrTimeout), "")

	s = newStand(t, 0, 0)
	s.want(s.asks("wang", camA, left), ">left 128")
	start := s.p.domes[Code(camA)].sent
	s.want(s.asks("wang", camA, PTZ{}), "")
	s.want(s.waits(hastyFor-time.Millisecond), "")
	s.want(s.waits(time.Millisecond), ">stop")
	if !errors.Is(s.told[1], ErrTimeout) {
		t.Errorf("who waited is told %v", s.told[1])
	}
	s.obey(camA, nil)
	s.waits(2 * handFor) // nobody moves it or holds it any more
	for tag, w := range s.p.desk.tags {
		if ow, ok := w.(orderWait); ok && ow.o == start {
			s.want(s.note(s.step(Answered{Tag: tag, Status: 200})), ">stop")
		}
	}
	s.want(s.obey(camA, nil), "")
	if s.waits(time.Minute); len(s.p.domes) != 0 {
		t.Errorf("%d domes left", len(s.p.domes))
	}
}

// Who moves a camera has it for a while; one of higher rank takes it over.
func TestCameraIsHeldByWhoMovesIt(t *testing.T) {
	s := newStand(t, 0, 0)
	refused := func(err error, words string) {
		t.Helper()
		if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), words) {
			t.Errorf("told %v, want %q in it", err, words)
		}
	}
	s.want(s.calls(1, camOwn, left), "!left 128")
	s.obey(camOwn, nil)
	s.want(s.asks("wang", camOwn, near), "!stop") // of higher rank: what the upper moves ends
	s.want(s.obey(camOwn, nil), "!focus near 9")
	s.obey(camOwn, nil)
	s.want(s.calls(2, camOwn, left), "")
	refused(s.said[2], "a user of this server, for 10s more")
	s.want(s.calls(3, camOwn, PTZ{}), "")
	refused(s.said[3], "this server")
	s.want(s.asks("li", camOwn, left), "")
	refused(s.told[2], "wang, for 10s more")
	s.want(s.asks("wang", camOwn, lensStop), "!lens stop")
	s.obey(camOwn, nil)
	s.waits(handFor)
	s.want(s.asks("li", camOwn, left), "!left 128")
	s.obey(camOwn, nil)

	s.want(s.note(s.step(PTZAsked{Ticket: 90, User: "li", Channel: Code(camOwn), Hold: time.Minute})), "") // a cruise would go on
	s.serves(camOwn, 59*time.Second)
	s.want(s.asks("wang", camOwn, left), "")
	s.want(s.note(s.step(PTZAsked{Ticket: 91, User: "li", Channel: Code(camOwn), Hold: -1})), "")
	s.want(s.asks("wang", camOwn, left), "!left 128")
	s.want(s.note(s.step(PTZAsked{Ticket: 92, User: "li", Channel: Code(camOwn), Rank: 1, Command: right})), "")
	s.want(s.obey(camOwn, nil), "!right 128")
}

// Another upper is not named: servers of one level do not see each other.
func TestHolderOfTheSameLevelIsNotNamed(t *testing.T) {
	const second = Code("33000000002000000002")
	b := stocked(t, func(c *Config) {
		c.Peers[0].Rank = 50
		c.Peers = append(c.Peers, PeerConfig{Code: second, Role: Upper, Address: "10.0.0.7:5060", Rank: 50})
	})
	b.p.byCode[second].link.State = LinkOnline
	s := &stand{b, 0, make(map[Ticket]error), make(map[Ref]error)}
	s.calls(1, camOwn, left)
	s.note(s.step(PTZIn{Ref: 2, Origin: Origin{From: second, Address: "udp:10.0.0.7:5060", Proved: true}, Target: camOwn, Command: left, Rank: 5}))
	if err := s.said[2]; !errors.Is(err, ErrHeld) || strings.Contains(err.Error(), string(above)) {
		t.Errorf("told %v", err)
	}
}

// Only who agreed on it is told who asked, and of his rank and hold.
func TestAskerTravelsWhereItWasAgreedOn(t *testing.T) {
	for caps, want := range map[Capability]AskPTZ{
		0:      {Command: left},
		CapPTZ: {Command: left, Rank: 50, Asker: "33000000002000000001-li", Hold: time.Minute},
	} {
		s := newStand(t, CapPTZ, caps)
		out := s.step(PTZIn{Ref: 1, Origin: fromAbove, Target: camA, Command: left, Rank: 3, Asker: "33000000002000000001-li", Hold: time.Minute})
		got, _ := find1[AskPTZ](out)
		want.Tag, want.Peer, want.SN, want.Channel = got.Tag, PeerRef{below, Lower}, got.SN, Code(camA)
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	s := newStand(t, CapPTZ, CapPTZ)
	hold := PTZIn{Ref: 1, Origin: fromAbove, Target: camA, Hold: time.Minute}
	fx, _ := find1[AskPTZ](s.step(hold))
	if fx.Hold != time.Minute || fx.Command != lensStop {
		t.Errorf("a hold is passed on as %+v", fx)
	}
	s.obey(camA, nil)
	s.p.lowers[below].link.Caps = 0
	if s.want(s.note(s.step(hold)), ""); s.said[1] != nil {
		t.Errorf("a hold of a standard lower's camera: %v", s.said[1])
	}
	s = newStand(t, 0, CapPTZ)
	got, _ := find1[AskPTZ](s.step(PTZAsked{Ticket: 1, User: "li", Channel: Code(camA), Rank: 7, Command: left}))
	if got.Asker != string(self)+"-li" || got.Rank != 107 {
		t.Errorf("%+v", got)
	}
}

// What an upper moves ends with its link, and with us; what a lower was to do cannot be
// known any more when that is gone.
func TestMovementEndsWithTheLink(t *testing.T) {
	s := newStand(t, 0, 0)
	s.calls(1, camA, left)
	s.obey(camA, nil)
	s.calls(2, camOwn, left)
	s.obey(camOwn, nil)
	s.p.desk.out = nil
	s.p.stepUpper(s.p.uppers[0], upStop{})
	s.want(s.note(s.p.desk.out), "!stop >stop")

	s = newStand(t, 0, 0)
	s.asks("wang", camA, left)
	s.asks("wang", camA, call7)
	s.p.desk.out = nil
	s.p.lowerGone(s.p.lowers[below])
	if s.note(s.p.desk.out); !errors.Is(s.told[1], ErrPeerOffline) || !errors.Is(s.told[2], ErrPeerOffline) || len(s.p.domes) != 0 {
		t.Errorf("told %v and %v, %d domes", s.told[1], s.told[2], len(s.p.domes))
	}

	s = newStand(t, 0, 0)
	s.asks("wang", camOwn, left)
	s.step(DevicesChanged{Removed: []NodeID{camOwn}})
	if len(s.p.domes) != 0 {
		t.Error("a camera that is gone is still moved")
	}

	s = newStand(t, 0, 0)
	s.asks("wang", camOwn, left)
	s.obey(camOwn, nil)
	s.want(s.note(s.step(Stop{})), "!stop")
	if s.p.quiet() {
		t.Error("the end does not wait for the camera")
	}
	s.asks("wang", camOwn, left)
	if !errors.Is(s.told[2], ErrGone) {
		t.Errorf("while it ends: %v", s.told[2])
	}
}
