package domain

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
)

// name finds the id under which a new entry is shown. Its own, if that is free.
// Ours wins over a lower's. Where two lowers use the same id for different things
// (they belong to different systems) the second gets another one (PUSH-706); the
// same thing by a second way is not shown twice.
func (c *catalog) name(s *shelf, e *entry, saved NodeID) {
	e.id = e.below
	if saved != "" { // it had another id before our restart
		e.id, e.below, e.item.ID = e.below, saved, saved
		delete(s.entries, e.id)
		s.entries[e.below] = e
	}
	other := c.index[e.id]
	switch {
	case slices.Contains(e.path, Code(c.self.ID)):
		c.hide(e)
	case other == nil:
		c.expose(e)
	case e.owner == "":
		c.conceal(other)
		c.collision(e, other, "refused")
		c.expose(e)
	case other.owner == "":
		c.hide(e)
		c.collision(other, e, "refused")
	case other.id != other.below || other.path[0] == e.path[0]:
		c.hide(e)
	default:
		e.id = c.alias(e)
		c.collision(other, e, string(e.id))
		c.expose(e)
	}
}

func (c *catalog) expose(e *entry) {
	c.touch(e.id)
	c.index[e.id] = e
}

func (c *catalog) conceal(e *entry) {
	c.touch(e.id)
	delete(c.index, e.id)
	c.hide(e)
}

func (c *catalog) hide(e *entry) {
	e.id, e.off = e.below, true
	c.doubles[e.below]++
}

// succeed shows another entry with an id that has become free.
func (c *catalog) succeed(id NodeID) {
	if c.doubles[id] == 0 {
		return
	}
	for _, owner := range slices.Sorted(maps.Keys(c.shelves)) {
		e := c.shelves[owner].entries[id]
		if e != nil && e.off && !slices.Contains(e.path, Code(c.self.ID)) {
			e.off = false
			c.shown(e)
			return
		}
	}
}

// shown counts an entry that is off no more.
func (c *catalog) shown(e *entry) {
	if c.doubles[e.below]--; c.doubles[e.below] == 0 {
		delete(c.doubles, e.below)
	}
	if !e.off {
		c.expose(e)
	}
}

func (c *catalog) collision(first, second *entry, now string) {
	c.notes = append(c.notes, Note{slog.LevelWarn, "channel id used twice", []slog.Attr{
		slog.String("channel", string(second.below)), slog.String("first", string(first.owner)),
		slog.String("second", string(second.owner)), slog.String("becomes", now)}})
}

// alias returns a free id for what e's owner calls by an id that is taken: domain
// of the owner, same type, and a serial number derived from both. It is made
// durable with the catalogue and never changes again.
func (c *catalog) alias(e *entry) NodeID {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", e.owner, e.below)
	for n := h.Sum32() % 10_000_000; ; n = (n + 1) % 10_000_000 {
		id := NodeID(fmt.Sprintf("%s%s%07d", e.owner.Realm(), e.below[10:13], n))
		if c.free(id) {
			return id
		}
	}
}

func (c *catalog) free(id NodeID) bool {
	for _, s := range c.shelves {
		if s.entries[id] != nil {
			return false
		}
	}
	return c.index[id] == nil && id != c.self.ID
}
