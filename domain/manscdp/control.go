package manscdp

import "strings"

// DeviceControl tells a device to do something (A.2.3.1).
type DeviceControl struct {
	Head
	Command  Command  // nil: a command this package has no type for
	Priority Opt[int] // Info/ControlPriority, non-standard
	Extra    []string // ExtraInfo (2022)
}

// A Command is what a DeviceControl orders: one of the pointer types of this file.
type Command interface {
	// walkCommand reads or writes the command. Reading, it reports whether its
	// element is there.
	walkCommand(c *codec) bool
	// Answered reports whether the receiver owes a DeviceControlResponse.
	Answered() bool
}

func (*DeviceControl) name() (Root, string) { return Control, "DeviceControl" }

func (m *DeviceControl) walk(c *codec) {
	switch {
	case c.reading():
		m.Command = readCommand(c)
	case m.Command == nil:
		c.fail(ErrNoCommand)
	default:
		m.Command.walkCommand(c)
	}
	c.in("Info", func(c *codec) {
		c.number("ControlPriority", &m.Priority)
		if reset, ok := m.Command.(*AlarmReset); ok {
			c.text("AlarmMethod", &reset.Method)
			c.text("AlarmType", &reset.Type)
		}
	})
	c.extra(&m.Extra)
}

// readCommand returns the first command present, in the order of the standard.
func readCommand(c *codec) Command {
	for _, cmd := range [...]Command{
		new(PTZCommand), new(TeleBoot), new(Recording), new(Guard), new(AlarmReset), new(KeyFrame),
		new(DragZoom), new(HomePosition), new(PTZPrecise), new(DeviceUpgrade), new(FormatSDCard), new(TargetTrack),
	} {
		if cmd.walkCommand(c) {
			return cmd
		}
	}
	if c.find("PTZCmd") != 0 { // says nothing: damaged, not unknown
		return new(PTZCommand)
	}
	return nil
}

// word walks an element whose only meaning is one of two words, the second
// possibly none. Reading, another word is no command: it may mean anything.
func (c *codec) word(name string, p *bool, yes, no string) bool {
	s := no
	if *p {
		s = yes
	}
	c.text(name, &s)
	*p = strings.EqualFold(s, yes)
	return *p || no != "" && strings.EqualFold(s, no)
}

// PTZCommand moves a camera (A.3). No answer.
type PTZCommand struct {
	Hex             string // 16 hexadecimal digits as sent; see ParsePTZ and FormatPTZ
	PresetName      string // optional, at most 32 bytes (2022)
	CruiseTrackName string // optional, at most 32 bytes (2022)
}

// Answered is false: camera movement is not acknowledged.
func (*PTZCommand) Answered() bool { return false }

func (p *PTZCommand) walkCommand(c *codec) bool {
	c.must("PTZCmd", &p.Hex)
	c.in("PTZCmdParams", func(c *codec) {
		c.text("PresetName", &p.PresetName)
		c.text("CruiseTrackName", &p.CruiseTrackName)
	})
	return p.Hex != ""
}

// TeleBoot restarts a device. No answer.
type TeleBoot struct{}

// Answered is false: the device goes away.
func (*TeleBoot) Answered() bool { return false }

func (*TeleBoot) walkCommand(c *codec) bool {
	boot := true
	return c.word("TeleBoot", &boot, "Boot", "")
}

// Recording starts or stops recording on the device (RecordCmd).
type Recording struct {
	On           bool
	StreamNumber Opt[int] // 2022
}

// Answered is true.
func (*Recording) Answered() bool { return true }

func (r *Recording) walkCommand(c *codec) bool {
	if !c.word("RecordCmd", &r.On, "Record", "StopRecord") {
		return false
	}
	c.number("StreamNumber", &r.StreamNumber)
	return true
}

// Guard arms or disarms an alarm input (GuardCmd).
type Guard struct{ On bool }

// Answered is true.
func (*Guard) Answered() bool { return true }

func (g *Guard) walkCommand(c *codec) bool {
	return c.word("GuardCmd", &g.On, "SetGuard", "ResetGuard")
}

// AlarmReset acknowledges an alarm at the device, which is silent until then
// (AlarmCmd). Method and Type narrow it; they stand in Info.
type AlarmReset struct {
	Method string
	Type   string
}

// Answered is true.
func (*AlarmReset) Answered() bool { return true }

func (*AlarmReset) walkCommand(c *codec) bool {
	reset := true
	return c.word("AlarmCmd", &reset, "ResetAlarm", "")
}

// KeyFrame asks for a key frame at once (IFrameCmd; read also as IFameCmd, a
// misspelling old products send). No answer.
type KeyFrame struct{}

// Answered is false.
func (*KeyFrame) Answered() bool { return false }

func (*KeyFrame) walkCommand(c *codec) bool {
	send := true
	return c.word("IFrameCmd", &send, "Send", "") || c.reading() && c.word("IFameCmd", &send, "Send", "")
}

// A Box is a rectangle marked in a picture of Length × Width; all in pixels,
// origin top left.
type Box struct {
	Length, Width        int // of the picture, horizontally and vertically
	MidPointX, MidPointY int // centre of the box
	LengthX, LengthY     int // extent of the box
}

func (b *Box) walk(c *codec) {
	for _, f := range [...]struct {
		name string
		p    *int
	}{
		{"Length", &b.Length}, {"Width", &b.Width}, {"MidPointX", &b.MidPointX},
		{"MidPointY", &b.MidPointY}, {"LengthX", &b.LengthX}, {"LengthY", &b.LengthY},
	} {
		n := Some(*f.p)
		c.mustNumber(f.name, &n, 0)
		if *f.p = n.Value; c.reading() && !n.Set {
			*f.p = 0
		}
	}
}

// DragZoom zooms onto a box, or out so that the picture shrinks to it
// (DragZoomIn, DragZoomOut). No answer.
type DragZoom struct {
	Out bool
	Box
}

// Answered is false.
func (*DragZoom) Answered() bool { return false }

func (d *DragZoom) walkCommand(c *codec) bool {
	name := "DragZoomIn"
	if d.Out || c.reading() && c.find("DragZoomOut") != 0 {
		name, d.Out = "DragZoomOut", true
	}
	c.in(name, d.Box.walk)
	return c.reading() && c.find(name) != 0
}

// HomePosition makes a camera return to a preset when left alone.
type HomePosition struct {
	Enabled     bool
	ResetTime   Opt[int] // seconds until it returns
	PresetIndex Opt[int] // 1 to 255
}

// Answered is true.
func (*HomePosition) Answered() bool { return true }

func (h *HomePosition) walkCommand(c *codec) bool {
	if c.reading() && c.find("HomePosition") == 0 {
		return false
	}
	c.in("HomePosition", h.walk)
	return true
}

func (h *HomePosition) walk(c *codec) {
	c.flag("Enabled", &h.Enabled)
	c.number("ResetTime", &h.ResetTime)
	c.number("PresetIndex", &h.PresetIndex)
}

// flag is a mandatory 0 or 1.
func (c *codec) flag(name string, p *bool) {
	n := Some(0)
	if *p {
		n.Value = 1
	}
	c.mustNumber(name, &n, 0)
	*p = n.Set && n.Value != 0
}

// PTZPrecise points a camera at absolute angles; what is unset stays. Out of
// range goes to the limit (2022). No answer.
type PTZPrecise struct {
	Pan  Opt[float64] // degrees clockwise seen from above, 0 to 360
	Tilt Opt[float64] // degrees down from the horizon, about −30 to 90
	Zoom Opt[float64] // times, from 1
}

// Answered is false.
func (*PTZPrecise) Answered() bool { return false }

func (p *PTZPrecise) walkCommand(c *codec) bool {
	c.group("PTZPreciseCtrl", p.walk)
	return c.reading() && c.find("PTZPreciseCtrl") != 0
}

func (p *PTZPrecise) walk(c *codec) {
	c.decimal("Pan", &p.Pan)
	c.decimal("Tilt", &p.Tilt)
	c.decimal("Zoom", &p.Zoom)
}

// DeviceUpgrade makes a device fetch and install a firmware; all fields are
// mandatory. The answer says whether it will, an UpgradeResult how it went (2022).
type DeviceUpgrade struct {
	Firmware     string // version
	FileURL      string
	Manufacturer string
	SessionID    string // 32 to 128 letters, digits and dashes
}

// Answered is true.
func (*DeviceUpgrade) Answered() bool { return true }

func (d *DeviceUpgrade) walkCommand(c *codec) bool {
	c.in("DeviceUpgrade", func(c *codec) {
		c.must("Firmware", &d.Firmware)
		c.must("FileURL", &d.FileURL)
		c.must("Manufacturer", &d.Manufacturer)
		c.must("SessionID", &d.SessionID)
	})
	return c.reading() && c.find("DeviceUpgrade") != 0
}

// FormatSDCard erases memory cards (2022). No answer; SDCardStatusQuery tells.
type FormatSDCard struct {
	Card int // from 1; 0 is all
}

// Answered is false.
func (*FormatSDCard) Answered() bool { return false }

func (f *FormatSDCard) walkCommand(c *codec) bool {
	n := Some(f.Card)
	if c.reading() {
		n.Set = false // erasing nothing is better than erasing what was not said
	}
	c.number("FormatSDCard", &n)
	f.Card = n.Value
	return n.Set
}

// TargetTrack makes a dome follow a target that a panoramic camera sees (2022).
// The DeviceID of the message is the dome. No answer.
type TargetTrack struct {
	Mode     string // Auto, Manual or Stop
	Panorama string // DeviceID2: the panoramic channel
	Area     *Box   // TargetArea, for Manual
}

// Answered is false.
func (*TargetTrack) Answered() bool { return false }

func (t *TargetTrack) walkCommand(c *codec) bool {
	c.text("TargetTrack", &t.Mode)
	c.id("DeviceID2", &t.Panorama)
	block(c, "TargetArea", &t.Area, func(c *codec, b *Box) { b.walk(c) })
	return t.Mode != ""
}

// DeviceControlResponse is the outcome of a DeviceControl (A.2.6).
type DeviceControlResponse struct {
	Head
	Result Result
	Reason string // non-standard
}

func (*DeviceControlResponse) name() (Root, string) { return Response, "DeviceControl" }

func (m *DeviceControlResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.text("Reason", &m.Reason)
}
