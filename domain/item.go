package domain

import "time"

// A NodeID names a node of the catalogue: a Code, or a civil code of 2, 4, 6 or
// 8 digits for a region.
type NodeID string

// Status of a device or channel.
type Status uint8

// The statuses (GB/T 28181-2022 Annex A, catalogue item).
const (
	StatusOff Status = iota
	StatusOn
)

// An Item is one node of a catalogue as it travels: region, system, business
// group, organisation, device or channel.
type Item struct {
	ID         NodeID
	Name       string // UTF-8; travels as GB18030
	Parent     NodeID // owning device, organisation or system; empty for regions
	Group      NodeID // business group (BusinessGroupID)
	Region     NodeID // CivilCode: 2 to 8 digits
	Grassroots string // fifth level of place: six digits, or empty
	Status     Status
	Maker      string
	Model      string
	Address    string // place in words
	Host       string // the encoder's network address
	PTZ        uint8  // PTZType: 0 none stated, 1 dome, 2 half-dome, 3 fixed, 4 remote bullet
	Streams    uint8  // streams offered: 1 main only, 2 main and sub
	Children   bool   // Parental
	Below      NodeID // its id at the lower it was learned from, where we had to give it another; never travels
}

// Values of Item.PTZ that something depends on.
const (
	PTZNotStated = 0
	PTZDome      = 1
	PTZFixed     = 3 // the camera does not move
)

// Channel reports whether the item can be watched: it is no region, system,
// group, organisation or alarm line. Devices of types 111 to 130 count as
// channels only where no other item names them as its parent; the catalogue
// decides that, not the item.
func (it Item) Channel() bool {
	if len(it.ID) != 20 {
		return false
	}
	t := Code(it.ID).Type()
	return t == TypeCamera || t == TypeNetworkCamera || t >= 111 && t <= 130 && !it.Children
}

// Fifth returns the id of the item's region of the fifth level: its civil code, of a
// district at least, with what is below that; "" if it states none.
func (it Item) Fifth() NodeID {
	stated := len(it.Grassroots) == 6 && digits(it.Grassroots) && it.Grassroots != "000000"
	if !stated || len(it.Region) < 6 || !it.Region.region() {
		return ""
	}
	return it.Region + NodeID(it.Grassroots)
}

// A Range is a half-open span of wall-clock time.
type Range struct{ From, To time.Time }

// A Recording is a maximal interval without a hole, of one channel.
type Recording struct {
	Channel Code
	Range   Range
	Bytes   int64
	Kind    RecordKind

	Path     string // its address: where its owner finds it; opaque to others
	Recorder string // who recorded it, if that is told
	Location string // where it lies: a server or a device, if that is told
}

// RecordKind is why something was recorded.
type RecordKind uint8

// The kinds (GB/T 28181-2022 §9.7: time, alarm, manual).
const (
	RecordScheduled RecordKind = iota
	RecordAlarm
	RecordManual
)
