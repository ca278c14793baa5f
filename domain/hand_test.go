package domain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// holds has a local user hold a camera, or let go of it.
func (s *stand) holds(user string, channel NodeID, d time.Duration) string {
	s.ticket++
	return s.note(s.step(PTZAsked{Ticket: s.ticket, User: user, Channel: Code(channel), Hold: d}))
}

// A camera that is said to be off may move all the same: it can be stopped.
func TestCameraThatIsOffIsStopped(t *testing.T) {
	s := newStand(t, 0, 0)
	s.calls(1, camOwn, left)
	s.obey(camOwn, nil)
	s.step(DevicesChanged{Items: []Item{{ID: camOwn, Status: StatusOff}}})
	if s.want(s.calls(2, camOwn, right), ""); !errors.Is(s.said[2], ErrOffline) {
		t.Errorf("a movement of a camera that is off: %v", s.said[2])
	}
	s.want(s.calls(3, camOwn, PTZ{}), "!stop")
	s.obey(camOwn, nil)
	if err, ok := s.said[3]; !ok || err != nil {
		t.Errorf("told %v (%v)", err, ok)
	}
}

// A stop ends every movement, that of the lens, too.
func TestStopEndsTheLensToo(t *testing.T) {
	for channel, want := range map[NodeID]string{camOwn: "!stop !lens stop", camA: ">stop >lens stop"} {
		s := newStand(t, 0, 0)
		s.calls(1, channel, near)
		s.obey(channel, nil)
		got := s.calls(2, channel, PTZ{Pan: Axis{Still, 128}}) // as senders do
		got += " " + s.obey(channel, nil)
		s.want(got, want)
		s.obey(channel, nil)
		s.want(s.waits(time.Minute), "")
	}
}

// Holds wait like everything else: in bounded number, and the last counts.
func TestHoldsThatWaitAreOne(t *testing.T) {
	s := newStand(t, 0, CapPTZ)
	s.want(s.asks("wang", camA, call7), ">preset call 7")
	for range 100 {
		s.holds("wang", camA, time.Minute)
	}
	if n := len(s.p.domes[Code(camA)].queue); n != 1 {
		t.Errorf("%d orders wait", n)
	}
	s.want(s.asks("wang", camA, near), "") // which is no word about the hold
	s.want(s.obey(camA, nil), ">lens stop")
	if o := s.p.domes[Code(camA)].sent; o.hold != time.Minute {
		t.Errorf("the hold was lost: %+v", o)
	}
	s.want(s.obey(camA, nil), ">focus near 9")
}

// A hold that nobody answers does not become a stop of the lens.
func TestHoldThatIsLostEndsNothing(t *testing.T) {
	s := newStand(t, 0, CapPTZ)
	s.want(s.holds("wang", camA, time.Minute), ">lens stop")
	s.want(s.obey(camA, ErrTimeout), "")
	if s.told[1] == nil {
		t.Error("who asked for it is told that it is held")
	}
}

// What the hand before had asked for and was not done yet is dropped.
func TestTakeoverDropsWhatWaits(t *testing.T) {
	s := newStand(t, 0, 0)
	s.want(s.calls(1, camOwn, call7), "!preset call 7")
	for i := range Ref(mostQueue) {
		s.calls(2+i, camOwn, set7)
	}
	s.want(s.asks("wang", camOwn, left), "")
	for i := range Ref(mostQueue) {
		if err, ok := s.said[2+i]; !ok || !errors.Is(err, ErrHeld) {
			t.Errorf("%d: told %v (%v)", i, err, ok)
		}
	}
	s.want(s.obey(camOwn, nil), "!left 128")
	if err, ok := s.told[1]; ok {
		t.Errorf("told too early: %v", err)
	}
	s = newStand(t, 0, 0)
	s.want(s.calls(1, camOwn, set7), "!preset set 7")
	s.calls(2, camOwn, left)
	s.asks("wang", camOwn, left) // the same, which was not sent yet
	s.want(s.obey(camOwn, nil), "!left 128")
}

// Who asks for more cameras than anybody needs keeps nobody else from the others.
func TestOneUpperDoesNotTakeEveryCamera(t *testing.T) {
	s := newStand(t, 0, 0)
	for i := range mostDomes {
		s.p.domes[Code(fmt.Sprintf("%020d", i))] = &dome{grip: grip{hand: hand{upper: s.p.uppers[0]}}}
	}
	if s.want(s.calls(1, camOwn, left), ""); !errors.Is(s.said[1], ErrBusy) {
		t.Errorf("one more: %v", s.said[1])
	}
	s.want(s.asks("wang", camOwn, left), "!left 128")
}

// A movement that is asked for again before the camera was is answered when it was.
func TestRepeatIsAnsweredWithTheFirst(t *testing.T) {
	s := newStand(t, 0, 0)
	s.want(s.asks("wang", camOwn, left), "!left 128")
	s.want(s.asks("wang", camOwn, left), "")
	if err, ok := s.told[2]; ok {
		t.Errorf("answered before the camera was: %v", err)
	}
	s.obey(camOwn, ErrUnable)
	for i := range Ticket(2) {
		if !errors.Is(s.told[i+1], ErrUnable) {
			t.Errorf("ticket %d: %v", i+1, s.told[i+1])
		}
	}
}

// Who is refused by the camera's own level has not got it here either.
func TestRefusedBelowHoldsNothingHere(t *testing.T) {
	s := newStand(t, 0, CapPTZ)
	s.holds("wang", camA, 10*time.Minute)
	s.obey(camA, &Refused{Status: 403, Reason: "Camera Held"})
	s.want(s.asks("li", camA, left), ">left 128")
}

// Letting go of what somebody else has changes nothing.
func TestOnlyTheHolderLetsGo(t *testing.T) {
	s := newStand(t, 0, 0)
	s.calls(1, camOwn, left)
	s.obey(camOwn, nil)
	s.want(s.holds("wang", camOwn, -1), "")
	if err, ok := s.told[1]; !ok || err != nil {
		t.Errorf("told %v (%v)", err, ok)
	}
	if got := s.serves(camOwn, 20*time.Second); strings.Contains(got, "stop") {
		t.Errorf("the movement ended: %s", got)
	}
}

// A stop that was given up is sent again, too.
func TestStopThatWasGivenUpIsInsistedOn(t *testing.T) {
	s := newStand(t, 0, 0)
	s.calls(1, camA, left)
	s.obey(camA, nil)
	s.want(s.calls(2, camA, PTZ{}), ">stop")
	var n int
	for range 40 {
		n += strings.Count(s.waits(time.Second), ">stop")
	}
	if n != mostStops-1 || !errors.Is(s.said[2], ErrTimeout) {
		t.Errorf("sent %d times more, told %v", n, s.said[2])
	}
}

// A preset that was given up and answered after all says nothing about the movement that
// was asked for meanwhile: that ends when nobody asks for it any more.
func TestLateAnswerOfAPresetForgetsNoMovement(t *testing.T) {
	s := newStand(t, 0, 0)
	s.want(s.asks("wang", camA, call7), ">preset call 7")
	preset := s.p.domes[Code(camA)].sent
	s.waits(orderFor)
	s.want(s.asks("wang", camA, left), ">left 128")
	s.obey(camA, nil)
	for tag, w := range s.p.desk.tags {
		if ow, ok := w.(orderWait); ok && ow.o == preset {
			s.want(s.note(s.step(Answered{Tag: tag, Status: 200})), "")
		}
	}
	s.want(s.waits(repeatedFor), ">stop")
}

// A preset that the camera does not know leaves it moving as long as it is asked for.
func TestPresetThatFailsEndsNoMovement(t *testing.T) {
	s := newStand(t, 0, 0)
	s.calls(1, camOwn, left)
	s.obey(camOwn, nil)
	s.want(s.calls(2, camOwn, call7), "!preset call 7")
	s.obey(camOwn, ErrUnable)
	s.want(s.waits(time.Millisecond), "!left 128")
}

// What moved when a standard lower was lost is stopped when it is back: nobody else
// would.
func TestLowerThatComesBackIsToldToStop(t *testing.T) {
	for caps, want := range map[Capability]string{0: ">stop >lens stop", CapPTZ: ""} {
		s := newStand(t, 0, caps)
		s.asks("wang", camA, left)
		s.obey(camA, nil)
		s.asks("wang", camA, near) // is under way
		s.asks("wang", camB, call7)
		l := s.p.lowers[below]
		l.link.State = LinkOffline
		s.p.lowerGone(l)
		l.link.State = LinkOnline
		s.p.desk.out = nil
		s.p.recall(l)
		got := s.note(s.p.desk.out)
		if want != "" {
			got += " " + s.obey(camA, nil)
			s.obey(camA, nil)
		}
		if s.want(got, want); len(s.p.domes) != 0 || l.astray != nil {
			t.Errorf("%d domes left", len(s.p.domes))
		}
	}
}
