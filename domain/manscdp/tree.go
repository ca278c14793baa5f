package manscdp

import "strings"

// NoParent is the Parent of a node that hangs directly under the peer.
const NoParent = -1

// A Node is an item's place in the tree of a peer's catalogue.
type Node struct {
	Item     *Item // in the slice given to BuildTree
	Parent   int   // index of the parent node, or NoParent
	Children []int // indices of the child nodes, in the order of the items
	Cut      bool  // its ParentID led back to itself and was ignored
}

// BuildTree hangs every item under its parent: node i is items[i]. peer is the
// identity the catalogue's owner registered with, self our own; either may be
// empty. Of the segments of a ParentID joined by '/' the last that names an item
// counts; then the business group; then, for devices and groups, the region of
// CivilCode or the nearest above it; a region hangs under its longest prefix. What
// is left hangs under the peer: under its own item if it is in the catalogue, else
// NoParent. References to oneself, to 0 and to self are ignored; cycles are cut, so
// that from each node Parent leads to NoParent. Time is linear in the text.
func BuildTree(items []Item, peer, self string) []Node {
	b := treeBuilder{items: items, index: make(map[string]int, len(items)), self: self}
	for i := range items {
		if _, dup := b.index[items[i].DeviceID]; !dup {
			b.index[items[i].DeviceID] = i
		}
	}
	b.top = NoParent
	if at, ok := b.index[peer]; ok {
		b.top = at
	}
	nodes := make([]Node, len(items))
	for i := range items {
		nodes[i] = Node{Item: &items[i], Parent: b.parent(i)}
	}
	cutCycles(nodes, b.top)
	linkChildren(nodes)
	return nodes
}

type treeBuilder struct {
	items []Item
	index map[string]int
	self  string
	top   int // the peer's own item, or NoParent
}

// parent returns where item i belongs by what it says, before cycles are cut.
func (b *treeBuilder) parent(i int) int {
	if i == b.top {
		return NoParent
	}
	item := &b.items[i]
	kind := KindOf(item.DeviceID)
	if kind == NodeRegion {
		return b.region(i, item.DeviceID)
	}
	rest := item.ParentID
	for rest != "" {
		cut := strings.LastIndexByte(rest, '/')
		if at, ok := b.lookup(i, strings.TrimSpace(rest[cut+1:])); ok {
			return at
		}
		rest = rest[:max(cut, 0)]
	}
	if at, ok := b.lookup(i, item.BusinessGroupID); ok && KindOf(item.BusinessGroupID) == NodeGroup {
		return at
	}
	if kind == NodeDevice || kind == NodeGroup {
		return b.region(i, item.CivilCode)
	}
	return b.top
}

// lookup finds the item id names, unless the reference means nothing.
func (b *treeBuilder) lookup(i int, id string) (int, bool) {
	if id == "" || id == "0" || id == b.self || id == b.items[i].DeviceID {
		return 0, false
	}
	at, ok := b.index[id]
	return at, ok && at != i
}

// region returns the region item with the longest prefix of code that is not item
// i itself.
func (b *treeBuilder) region(i int, code string) int {
	for n := min(len(code), 8) &^ 1; n >= 2; n -= 2 {
		if at, ok := b.lookup(i, code[:n]); ok {
			return at
		}
	}
	return b.top
}

// cutCycles walks from every node upwards; a walk that meets itself has found a
// cycle and cuts it where it closed. Each node is walked once.
func cutCycles(nodes []Node, top int) {
	walk := make([]int, len(nodes)) // 0: not yet; else the walk that visited it
	for start := range nodes {
		at := start
		for at != NoParent && walk[at] == 0 {
			walk[at] = start + 1
			at = nodes[at].Parent
		}
		if at == NoParent || walk[at] != start+1 {
			continue
		}
		nodes[at].Cut = true
		if nodes[at].Parent = NoParent; top != NoParent {
			nodes[at].Parent = top // the peer's own item never is in a cycle
		}
	}
}

// linkChildren fills Children from Parent out of one allocation.
func linkChildren(nodes []Node) {
	count := make([]int, len(nodes))
	total := 0
	for i := range nodes {
		if p := nodes[i].Parent; p != NoParent {
			count[p]++
			total++
		}
	}
	all := make([]int, 0, total)
	for i := range nodes {
		if n := count[i]; n > 0 {
			nodes[i].Children = all[len(all) : len(all) : len(all)+n]
			all = all[:len(all)+n]
		}
	}
	for i := range nodes {
		if p := nodes[i].Parent; p != NoParent {
			nodes[p].Children = append(nodes[p].Children, i)
		}
	}
}
