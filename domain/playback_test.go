package domain_test

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

const nationID = domain.Code("00000000002000000001") // an upper of another make, above the province

// A viewing is a playback at a foreign upper, over three levels of ours.
type viewing struct {
	*levels
	nation *domaintest.Node
	ticket *domaintest.Ticket
}

// view has the nation play a recording of the district.
func view(t *testing.T, seed uint64, kind domain.Kind) *viewing {
	t.Helper()
	l := newLevels(seed)
	v := &viewing{levels: l, nation: l.Add(nationID)}
	l.Join(l.province, v.nation)
	l.Length = 40 * time.Second
	online(t, l)
	l.Run(10 * time.Second)
	v.ticket = v.nation.Watch(gate, kind, morning)
	l.Run(time.Second)
	if !v.ticket.Open {
		t.Fatalf("%+v", v.ticket)
	}
	// A foreign upper bears the pause that it asked for.
	for _, s := range v.nation.Core().Sessions() {
		v.nation.Hold(s.Leg)
	}
	return v
}

// send sends a command and lets it be answered.
func (v *viewing) send(c domain.Command) domain.Answered {
	a := v.nation.Control(c)
	v.Run(time.Second)
	return *a
}

// TestPlaybackIsPausedForMinutesAndGoesOn: the command reaches the owner through three
// levels, nobody takes the silence for the end, and the recording is played to its end.
func TestPlaybackIsPausedForMinutesAndGoesOn(t *testing.T) {
	v := view(t, 1, domain.Playback)
	if a := v.send(domain.Command{Verb: domain.CommandPause}); a.Status != 200 {
		t.Fatalf("pause: %+v", a)
	}
	if s := sessionOf(t, v.district, domain.Upper).State; s != "paused" {
		t.Errorf("the owner is %s", s)
	}
	v.Run(5 * time.Minute)
	if !v.ticket.Open {
		t.Fatalf("ended while paused: %+v", v.ticket)
	}
	if a := v.send(domain.Command{Now: true}); a.Status != 200 {
		t.Errorf("go on: %+v", a)
	}
	v.Run(time.Minute)
	if v.ticket.Ends != 1 || v.ticket.Err != nil {
		t.Errorf("%+v: want played to its end", v.ticket)
	}
	v.Run(20 * time.Second)
	checkNothingLeft(t, v.Network)
}

// TestSilenceThatNobodyAskedForStillEndsThePlayback is the fault that the pause must not hide.
func TestSilenceThatNobodyAskedForStillEndsThePlayback(t *testing.T) {
	v := view(t, 2, domain.Playback)
	leg := sessionOf(t, v.district, domain.Upper).Leg
	v.district.Stall(leg)
	v.Run(time.Minute)
	if v.ticket.Open {
		t.Error("still open")
	}
	checkNothingLeft(t, v.Network)
}

// TestPausedPlaybackEndsWithItsPeer: on every level, whoever of them is lost.
func TestPausedPlaybackEndsWithItsPeer(t *testing.T) {
	for _, lost := range []domain.Code{provinceID, cityID, districtID} {
		v := view(t, 3, domain.Playback)
		v.send(domain.Command{Verb: domain.CommandPause})
		v.Cut = func(a, b domain.Code) bool { return a == lost || b == lost }
		v.Run(6 * time.Minute)
		if v.ticket.Open {
			t.Errorf("%s is gone, and the playback still paused", lost)
		}
		v.Cut = nil
		v.Run(2 * time.Minute)
		checkNothingLeft(t, v.Network)
	}
}

// TestOwnersRefusalOfACommandIsNamed: it comes back up with its level, and the playback goes on.
func TestOwnersRefusalOfACommandIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		c      domain.Command
		status int
	}{
		"backwards":  {domain.Command{Scale: -1}, 488},
		"beyond":     {domain.Command{Seek: true, From: 12 * time.Hour}, 404},
		"part of it": {domain.Command{Seek: true, To: time.Hour}, 488},
	} {
		v := view(t, 4, domain.Playback)
		if a := v.send(tc.c); a.Status != tc.status || a.Level != districtID {
			t.Errorf("%s: %+v, want %d of %s", name, a, tc.status, districtID)
		}
		v.Run(time.Minute)
		if v.ticket.Ends != 1 || v.ticket.Err != nil {
			t.Errorf("%s: %+v: want played to its end", name, v.ticket)
		}
	}
	for _, kind := range []domain.Kind{domain.Live, domain.Download} {
		v := view(t, 4, kind)
		if a := v.send(domain.Command{Verb: domain.CommandPause}); a.Status != 488 || a.Level != provinceID {
			t.Errorf("%s: %+v", kind, a)
		}
	}
}

func TestScaleAndSeekReachTheOwner(t *testing.T) {
	v := view(t, 5, domain.Playback)
	v.district.Keep = true
	for _, c := range []domain.Command{{Scale: 0.25}, {Seek: true, From: 90 * time.Minute}, {Scale: 4, Seek: true}, {Now: true}} {
		if a := v.send(c); a.Status != 200 {
			t.Errorf("%+v: %+v", c, a)
		}
		last, _ := v.district.Effects[len(v.district.Effects)-1].(domain.ControlSender)
		if last.Command != c {
			t.Errorf("the owner did %+v, want %+v", last.Command, c)
		}
	}
}

func TestStopEndsThePlaybackOnEveryLevel(t *testing.T) {
	v := view(t, 6, domain.Playback)
	if a := v.send(domain.Command{Verb: domain.CommandStop}); a.Status != 200 {
		t.Errorf("%+v", a)
	}
	v.Run(time.Second)
	if v.ticket.Open {
		t.Errorf("%+v", v.ticket)
	}
	checkNothingLeft(t, v.Network)
}

// TestCommandIsAnsweredThoughAnyOneMessageIsLost loses each message in turn: a command is
// obeyed, or refused with a level before its sender gives up, and nothing is left.
func TestCommandIsAnsweredThoughAnyOneMessageIsLost(t *testing.T) {
	obeyed, refused, silent := 0, 0, 0
	for _, first := range []domain.Command{{Verb: domain.CommandPause}, {Scale: 2}} {
		for k := 1; ; k++ {
			v := view(t, 7, domain.Playback)
			from := v.Messages
			v.Drop = func(message int) bool { return message == from+k }
			a := v.nation.Control(first)
			v.Run(31 * time.Second)
			if v.Messages < from+k || k > 6 {
				break
			}
			switch {
			case a.Status == 200:
				obeyed++
			case a.Status == 408 && namesLevel(fmt.Errorf("%s", a.Level)):
				refused++
			case a.Status == -1 && k <= 6: // the nation's own request, or its answer
				silent++
			default:
				t.Errorf("message %d lost: %+v", k, a)
			}
			v.nation.Leave(v.ticket)
			v.Run(2 * time.Minute)
			for _, wrong := range v.Check() {
				t.Errorf("message %d lost: %s", k, wrong)
			}
		}
	}
	if obeyed != 0 || refused != 8 || silent != 4 {
		t.Errorf("%d obeyed, %d refused, %d silent: want the loss of 2 of 6 messages to be silent, and of the others to be told", obeyed, refused, silent)
	}
}

// TestCommandsOverABadNetwork: every command is answered once, whatever is lost, doubled or late.
func TestCommandsOverABadNetwork(t *testing.T) {
	obeyed := 0
	for seed := range uint64(50) {
		v := view(t, seed, domain.Playback)
		v.Faults = domaintest.Faults{Loss: 0.2, Dup: 0.1, Reorder: 0.2}
		var answers []*domain.Answered
		for i := range 8 {
			if v.ticket.Open {
				answers = append(answers, v.nation.Control([]domain.Command{{Verb: domain.CommandPause}, {Now: true}, {Scale: 0.5}, {Seek: true}}[i%4]))
			}
			v.Run(time.Duration(i) * 400 * time.Millisecond)
		}
		v.Run(40 * time.Second)
		for _, a := range answers {
			if a.Status == -1 {
				t.Errorf("seed %d: not answered", seed)
			}
			if a.Status == 200 {
				obeyed++
			}
		}
		v.nation.Leave(v.ticket)
		v.Faults = domaintest.Faults{}
		v.Run(2 * time.Minute)
		for _, wrong := range v.Check() {
			t.Errorf("seed %d: %s", seed, wrong)
		}
	}
	if obeyed < 100 {
		t.Errorf("%d obeyed", obeyed)
	}
}
