package manscdp

import (
	"strconv"
	"strings"
	"time"
)

// An Event is what happened to a node of a catalogue (2022 Annex N, 2016 Annex P).
type Event uint8

// The events. EventNone is an absent or unknown one.
const (
	EventNone      Event = iota
	EventOn              // came online
	EventOff             // went offline
	EventVideoLost       // its picture is lost
	EventDefect          // has a fault
	EventAdd             // is new
	EventDelete          // is gone
	EventUpdate          // has changed
)

// String returns the text on the wire, empty for EventNone.
func (e Event) String() string {
	switch e {
	case EventOn:
		return "ON"
	case EventOff:
		return "OFF"
	case EventVideoLost:
		return "VLOST"
	case EventDefect:
		return "DEFECT"
	case EventAdd:
		return "ADD"
	case EventDelete:
		return "DEL"
	case EventUpdate:
		return "UPDATE"
	}
	return ""
}

func parseEvent(s string) Event {
	for e := EventOn; e <= EventUpdate; e++ {
		if strings.EqualFold(s, e.String()) {
			return e
		}
	}
	return EventNone
}

// CatalogQuery asks for the nodes below DeviceID; in a SUBSCRIBE, for their
// changes (A.2.4 catalogue query).
type CatalogQuery struct {
	Head
	Start time.Time // only devices added since; zero: no limit
	End   time.Time // only devices added before; zero: now
}

func (*CatalogQuery) name() (Root, string) { return Query, "Catalog" }

func (m *CatalogQuery) walk(c *codec) {
	c.instant("StartTime", &m.Start)
	c.instant("EndTime", &m.End)
}

// CatalogResponse is one page of the answer to a CatalogQuery (A.2.6). SumNum is
// the number of items in all pages, as claimed; a page without it counts its own.
type CatalogResponse struct {
	Head
	SumNum int
	Items  []Item
	Extra  []string // ExtraInfo (2022)
}

func (*CatalogResponse) name() (Root, string) { return Response, "Catalog" }

func (m *CatalogResponse) walk(c *codec) {
	c.sumNum(&m.SumNum)
	itemList(walkItem).walk(c, &m.Items)
	c.sumDefault(&m.SumNum, len(m.Items))
	c.extra(&m.Extra)
}

// CatalogNotify reports changes to a subscriber (A.2.5, 2022 Annex N). SumNum is
// written as the number of items and ignored when read.
type CatalogNotify struct {
	Head
	Items []Item // each with its Event
}

func (*CatalogNotify) name() (Root, string) { return Notify, "Catalog" }

func (m *CatalogNotify) walk(c *codec) {
	if !c.reading() {
		n := len(m.Items)
		c.sumNum(&n)
	}
	itemList(walkChange).walk(c, &m.Items)
}

// sumNum is the number of items of all pages. Read as −1 when absent or absurd.
func (c *codec) sumNum(p *int) {
	if !c.reading() {
		c.leaf("SumNum", strconv.Itoa(*p))
		return
	}
	var n Opt[int]
	c.number("SumNum", &n)
	if *p = n.Or(-1); *p < 0 {
		*p = -1
	}
}

// sumDefault replaces a missing sum by the number of items of this page.
func (c *codec) sumDefault(p *int, items int) {
	if c.reading() && *p < 0 {
		*p = items
	}
}
