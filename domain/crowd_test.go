package domain_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

// otherTop is a second upper of the city.
const otherTop = domain.Code("32000000002000000001")

// A crowd is users of every level who want the same two cameras, on a network that
// fails: two uppers above a city above a district, over links of which any may be a
// standard one.
type crowd struct {
	*domaintest.Network
	dice     *rand.Rand
	nodes    []*domaintest.Node // the two uppers, the city, the district
	down     map[*domaintest.Node]bool
	cut      map[domain.Code]bool // the city from one of the others
	standard bool                 // a link is
	keys     []key
}

// A key is kept pressed by a user.
type key struct {
	node    *domaintest.Node
	asked   domain.PTZAsked
	left    int  // repetitions
	release bool // with a stop at last; else he vanishes
}

func newCrowd(seed uint64) *crowd {
	n := domaintest.New(seed)
	c := &crowd{Network: n, dice: rand.New(rand.NewPCG(seed, 7)), down: make(map[*domaintest.Node]bool), cut: make(map[domain.Code]bool)}
	for _, code := range []domain.Code{provinceID, otherTop, cityID, districtID} {
		c.nodes = append(c.nodes, n.Add(code))
	}
	city, district := c.nodes[2], c.nodes[3]
	for _, link := range [][2]*domaintest.Node{{city, c.nodes[0]}, {city, c.nodes[1]}, {district, city}} {
		join := n.Join
		if c.dice.IntN(2) == 0 {
			join, c.standard = n.JoinStandard, true
		}
		join(link[0], link[1])
	}
	for _, lower := range []*domaintest.Node{city, district} {
		for i := range lower.Config.Peers {
			lower.Config.Peers[i].Rank = uint8(50 + 10*c.dice.IntN(2)) // of uppers
		}
	}
	district.Devices(camera(gate, "gate"), camera(door, "door"))
	n.Cut = func(a, b domain.Code) bool { return a == cityID && c.cut[b] || b == cityID && c.cut[a] }
	n.Start()
	n.Run(40 * time.Second)
	return c
}

// acts has something happen at random.
func (c *crowd) acts() {
	node := c.nodes[c.dice.IntN(len(c.nodes))]
	switch c.dice.IntN(18) {
	case 0:
		if c.dice.IntN(3) == 0 && !c.down[node] {
			node.Crash()
			c.down[node] = true
		}
	case 1, 2:
		c.restart(node)
	case 3:
		away := c.nodes[c.dice.IntN(len(c.nodes))].Code
		c.cut[away] = away != cityID && c.dice.IntN(3) == 0
	case 4:
		c.changes(c.nodes[3])
	default:
		c.asks(node)
	}
}

func (c *crowd) restart(node *domaintest.Node) {
	if c.down[node] {
		node.Start()
		delete(c.down, node)
	}
}

// changes has a camera of the district go and come back, or seem to be off.
func (c *crowd) changes(district *domaintest.Node) {
	if c.down[district] {
		return
	}
	first, second := camera(gate, "gate"), camera(door, "door")
	if c.dice.IntN(2) == 0 {
		first.Status = domain.StatusOff
	} else {
		district.Step(domain.DevicesChanged{Items: []domain.Item{first}, Removed: []domain.NodeID{second.ID}})
		c.Run(50 * time.Millisecond) // what was under way is done
	}
	district.Step(domain.DevicesChanged{Items: []domain.Item{first, second}})
}

// asks has a user of a level ask for something.
func (c *crowd) asks(node *domaintest.Node) {
	ask := domain.PTZAsked{User: fmt.Sprint("user ", c.dice.IntN(2)), Rank: uint8(c.dice.IntN(3)), Channel: gate}
	if c.dice.IntN(2) == 0 {
		ask.Channel = door
	}
	far := domain.PTZ{Action: domain.PTZLens, Focus: domain.Axis{Dir: domain.FocusFar, Speed: 9}}
	any := []domain.PTZ{panLeft, panLeft, panRight, panRight, far, far, {Action: domain.PTZLens}, {Action: domain.PresetCall, Number: 7}, {}, {}}
	ask.Command = any[c.dice.IntN(len(any))]
	if ask.Command.Stops() && c.dice.IntN(2) == 0 {
		ask.Hold = time.Duration(c.dice.IntN(20)-1) * time.Second
	}
	c.order(node, ask)
	if ask.Command.Moves() {
		c.keys = append(c.keys, key{node, ask, c.dice.IntN(12), c.dice.IntN(2) == 0})
	}
}

func (c *crowd) order(node *domaintest.Node, ask domain.PTZAsked) {
	if !c.down[node] {
		node.Order(ask)
	}
}

// press repeats what is asked for by who keeps a key pressed.
func (c *crowd) press() {
	c.keys = slices.DeleteFunc(c.keys, func(k key) bool {
		if k.left == 0 {
			k.asked.Command = domain.PTZ{Action: k.asked.Command.Action}
		}
		if k.left > 0 || k.release {
			c.order(k.node, k.asked)
		}
		return k.left == 0
	})
	for i := range c.keys {
		c.keys[i].left--
	}
}

// moves reports whether a camera moves.
func (c *crowd) moves() bool {
	heads := c.nodes[3].Heads
	return heads[gate].Moves(c.Now) || heads[door].Moves(c.Now)
}

// rages has everybody do what he wants for some time, and vanish; half of the time with
// a level. It reports whether a camera moved.
func (c *crowd) rages() (moved bool) {
	c.Faults = domaintest.Faults{Loss: 0.3 * c.dice.Float64(), Dup: 0.02, Reorder: 0.2 * c.dice.Float64()}
	for range 60 {
		for range 2 {
			c.acts()
			c.Run(time.Duration(c.dice.IntN(250)) * time.Millisecond)
		}
		c.press()
		moved = moved || c.moves()
	}
	if last := c.nodes[c.dice.IntN(3)]; c.dice.IntN(2) == 0 && !c.down[last] {
		last.Crash()
		c.down[last] = true
	}
	c.Faults = domaintest.Faults{}
	return moved
}

// TestCrowdLeavesCamerasStanding: whoever wants a camera, and whatever is lost, dies, or
// is cut off: when nobody asks for it any more it stands soon, each request is answered
// once, and the last word counts.
func TestCrowdLeavesCamerasStanding(t *testing.T) {
	moved := 0
	for seed := range uint64(200) {
		c := newCrowd(seed)
		if c.rages() {
			moved++
		}
		bound := 5 * time.Second
		if c.standard {
			bound = 34 * time.Second // 30 s, and the way of the last message
		}
		if c.Run(bound); c.moves() {
			t.Fatalf("seed %d: it moves %v after the last word", seed, bound)
		}
		for _, node := range c.nodes {
			c.restart(node)
		}
		clear(c.cut)
		c.nodes[3].Devices(camera(gate, "gate"), camera(door, "door"))
		if c.Run(15 * time.Minute); c.moves() {
			t.Fatalf("seed %d: it moves again", seed)
		}
		c.nodes[3].Steer("guard", gate, panLeft)
		c.Run(time.Second)
		if !c.moves() {
			t.Fatalf("seed %d: it does not move any more", seed)
		}
		c.nodes[3].Steer("guard", gate, domain.PTZ{})
		if c.Run(time.Second); c.moves() {
			t.Fatalf("seed %d: it does not stop any more", seed)
		}
		c.Run(time.Minute)
		if checkNothingLeft(t, c.Network); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if moved < 180 {
		t.Errorf("a camera moved in %d of 200 seeds: the crowd tries nothing", moved)
	}
}
