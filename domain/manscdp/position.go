package manscdp

import "time"

// MobilePositionQuery is the body of a SUBSCRIBE to positions (A.2.4); some
// products also send it as a plain query.
type MobilePositionQuery struct {
	Head
	Interval Opt[int] // seconds between reports; the standard's default is 5
}

func (*MobilePositionQuery) name() (Root, string) { return Query, "MobilePosition" }

func (m *MobilePositionQuery) walk(c *codec) { c.number("Interval", &m.Interval) }

// MobilePositionNotify reports where mobile devices are (A.2.5). Editions before
// 2022 carry one position flat in the body: read, it becomes a single Position
// with the DeviceID and Time of the message; written, it must have that DeviceID.
type MobilePositionNotify struct {
	Head
	Time      time.Time // of the report, UTC
	SumNum    int       // positions in all pages (2022)
	Positions []Position
}

// A Position is where one device was.
type Position struct {
	DeviceID  string
	Captured  time.Time    // UTC
	Longitude Opt[float64] // degrees, WGS-84
	Latitude  Opt[float64] // degrees, WGS-84
	Speed     Opt[float64] // km/h
	Direction Opt[float64] // degrees clockwise from north, below 360
	Altitude  Opt[float64] // metres
	Height    Opt[float64] // metres above ground (2022)
}

func (*MobilePositionNotify) name() (Root, string) { return Notify, "MobilePosition" }

func (m *MobilePositionNotify) walk(c *codec) {
	c.instant("Time", &m.Time)
	if !c.reading() && c.version != Version2022 {
		m.writeFlat(c)
		return
	}
	if c.reading() && c.find("DeviceList") == 0 && c.find("SumNum") == 0 {
		m.readFlat(c)
		return
	}
	c.sumNum(&m.SumNum)
	list[Position]{
		name: "DeviceList", item: "Item",
		fields: func(c *codec, p *Position) {
			c.id("DeviceID", &p.DeviceID)
			c.instant("CaptureTime", &p.Captured)
			p.walk(c, true)
		},
		known: func(p *Position) bool { return p.DeviceID != "" },
	}.walk(c, &m.Positions)
	c.sumDefault(&m.SumNum, len(m.Positions))
}

func (m *MobilePositionNotify) writeFlat(c *codec) {
	if len(m.Positions) != 1 || !m.Positions[0].isFlat(m.DeviceID) {
		c.fail(ErrFlatPosition)
		return
	}
	m.Positions[0].walk(c, false)
}

func (m *MobilePositionNotify) readFlat(c *codec) {
	p := Position{DeviceID: m.DeviceID, Captured: m.Time}
	p.walk(c, true)
	if p.isFlat(m.DeviceID) {
		m.Positions, m.SumNum = []Position{p}, 1
	}
}

// isFlat reports whether p can stand directly in a message about that device.
func (p *Position) isFlat(device string) bool {
	return device != "" && p.DeviceID == device && (p.Longitude.Set || p.Latitude.Set)
}

func (p *Position) walk(c *codec, height bool) {
	c.decimal("Longitude", &p.Longitude)
	c.decimal("Latitude", &p.Latitude)
	c.decimal("Speed", &p.Speed)
	c.decimal("Direction", &p.Direction)
	c.decimal("Altitude", &p.Altitude)
	if height {
		c.decimal("Height", &p.Height)
	}
}

// VideoUploadNotify says that a mobile device wants to send live video; the
// receiver then invites it (2022, A.2.5).
type VideoUploadNotify struct {
	Head
	Time      time.Time    // UTC
	Longitude Opt[float64] // degrees, WGS-84
	Latitude  Opt[float64] // degrees, WGS-84
}

func (*VideoUploadNotify) name() (Root, string) { return Notify, "VideoUploadNotify" }

func (m *VideoUploadNotify) walk(c *codec) {
	c.instant("Time", &m.Time)
	c.decimal("Longitude", &m.Longitude)
	c.decimal("Latitude", &m.Latitude)
}
