package domain

import (
	"maps"
	"slices"
	"strings"
)

// A tree is the catalogue with every parent resolved, as we tell it: regions,
// platforms, groups, devices and channels (GB/T 28181-2022 Annex J, PUSH-703).
type tree struct {
	self  NodeID
	items map[NodeID]Item
	up    map[NodeID]NodeID
	down  map[NodeID][]NodeID
	order []NodeID // ourselves, regions, then what hangs where, parents first
}

// whole returns the tree of everything we know.
func (c *catalog) whole() *tree {
	if c.tree == nil {
		c.tree = c.build()
	}
	return c.tree
}

func (c *catalog) build() *tree {
	t := &tree{self: c.self.ID, items: make(map[NodeID]Item, len(c.index)+8),
		up: make(map[NodeID]NodeID), down: make(map[NodeID][]NodeID)}
	t.items[c.self.ID] = c.self
	for owner, s := range c.shelves {
		if id := NodeID(owner); len(s.entries) > 0 && c.index[id] == nil {
			t.items[id] = c.stand(s)
			t.up[id] = c.self.ID
		}
	}
	for id, e := range c.index {
		t.items[id] = c.show(e)
	}
	for id, e := range c.index {
		t.up[id] = c.hang(t, e)
	}
	t.cutCycles()
	for id, up := range t.up {
		it := t.items[id]
		it.Parent, it.Group = t.parent(it, up), c.translate(c.index[id], it.Group)
		t.items[id] = it
		t.down[up] = append(t.down[up], id)
	}
	c.addRegions(t)
	t.sort()
	return t
}

// stand is the item of a lower that did not list itself, so that what it has hangs
// somewhere.
func (c *catalog) stand(s *shelf) Item {
	it := Item{ID: NodeID(s.owner), Name: string(s.owner), Region: c.home(s.owner), Children: true}
	if s.online {
		it.Status = StatusOn
	}
	return it
}

// hang finds what an entry hangs under: its parent, its group, else the platform
// that has it.
func (c *catalog) hang(t *tree, e *entry) NodeID {
	top := c.self.ID
	if e.owner != "" && e.below != NodeID(e.owner) {
		top = NodeID(e.owner)
	}
	s := c.shelf(e.owner)
	up := parentOf(e.item, func(id NodeID) bool { return s.entries[id] != nil && !s.entries[id].off })
	if up == "" {
		return top
	}
	return s.entries[up].id
}

// translate returns our id of what an entry's owner calls id.
func (c *catalog) translate(e *entry, id NodeID) NodeID {
	if e == nil || id == "" {
		return ""
	}
	if other := c.shelf(e.owner).entries[id]; other != nil && !other.off {
		return other.id
	}
	return ""
}

// parent returns what travels as ParentID: not for an organisation whose parent
// is its business group (GB/T 28181-2022 Annex J).
func (t *tree) parent(it Item, up NodeID) NodeID {
	if it.ID.kind() == TypeOrganisation && up.kind() == TypeBusinessGroup {
		return ""
	}
	return up
}

// cutCycles hangs under ourselves what would otherwise hang under itself.
func (t *tree) cutCycles() {
	safe := map[NodeID]bool{t.self: true}
	for _, id := range slices.Sorted(maps.Keys(t.up)) {
		var way []NodeID
		at := id
		for !safe[at] && !slices.Contains(way, at) {
			way = append(way, at)
			at = t.up[at]
		}
		if !safe[at] {
			t.up[at] = t.self
		}
		for _, n := range way {
			safe[n] = true
		}
	}
}

// addRegions adds the civil codes in use, with those above them.
func (c *catalog) addRegions(t *tree) {
	names := make(map[NodeID]Item)
	for _, owner := range slices.Sorted(maps.Keys(c.shelves)) {
		maps.Copy(names, c.shelves[owner].regions)
	}
	maps.Copy(names, c.own.regions)
	codes := make(map[NodeID]bool)
	for _, it := range t.items {
		for n := 2; n <= len(it.Region); n += 2 {
			codes[it.Region[:n]] = true
		}
	}
	for id := range codes {
		name := names[id].Name
		if name == "" {
			name = string(id)
		}
		t.items[id] = Item{ID: id, Name: name, Status: StatusOn, Children: true}
	}
}

// rank orders the kinds of nodes in an answer.
func rank(id NodeID) int {
	switch {
	case id.region():
		return 1
	case id.kind() == TypePlatform:
		return 2
	case id.kind() == TypeBusinessGroup:
		return 3
	case id.kind() == TypeOrganisation:
		return 4
	}
	return 5
}

// sort fixes the order: ourselves first (Annex H), regions, then every branch with its
// groups before its devices, and tells who has children.
func (t *tree) sort() {
	byRank := func(a, b NodeID) int {
		if n := rank(a) - rank(b); n != 0 {
			return n
		}
		return strings.Compare(string(a), string(b))
	}
	for id, kids := range t.down {
		slices.SortFunc(kids, byRank)
		it := t.items[id]
		it.Children = true
		t.items[id] = it
	}
	for id, it := range t.items {
		if it.Children && len(t.down[id]) == 0 && !id.region() {
			it.Children = false
			t.items[id] = it
		}
	}
	t.order = append(t.order, t.self)
	regions := slices.DeleteFunc(slices.Sorted(maps.Keys(t.items)), func(id NodeID) bool { return !id.region() })
	t.order = append(t.order, regions...)
	t.walk(t.self, func(id NodeID) { t.order = append(t.order, id) })
}

// walk calls visit for everything below id, parents first.
func (t *tree) walk(id NodeID, visit func(NodeID)) {
	stack := slices.Clone(t.down[id])
	slices.Reverse(stack)
	for len(stack) > 0 {
		last := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		visit(last)
		for _, kid := range slices.Backward(t.down[last]) {
			stack = append(stack, kid)
		}
	}
}

// answer returns what an upper gets that asks for target: ourselves for all that it
// may see, a region, a platform, a device or a group for that branch; nothing for
// what it may not see (nil upper: everything).
func (c *catalog) answer(u *upper, target NodeID) []Item {
	t := c.whole()
	seen := c.visible(u, t)
	if target != "" && target != c.self.ID {
		if !seen[target] {
			return nil
		}
		seen = t.branch(target, seen)
	}
	items := make([]Item, 0, len(seen))
	for _, id := range t.order {
		if seen[id] {
			items = append(items, t.items[id])
		}
	}
	return items
}

// visible returns what an upper may see: what did not come through it (SH-6), and
// is shared with it, and what that hangs under.
func (c *catalog) visible(u *upper, t *tree) map[NodeID]bool {
	seen := map[NodeID]bool{t.self: true}
	for id := range t.items {
		if !id.region() && id != t.self && c.shares(u, id) {
			t.mark(id, seen)
		}
	}
	for id := range maps.Clone(seen) {
		region := t.items[id].Region
		for n := 2; n <= len(region); n += 2 {
			seen[region[:n]] = true
		}
	}
	return seen
}

// mark marks id and what it hangs under.
func (t *tree) mark(id NodeID, seen map[NodeID]bool) {
	for id != "" && !seen[id] {
		seen[id] = true
		if group := t.items[id].Group; group != "" && !seen[group] {
			t.mark(group, seen)
		}
		id = t.up[id]
	}
}

// shares reports whether the item itself, not only what hangs under it, is shared with u.
func (c *catalog) shares(u *upper, id NodeID) bool {
	if u == nil {
		return true
	}
	e := c.index[id]
	if e == nil { // a lower that did not list itself
		return u.share == nil && NodeID(u.cfg.Code) != id
	}
	if e.owner != "" && slices.Contains(e.path, u.cfg.Code) {
		return false
	}
	return u.share == nil || u.share[Code(id)]
}

// branch returns what is below target, of what is seen.
func (t *tree) branch(target NodeID, seen map[NodeID]bool) map[NodeID]bool {
	in := map[NodeID]bool{target: true}
	if target.region() {
		for id := range seen {
			region := t.items[id].Region
			if id.region() {
				region = id
			}
			if strings.HasPrefix(string(region), string(target)) && id != t.self {
				in[id] = true
			}
		}
		return in
	}
	add := func(id NodeID) {
		if seen[id] {
			in[id] = true
		}
	}
	t.walk(target, add)
	if target.kind() == TypeBusinessGroup {
		for id := range seen {
			if t.items[id].Group == target {
				in[id] = true
				t.walk(id, add)
			}
		}
	}
	return in
}

// find returns the entry of a node that u may ask about, or ErrNoChannel.
func (c *catalog) find(u *upper, id NodeID) (*entry, error) {
	if e := c.index[id]; e != nil && c.shares(u, id) {
		return e, nil
	}
	return nil, ErrNoChannel
}

// channel returns the entry of a channel that u (nil: a local user) may watch.
func (c *catalog) channel(u *upper, id Code) (*entry, error) {
	e, err := c.find(u, NodeID(id))
	if err != nil {
		return nil, err
	}
	it := e.item
	if t := id.Type(); t >= 111 && t <= 130 {
		it.Children = len(c.whole().down[e.id]) > 0
	}
	if !it.Channel() {
		return nil, ErrNoChannel
	}
	return e, nil
}
