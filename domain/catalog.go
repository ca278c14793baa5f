package domain

import (
	"maps"
	"slices"
	"strings"
)

const (
	deepest    = 16     // levels of a tree that are followed
	maxRegions = 10_000 // named by one lower
)

// An entry is an item of the catalogue: our own, or learned from a lower.
type entry struct {
	id    NodeID // ours: unique here, and what our uppers see
	below NodeID // what its owner calls it
	owner Code   // the lower it was learned from; empty: our own
	item  Item   // in its owner's words: ID, Parent and Group are ids there
	path  []Code // systems it came through, the nearest to it first, its owner last
	off   bool   // its id belongs to another entry: known, never shown
}

// A shelf holds what one lower has, by its own ids.
type shelf struct {
	owner   Code
	online  bool
	looped  bool // it has our own platform below another: what hangs there is an echo (SH-6)
	entries map[NodeID]*entry
	regions map[NodeID]Item // civil codes it named
}

// A catalog knows every item, who owns it and by which way it came (SRC-202,
// PUSH-704 to 706). Requests find their way down by it.
type catalog struct {
	self    Item
	region  NodeID
	own     *shelf
	shelves map[Code]*shelf
	index   map[NodeID]*entry // everything shown, by our ids
	doubles map[NodeID]int    // entries that are off, by their id
	touched map[NodeID]*Item  // what changed since the last report, as it was; nil: was not there
	notes   []Note
	tree    *tree // nil: to be built
}

func newCatalog(cfg Config) catalog {
	region := cfg.Region
	if region == "" {
		region = NodeID(cfg.Self[:6])
	}
	return catalog{
		self: Item{ID: NodeID(cfg.Self), Name: cfg.Name, Region: region, Status: StatusOn,
			Maker: cfg.Maker, Model: cfg.Model},
		region:  region,
		own:     &shelf{online: true, entries: make(map[NodeID]*entry), regions: make(map[NodeID]Item)},
		shelves: make(map[Code]*shelf),
		index:   make(map[NodeID]*entry),
		doubles: make(map[NodeID]int),
		touched: make(map[NodeID]*Item),
	}
}

func (c *catalog) shelf(owner Code) *shelf {
	if owner == "" {
		return c.own
	}
	s := c.shelves[owner]
	if s == nil {
		s = &shelf{owner: owner, entries: make(map[NodeID]*entry), regions: make(map[NodeID]Item)}
		c.shelves[owner] = s
	}
	return s
}

// touch remembers how id was before a change.
func (c *catalog) touch(id NodeID) {
	c.tree = nil
	if _, known := c.touched[id]; known {
		return
	}
	if e := c.index[id]; e != nil {
		it := c.show(e)
		c.touched[id] = &it
	} else {
		c.touched[id] = nil
	}
}

// show returns an entry as we tell it, but for its place in the tree. What a
// lower has is off while the lower is.
func (c *catalog) show(e *entry) Item {
	it := e.item
	it.ID = e.id
	if !c.shelf(e.owner).online {
		it.Status = StatusOff
	}
	if it.Region = NodeID(strings.TrimSpace(string(it.Region))); !it.Region.region() {
		it.Region = c.home(e.owner)
	}
	return it
}

// home is the region of what states none.
func (c *catalog) home(owner Code) NodeID {
	if owner == "" {
		return c.region
	}
	return NodeID(owner[:6])
}

// devices takes over what we have ourselves. What is not named any more is off,
// and gone only when removed says so.
func (c *catalog) devices(items []Item, removed []NodeID) {
	named := make(map[NodeID]bool, len(items))
	for _, it := range items {
		named[it.ID] = true
		c.put(c.own, it)
	}
	for _, id := range removed {
		c.remove(c.own, id)
	}
	for _, id := range slices.Sorted(maps.Keys(c.own.entries)) {
		if e := c.own.entries[id]; !named[id] && e.item.Status != StatusOff {
			c.touch(e.id)
			e.item.Status = StatusOff
		}
	}
}

// learn takes over items of a lower. Only a complete answer takes anything away.
func (c *catalog) learn(owner Code, items []Item, complete bool) {
	s := c.shelf(owner)
	named := make(map[NodeID]bool, len(items))
	for _, it := range parentsFirst(items) {
		named[it.ID] = true
		c.put(s, it)
	}
	if !complete {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.entries)) {
		if !named[id] {
			c.remove(s, id)
		}
	}
	s.looped = s.looped && named[c.self.ID]
	maps.DeleteFunc(s.regions, func(id NodeID, _ Item) bool { return !named[id] })
}

// parentsFirst sorts platforms, groups and devices before what hangs below them,
// so that the way of an item is known when it is met.
func parentsFirst(items []Item) []Item {
	level := make(map[NodeID]int, len(items))
	byID := make(map[NodeID]*Item, len(items))
	for i := range items {
		byID[items[i].ID] = &items[i]
	}
	for i := range items {
		n := 0
		for it := &items[i]; it != nil && n < deepest; n++ {
			up := byID[parentOf(*it, func(id NodeID) bool { return byID[id] != nil })]
			if up == it {
				break
			}
			it = up
		}
		level[items[i].ID] = n
	}
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b Item) int {
		if n := level[a.ID] - level[b.ID]; n != 0 {
			return n
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return sorted
}

// parentOf returns the id that it hangs under: the last of its parents that is
// known (some write the platform before the parent), else its group.
func parentOf(it Item, known func(NodeID) bool) NodeID {
	rest := string(it.Parent)
	for rest != "" {
		i := strings.LastIndexByte(rest, '/')
		id := NodeID(strings.TrimSpace(rest[i+1:]))
		if id != it.ID && known(id) {
			return id
		}
		rest = rest[:max(i, 0)]
	}
	if it.Group != it.ID && known(it.Group) {
		return it.Group
	}
	return ""
}

// put adds or replaces one item on a shelf.
func (c *catalog) put(s *shelf, it Item) {
	if it.ID.region() {
		if !equalItems(s.regions[it.ID], it) && len(s.regions) < maxRegions {
			c.tree = nil
			s.regions[it.ID] = it
		}
		return
	}
	if it.ID == c.self.ID { // some list their upper beside themselves: that is no loop
		up, ok := it.Parent.code()
		s.looped = ok && up.Type() == TypePlatform && it.Parent != it.ID
		return
	}
	if _, ok := it.ID.code(); !ok {
		return
	}
	below := it.ID
	e := s.entries[below]
	if e == nil {
		e = &entry{below: below, owner: s.owner, item: it}
		e.path = c.way(s, e)
		s.entries[below] = e
		c.name(s, e, it.Below)
		return
	}
	if it.Below = ""; equalItems(e.item, it) {
		return
	}
	if !e.off {
		c.touch(e.id)
	}
	e.item = it
	e.path = c.way(s, e)
}

func equalItems(a, b Item) bool { return a == b }

// way lists the systems that an item came through. What came through ourselves is
// an echo; an upper is never told of what came through it (SH-6).
func (c *catalog) way(s *shelf, e *entry) []Code {
	if s.owner == "" {
		return nil
	}
	var path []Code
	add := func(id NodeID) {
		code, ok := id.code()
		if ok && code.Type() == TypePlatform && (id != c.self.ID || s.looped) && !slices.Contains(path, code) {
			path = append(path, code)
		}
	}
	add(e.below)
	for at, n := e, 0; at != nil && n < deepest; n++ {
		for seg := range strings.SplitSeq(string(at.item.Parent), "/") {
			add(NodeID(strings.TrimSpace(seg)))
		}
		at = s.entries[parentOf(at.item, func(id NodeID) bool { return s.entries[id] != nil })]
	}
	if !slices.Contains(path, s.owner) {
		path = append(path, s.owner)
	}
	return path
}

func (c *catalog) remove(s *shelf, below NodeID) {
	delete(s.regions, below)
	e := s.entries[below]
	if e == nil {
		return
	}
	if delete(s.entries, below); e.off {
		c.tree = nil
		c.shown(e)
		return
	}
	c.touch(e.id)
	delete(c.index, e.id)
	c.succeed(e.id)
}

// drop forgets all that a lower has.
func (c *catalog) drop(owner Code) {
	s := c.shelves[owner]
	if s == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(s.entries)) {
		c.remove(s, id)
	}
	delete(c.shelves, owner)
}

// online tells whether a lower is, and with it what it has.
func (c *catalog) online(owner Code, on bool) {
	s := c.shelf(owner)
	if s.online == on {
		return
	}
	for _, e := range s.entries {
		if !e.off {
			c.touch(e.id)
		}
	}
	c.tree = nil
	s.online = on
}

// change applies the changes that a lower told (PUSH-707).
func (c *catalog) change(owner Code, ev CatalogIn) {
	s := c.shelf(owner)
	for i, it := range ev.Items {
		what := ItemUpdated
		if i < len(ev.Events) {
			what = ev.Events[i]
		}
		switch what {
		case ItemDeleted:
			c.remove(s, it.ID)
		case ItemOn, ItemOff, ItemVideoLost, ItemDefect:
			c.status(s, it.ID, what == ItemOn)
		default:
			it.Below = ""
			if len(s.entries) < maxItems || s.entries[it.ID] != nil {
				c.put(s, it)
			}
		}
	}
}

func (c *catalog) status(s *shelf, below NodeID, on bool) {
	e, status := s.entries[below], StatusOff
	if on {
		status = StatusOn
	}
	if e == nil || e.item.Status == status {
		return
	}
	if !e.off {
		c.touch(e.id)
	}
	e.item.Status = status
}

// saved returns what a lower has, as it is made durable: with our ids, and its own in Below.
func (c *catalog) saved(owner Code) []Item {
	s := c.shelf(owner)
	items := slices.Collect(maps.Values(s.regions))
	for _, e := range s.entries {
		it := e.item
		if !e.off && e.id != e.below {
			it.ID, it.Below = e.id, e.below
		}
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return items
}

// channels counts the channels that were learned from a lower.
func (c *catalog) channels(owner Code) int {
	n := 0
	for _, e := range c.shelf(owner).entries {
		if !e.off && e.item.Channel() {
			n++
		}
	}
	return n
}

// report hands out what people should know of the last changes.
func (c *catalog) report(d *desk) {
	for _, n := range c.notes {
		d.do(n)
	}
	c.notes = c.notes[:0]
}

// changes returns what became of each touched item, by id, and forgets it.
func (c *catalog) changes() map[NodeID]ItemEvent {
	if len(c.touched) == 0 {
		return nil
	}
	events := make(map[NodeID]ItemEvent, len(c.touched))
	for id, was := range c.touched {
		if what, changed := c.became(id, was); changed {
			events[id] = what
		}
	}
	clear(c.touched)
	return events
}

func (c *catalog) became(id NodeID, was *Item) (ItemEvent, bool) {
	e := c.index[id]
	switch {
	case e == nil:
		return ItemDeleted, was != nil
	case was == nil:
		return ItemAdded, true
	}
	is := c.show(e)
	before := *was
	if before.Status = is.Status; !equalItems(before, is) {
		return ItemUpdated, true
	}
	if is.Status == StatusOn {
		return ItemOn, was.Status != is.Status
	}
	return ItemOff, was.Status != is.Status
}
