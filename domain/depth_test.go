package domain_test

import (
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

// A tower is levels one above the other: the first is the top, the last has a camera.
type tower struct {
	*domaintest.Network
	levels []*domaintest.Node
}

func newTower(seed uint64, height int) *tower {
	tw := &tower{Network: domaintest.New(seed)}
	for i := range height {
		tw.levels = append(tw.levels, tw.Add(domain.Code(fmt.Sprintf("3301%02d00002000000001", i))))
		if i > 0 {
			tw.Join(tw.levels[i], tw.levels[i-1])
		}
	}
	tw.bottom().Devices(camera(gate, "gate"))
	tw.bottom().Archive = func(domain.FindRecords) ([]domain.Recording, error) { return rows(60), nil }
	return tw
}

func (tw *tower) top() *domaintest.Node    { return tw.levels[0] }
func (tw *tower) bottom() *domaintest.Node { return tw.levels[len(tw.levels)-1] }

// sessions counts those of each level, from the top.
func (tw *tower) sessions() (n []int) {
	for _, node := range tw.levels {
		n = append(n, len(node.Core().Sessions()))
	}
	return n
}

// TestFiveLevels: no code counts levels; what three can, five can: registration, the
// catalogue up to the top, live, a query for recordings, playback, and their ends.
func TestFiveLevels(t *testing.T) {
	tw := newTower(1, 5)
	tw.Start()
	tw.Run(20 * time.Second)
	for i, node := range tw.levels {
		for _, l := range node.Core().Links() {
			if l.State != domain.LinkOnline || l.Channels != 1 {
				t.Errorf("level %d: %+v", i, l)
			}
		}
		owner, known := node.Core().Owner(gate)
		if want := append(tw.levels, nil)[i+1]; !known || want != nil && owner.Code != want.Code || want == nil && owner.Code != "" {
			t.Errorf("level %d: %s has the gate, known %v", i, owner.Code, known)
		}
	}
	live := tw.top().Watch(gate, domain.Live, domain.Range{})
	tw.Run(2 * time.Second)
	if got := fmt.Sprint(tw.sessions()); !live.Open || got != "[1 2 2 2 1]" {
		t.Errorf("live %+v, sessions %s", live, got)
	}
	found := tw.top().Records(gate, morning)
	tw.Run(5 * time.Second)
	if found.Answers != 1 || len(found.Records) != 60 || found.Partial {
		t.Errorf("%d answers, %d recordings, partial %v, %v", found.Answers, len(found.Records), found.Partial, found.Err)
	}
	play := tw.top().Watch(gate, domain.Playback, morning)
	tw.Run(2 * time.Second)
	if got := fmt.Sprint(tw.sessions()); !play.Open || got != "[2 4 4 4 2]" {
		t.Errorf("playback %+v, sessions %s", play, got)
	}
	tw.Run(20 * time.Second)
	if play.Ends != 1 || play.Err != nil || !live.Open {
		t.Errorf("playback %+v, live %+v", play, live)
	}
	tw.top().Leave(live)
	tw.Run(time.Second)
	if got := fmt.Sprint(tw.sessions()); got != "[0 0 0 0 0]" {
		t.Errorf("sessions %s are left", got)
	}
	checkNothingLeft(t, tw.Network)
}

// TestRefusalComesThroughFiveLevels: it names the lowest, whatever level was asked.
func TestRefusalComesThroughFiveLevels(t *testing.T) {
	tw := newTower(2, 5)
	tw.Script = func(node domain.Code, fx domain.Effect) domaintest.Outcome {
		if _, ok := fx.(domain.OpenSender); ok && node == tw.bottom().Code {
			return domaintest.Outcome{Err: domain.ErrBusy}
		}
		return domaintest.Outcome{}
	}
	tw.Start()
	tw.Run(20 * time.Second)
	for _, node := range tw.levels[:4] {
		tk := node.Watch(gate, domain.Live, domain.Range{})
		tw.Run(5 * time.Second)
		if want := fmt.Sprintf("%s: 486 busy", tw.bottom().Code); tk.Err == nil || tk.Err.Error() != want {
			t.Errorf("%s is told %v, want %s", node.Code, tk.Err, want)
		}
	}
	checkNothingLeft(t, tw.Network)
}
