package domain

import (
	"errors"
	"testing"
	"time"
)

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
