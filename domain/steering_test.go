package domain_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

var (
	panLeft  = domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 100}}
	panRight = domain.PTZ{Pan: domain.Axis{Dir: domain.Right, Speed: 100}}
)

// steered is levels whose uppers may move cameras.
func steered(t *testing.T, seed uint64, standard bool) *levels {
	t.Helper()
	n := domaintest.New(seed)
	l := &levels{n, n.Add(provinceID), n.Add(cityID), n.Add(districtID)}
	join := n.Join
	if standard {
		join = n.JoinStandard
	}
	join(l.city, l.province)
	join(l.district, l.city)
	l.district.Devices(camera(gate, "gate"), camera(door, "door"))
	for _, n := range []*domaintest.Node{l.city, l.district} {
		for i := range n.Config.Peers {
			if n.Config.Peers[i].Role == domain.Upper {
				n.Config.Peers[i].Rank = 50
			}
		}
	}
	return online(t, l)
}

// TestCameraIsMovedFromTheTop: over negotiated links and standard ones, and it stops when
// it is told to.
func TestCameraIsMovedFromTheTop(t *testing.T) {
	for _, standard := range []bool{false, true} {
		t.Run(fmt.Sprintf("standard=%t", standard), func(t *testing.T) {
			l := steered(t, 1, standard)
			tk := l.province.Steer("wang", gate, panLeft)
			l.Run(100 * time.Millisecond)
			head := l.district.Heads[gate]
			if tk.Answers != 1 || tk.Err != nil || !head.Moves(l.Now) {
				t.Fatalf("%+v, moves %t", tk, head.Moves(l.Now))
			}
			for range 8 { // it goes on as long as it is asked for
				l.Run(500 * time.Millisecond)
				l.province.Steer("wang", gate, panLeft)
			}
			if !head.Moves(l.Now) {
				t.Error("it stopped while it was asked for")
			}
			tk = l.province.Steer("wang", gate, domain.PTZ{})
			l.Run(100 * time.Millisecond)
			if tk.Answers != 1 || tk.Err != nil || head.Moves(l.Now) {
				t.Errorf("%+v, moves %t", tk, head.Moves(l.Now))
			}
			l.Run(time.Minute)
			checkNothingLeft(t, l.Network)
		})
	}
}

// TestMovementEndsThoughTheTopVanishes: whoever is cut off or dies in the middle of a
// movement, the camera stands soon after.
func TestMovementEndsThoughTheTopVanishes(t *testing.T) {
	for name, vanish := range map[string]func(*levels){
		"the user":     func(*levels) {},
		"the province": func(l *levels) { l.province.Crash() },
		"the city":     func(l *levels) { l.city.Crash() },
		"the network": func(l *levels) {
			l.Cut = func(a, b domain.Code) bool { return a == cityID && b == districtID }
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := steered(t, 1, false)
			l.province.Steer("wang", gate, panLeft)
			l.Run(time.Second)
			if !l.district.Heads[gate].Moves(l.Now) {
				t.Fatal("it does not move")
			}
			vanish(l)
			l.Run(2 * time.Second)
			if l.district.Heads[gate].Moves(l.Now) {
				t.Error("it still moves after 2 s")
			}
		})
	}
}

// TestRefusalNamesTheLevelThatRefused: a guard of the district moves the camera.
func TestRefusalNamesTheLevelThatRefused(t *testing.T) {
	l := steered(t, 1, false)
	l.district.Steer("guard", gate, panLeft)
	tk := l.province.Steer("wang", gate, panRight)
	l.Run(100 * time.Millisecond)
	if r, ok := errors.AsType[*domain.Refused](tk.Err); !ok || r.Level != districtID || r.Status != 403 {
		t.Errorf("told %v", tk.Err)
	}
	if got := l.district.Heads[gate].Orders; len(got) != 1 || got[0] != panLeft {
		t.Errorf("the camera was told %v", got)
	}
}

// TestCameraObeysTheLastWord: however many messages are lost, doubled and late, the
// camera does at last what it was told last.
func TestCameraObeysTheLastWord(t *testing.T) {
	for seed := range uint64(60) {
		l := steered(t, seed, seed%2 == 0)
		l.Faults = domaintest.Faults{Loss: 0.25, Dup: 0.05, Reorder: 0.1}
		for range 6 {
			l.province.Steer("wang", gate, panLeft)
			l.Run(time.Duration(seed*37%700) * time.Millisecond)
			l.province.Steer("wang", gate, panRight)
			l.Run(time.Duration(seed*53%900) * time.Millisecond)
			l.province.Steer("wang", gate, domain.PTZ{})
			l.Run(time.Duration(seed*71%1100) * time.Millisecond)
		}
		l.Faults = domaintest.Faults{}
		l.Run(10 * time.Second)
		if h := l.district.Heads[gate]; h.Moves(l.Now) {
			t.Fatalf("seed %d: it moves: %v", seed, h.Orders)
		}
		l.Run(2 * time.Minute)
		checkNothingLeft(t, l.Network)
	}
}
