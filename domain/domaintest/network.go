// Package domaintest joins several processors in memory: effects of one become
// events of another, over a network that loses, doubles and reorders messages by
// a seed, on a clock that only the test moves. Media is played by a script.
package domaintest

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"districtgateway/domain"
)

// Faults are what the network does to single transmissions, as probabilities.
type Faults struct {
	Loss    float64
	Dup     float64
	Reorder float64
}

// A Network is a set of domains and what lies between them. Its zero faults make it perfect.
type Network struct {
	Now    time.Time
	Faults Faults
	Drop   func(message int) bool      // loses a whole message, all its retransmissions; messages count from 1
	Cut    func(a, b domain.Code) bool // nothing passes from a to b while it is true
	Script func(node domain.Code, fx domain.Effect) Outcome
	Length time.Duration // of each recording that is played

	Messages   int // sent so far, not counting retransmissions
	Violations []string

	nodes map[domain.Code]*Node
	order []*Node
	queue queue
	seq   uint64
	dice  *rand.Rand
	calls []*call

	standard map[[2]domain.Code]bool // links of a lower to an upper without capabilities
}

// Start of every simulation.
var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// New returns an empty network with a seed for its faults.
func New(seed uint64) *Network {
	return &Network{Now: epoch, Length: playTime, nodes: make(map[domain.Code]*Node), dice: rand.New(rand.NewPCG(seed, 1))}
}

// Add adds a domain. Its peers are added by Join, before Start.
func (n *Network) Add(code domain.Code) *Node {
	node := &Node{net: n, Code: code, address: fmt.Sprintf("10.0.0.%d:5060", len(n.order)+1)}
	node.Config = domain.Config{Self: code, Name: "domain " + string(code[:6]), Maker: "Test", Model: "T1",
		Firmware: "1", Instance: string(code), Seed: uint64(len(n.order)) + n.dice.Uint64()}
	node.forget()
	node.store = domain.State{Catalogs: make(map[domain.Code][]domain.Item)}
	n.nodes[code] = node
	n.order = append(n.order, node)
	return node
}

// Join makes lower register with upper.
func (n *Network) Join(lower, upper *Node) {
	lower.Config.Peers = append(lower.Config.Peers,
		domain.PeerConfig{Code: upper.Code, Role: domain.Upper, Address: upper.address})
	upper.Config.Peers = append(upper.Config.Peers, domain.PeerConfig{Code: lower.Code, Role: domain.Lower})
}

// Start starts every domain.
func (n *Network) Start() {
	for _, node := range n.order {
		node.Start()
	}
}

// Run lets d pass.
func (n *Network) Run(d time.Duration) {
	end := n.Now.Add(d)
	for spins := 0; ; {
		node, at := n.nextTick()
		if len(n.queue) > 0 && !n.queue[0].at.After(at) {
			at, node = n.queue[0].at, nil
		}
		if at.After(end) {
			n.Now = end
			return
		}
		if spins++; at.After(n.Now) {
			n.Now, spins = at, 0
		}
		if spins > 100_000 {
			n.violation("time stands still")
			return
		}
		if node != nil {
			node.step(domain.Tick{})
			continue
		}
		heap.Pop(&n.queue).(job).run()
	}
}

// nextTick returns the node that wants a Tick first.
func (n *Network) nextTick() (first *Node, at time.Time) {
	at = n.Now.Add(1000 * time.Hour)
	for _, node := range n.order {
		if node.core == nil {
			continue
		}
		if due, ok := node.core.Due(); ok && due.Before(at) {
			first, at = node, due
		}
	}
	if at.Before(n.Now) {
		at = n.Now
	}
	return first, at
}

func (n *Network) violation(format string, args ...any) {
	n.Violations = append(n.Violations, n.Now.Sub(epoch).String()+": "+fmt.Sprintf(format, args...))
}

// after runs f when d has passed.
func (n *Network) after(d time.Duration, f func()) {
	n.seq++
	heap.Push(&n.queue, job{n.Now.Add(d), n.seq, f})
}

func (n *Network) chance(p float64) bool { return p > 0 && n.dice.Float64() < p }

// delay is how long one transmission takes.
func (n *Network) delay() time.Duration {
	d := time.Millisecond + time.Duration(n.dice.Int64N(int64(9*time.Millisecond)))
	if n.chance(n.Faults.Reorder) {
		d += time.Duration(n.dice.Int64N(int64(400 * time.Millisecond)))
	}
	return d
}

// lost decides over one transmission.
func (n *Network) lost(from, to *Node) bool {
	return n.chance(n.Faults.Loss) || n.Cut != nil && n.Cut(from.Code, to.Code)
}

// message counts a message and reports whether all its transmissions are lost.
func (n *Network) message() bool {
	n.Messages++
	return n.Drop != nil && n.Drop(n.Messages)
}

// Check returns what is wrong when everything should have ended: broken
// invariants, legs and sessions that are left, requests without an answer.
func (n *Network) Check() []string {
	wrong := slices.Clone(n.Violations)
	for _, node := range n.order {
		wrong = append(wrong, node.leftovers()...)
	}
	for _, c := range n.calls {
		if c.answers == 0 && c.delivered && c.b.life == c.lifeB {
			wrong = append(wrong, fmt.Sprintf("%s never answered INVITE %d of %s", c.b.Code, c.tag, c.a.Code))
		}
	}
	return wrong
}

type job struct {
	at  time.Time
	seq uint64
	run func()
}

type queue []job

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	return cmp.Or(q[i].at.Compare(q[j].at), cmp.Compare(q[i].seq, q[j].seq)) < 0
}
func (q *queue) Push(x any) { *q = append(*q, x.(job)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
