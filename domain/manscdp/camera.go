package manscdp

// PresetQuery asks for the presets of a camera (A.2.4).
type PresetQuery struct{ Head }

func (*PresetQuery) name() (Root, string) { return Query, "PresetQuery" }
func (*PresetQuery) walk(*codec)          {}

// PresetResponse lists presets (A.2.6). Long lists come in several messages with
// one SN.
type PresetResponse struct {
	Head
	Result  Result // non-standard: some devices only say ERROR
	SumNum  int    // presets in all pages (2022)
	Presets []Preset
}

// A Preset is a stored position of a camera.
type Preset struct {
	ID   string // 1 to 255
	Name string
}

func (*PresetResponse) name() (Root, string) { return Response, "PresetQuery" }

func (m *PresetResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	if c.reading() || c.version == Version2022 {
		c.sumNum(&m.SumNum)
	}
	list[Preset]{
		name: "PresetList", item: "Item", always: true,
		fields: func(c *codec, p *Preset) {
			c.id("PresetID", &p.ID)
			c.must("PresetName", &p.Name)
		},
		known: func(p *Preset) bool { return p.ID != "" },
	}.walk(c, &m.Presets)
	c.sumDefault(&m.SumNum, len(m.Presets))
}

// HomePositionQuery asks for the home position of a camera (2022, A.2.4).
type HomePositionQuery struct{ Head }

func (*HomePositionQuery) name() (Root, string) { return Query, "HomePositionQuery" }
func (*HomePositionQuery) walk(*codec)          {}

// HomePositionResponse answers it (2022, A.2.6). Home is nil if none is set or
// the device refused.
type HomePositionResponse struct {
	Head
	Result Result
	Reason string // non-standard
	Home   *HomePosition
}

func (*HomePositionResponse) name() (Root, string) { return Response, "HomePositionQuery" }

func (m *HomePositionResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.text("Reason", &m.Reason)
	block(c, "HomePosition", &m.Home, func(c *codec, h *HomePosition) { h.walk(c) })
}

// PTZPositionQuery asks where a camera points; in a SUBSCRIBE, to be told when
// that changes (2022, A.2.4).
type PTZPositionQuery struct{ Head }

func (*PTZPositionQuery) name() (Root, string) { return Query, "PTZPosition" }
func (*PTZPositionQuery) walk(*codec)          {}

// A PTZPosition is where a camera points and what it sees.
type PTZPosition struct {
	PTZPrecise
	HorizontalFieldAngle Opt[float64] // degrees
	VerticalFieldAngle   Opt[float64] // degrees
	MaxViewDistance      Opt[float64] // metres
}

func (p *PTZPosition) walk(c *codec) {
	p.PTZPrecise.walk(c)
	c.decimal("HorizontalFieldAngle", &p.HorizontalFieldAngle)
	c.decimal("VerticalFieldAngle", &p.VerticalFieldAngle)
	c.decimal("MaxViewDistance", &p.MaxViewDistance)
}

// PTZPositionResponse answers a PTZPositionQuery (2022, A.2.6).
type PTZPositionResponse struct {
	Head
	Result   Result // some devices only say ERROR
	Position PTZPosition
}

func (*PTZPositionResponse) name() (Root, string) { return Response, "PTZPosition" }

func (m *PTZPositionResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	m.Position.walk(c)
}

// PTZPositionNotify reports a new direction to a subscriber (2022, A.2.5).
type PTZPositionNotify struct {
	Head
	Position PTZPosition
}

func (*PTZPositionNotify) name() (Root, string) { return Notify, "PTZPosition" }
func (m *PTZPositionNotify) walk(c *codec)      { m.Position.walk(c) }

// CruiseTrackListQuery asks which cruises a camera knows (2022, A.2.4).
type CruiseTrackListQuery struct{ Head }

func (*CruiseTrackListQuery) name() (Root, string) { return Query, "CruiseTrackListQuery" }
func (*CruiseTrackListQuery) walk(*codec)          {}

// CruiseTrackListResponse lists cruises (2022, A.2.6).
type CruiseTrackListResponse struct {
	Head
	Result Result // some devices only say ERROR
	SumNum int    // cruises in all pages
	Tracks []CruiseTrack
}

// A CruiseTrack names one cruise.
type CruiseTrack struct {
	Number Opt[int] // from 0
	Name   string   // at most 32 bytes
}

func (*CruiseTrackListResponse) name() (Root, string) { return Response, "CruiseTrackListQuery" }

func (m *CruiseTrackListResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.sumNum(&m.SumNum)
	list[CruiseTrack]{name: "CruiseTrackList", item: "CruiseTrack", fields: func(c *codec, t *CruiseTrack) {
		c.number("Number", &t.Number)
		c.text("Name", &t.Name)
	}}.walk(c, &m.Tracks)
	c.sumDefault(&m.SumNum, len(m.Tracks))
}

// CruiseTrackQuery asks for the points of one cruise (2022, A.2.4).
type CruiseTrackQuery struct {
	Head
	Number Opt[int] // from 0
}

func (*CruiseTrackQuery) name() (Root, string) { return Query, "CruiseTrackQuery" }
func (m *CruiseTrackQuery) walk(c *codec)      { c.number("Number", &m.Number) }

// CruiseTrackResponse lists the points of one cruise (2022, A.2.6).
type CruiseTrackResponse struct {
	Head
	Result Result // some devices only say ERROR
	CruiseTrack
	SumNum int // points in all pages
	Points []CruisePoint
}

// A CruisePoint is one stop of a cruise.
type CruisePoint struct {
	PresetIndex Opt[int] // 1 to 255
	StayTime    Opt[int] // seconds
	Speed       Opt[int] // 1 to 15
}

func (*CruiseTrackResponse) name() (Root, string) { return Response, "CruiseTrackQuery" }

func (m *CruiseTrackResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.number("Number", &m.Number)
	c.text("Name", &m.Name)
	c.sumNum(&m.SumNum)
	list[CruisePoint]{name: "CruisePointList", item: "CruisePoint", fields: func(c *codec, p *CruisePoint) {
		c.number("PresetIndex", &p.PresetIndex)
		c.number("StayTime", &p.StayTime)
		c.number("Speed", &p.Speed)
	}}.walk(c, &m.Points)
	c.sumDefault(&m.SumNum, len(m.Points))
}
