package manscdp

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A PTZ is the command of a PTZCmd (A.3): eight bytes, sixteen hexadecimal digits
// on the wire. Which fields mean something depends on Action; the zero value stops
// all movement.
type PTZ struct {
	Action  PTZAction
	Address uint16 // 12 bits, not used for routing; PTZAddress by habit, 0 is broadcast
	Pan     Axis   // Move: Left or Right, speed 0 to 255
	Tilt    Axis   // Move: Up or Down, speed 0 to 255
	Zoom    Axis   // Move: In or Out, speed 0 to 15
	Focus   Axis   // Lens: Near or Far, speed 0 to 255
	Iris    Axis   // Lens: Open or Close, speed 0 to 255
	Number  uint8  // preset 1 to 255 of preset actions; cruise or scan group; auxiliary switch (1 is the wiper)
	Preset  uint8  // CruiseAdd: 1 to 255; CruiseDelete: the same, or 0 for the whole cruise
	Value   uint16 // 12 bits; CruiseSpeed and ScanSpeed: speed; CruiseDwell: seconds
	// Suspect says that the checksum or the combination code (byte 2) was wrong
	// while the other was right: to be logged and carried out. Many senders compute
	// the sum of zoom commands wrongly. It is never written.
	Suspect bool
}

// An Axis is movement in one dimension. The speed is carried even without a
// direction, as senders do.
type Axis struct {
	Dir   Dir
	Speed uint8
}

// A Dir is the direction of movement along an axis, as seen in the picture.
type Dir int8

// The directions.
const (
	Left, Right Dir = -1, 1
	Down, Up    Dir = -1, 1
	Out, In     Dir = -1, 1
	Near, Far   Dir = -1, 1
	Close, Open Dir = -1, 1
	Still       Dir = 0
)

// A PTZAction is what a PTZ does.
type PTZAction uint8

// The actions (A.3.2 to A.3.7). Cruise and scan are stopped by a Move that moves
// nothing.
const (
	Move         PTZAction = iota // pan, tilt and zoom until the next command
	Lens                          // focus and iris until the next command
	PresetSet                     // store the position as preset Number
	PresetCall                    // go to preset Number
	PresetDelete                  // forget preset Number
	CruiseAdd                     // add Preset to cruise Number
	CruiseDelete                  // remove Preset from cruise Number
	CruiseSpeed                   // set the speed of cruise Number to Value
	CruiseDwell                   // set the stay at each point of cruise Number to Value seconds
	CruiseStart                   // start cruise Number
	ScanStart                     // start scan Number
	ScanLeft                      // store the left edge of scan Number
	ScanRight                     // store the right edge of scan Number
	ScanSpeed                     // set the speed of scan Number to Value
	AuxOn                         // switch auxiliary Number on
	AuxOff                        // switch auxiliary Number off
)

// PTZAddress is the device address by habit of all senders (A.3.1, bytes 3 and 7).
const PTZAddress = 1

// command is byte 4 of the actions beyond Move and Lens. The scan
// commands 89 differ by byte 6.
func (a PTZAction) command() byte {
	switch a {
	case PresetSet, PresetCall, PresetDelete:
		return 0x81 + byte(a-PresetSet)
	case CruiseAdd, CruiseDelete, CruiseSpeed, CruiseDwell, CruiseStart:
		return 0x84 + byte(a-CruiseAdd)
	case ScanStart, ScanLeft, ScanRight:
		return 0x89
	case ScanSpeed:
		return 0x8A
	case AuxOn, AuxOff:
		return 0x8C + byte(a-AuxOn)
	}
	return 0
}

// ParsePTZ reads the text of a PTZCmd: sixteen hexadecimal digits in either case,
// blanks around them allowed. Bytes 3 and 7-low, the address, are not checked. One
// of checksum and combination code may be wrong (PTZ.Suspect). The error is a
// *SyntaxError with the offset in s.
func ParsePTZ(s string) (PTZ, error) {
	text := strings.Trim(s, " \t\r\n")
	at := strings.Index(s, text)
	if len(text) != 16 {
		return PTZ{}, &SyntaxError{at + min(len(text), 16), "PTZCmd", "16 hexadecimal digits"}
	}
	var b [8]byte
	if n, err := hex.Decode(b[:], []byte(text)); err != nil {
		return PTZ{}, &SyntaxError{at + 2*n, "PTZCmd", "hexadecimal digits"}
	}
	if b[0] != 0xA5 {
		return PTZ{}, &SyntaxError{at, "PTZCmd", "A5"}
	}
	p, fault := ptzOf(b)
	if fault != nil {
		return PTZ{}, &SyntaxError{at + 2*fault.Offset, "PTZCmd", fault.Want}
	}
	code, sum := b[1]&15 == (0xA+0x5+b[1]>>4)&15, b[7] == checksum(b)
	if !code && !sum {
		return PTZ{}, &SyntaxError{at + 14, "PTZCmd", fmt.Sprintf("checksum %02X", checksum(b))}
	}
	p.Suspect = !code || !sum
	return p, nil
}

// checksum is the sum of the first seven bytes (A.3.1).
func checksum(b [8]byte) (sum byte) {
	for _, x := range b[:7] {
		sum += x
	}
	return sum
}

// ptzOf reads bytes 3 to 7. Offsets of faults are byte indices.
func ptzOf(b [8]byte) (PTZ, *SyntaxError) {
	p := PTZ{Address: uint16(b[6]&15)<<8 | uint16(b[2])}
	switch cmd := b[3]; {
	case cmd < 0x40:
		return p.move(b)
	case cmd < 0x50:
		return p.lens(b)
	case 0x81 <= cmd && cmd <= 0x83:
		p.Action, p.Number = PresetSet+PTZAction(cmd-0x81), b[5]
		return p.checked()
	case 0x84 <= cmd && cmd <= 0x88:
		p.Action, p.Number = CruiseAdd+PTZAction(cmd-0x84), b[4]
	case cmd == 0x89 && b[5] <= 2:
		p.Action, p.Number = ScanStart+PTZAction(b[5]), b[4]
	case cmd == 0x89:
		return p, &SyntaxError{Offset: 5, Want: "scan 00, 01 or 02"}
	case cmd == 0x8A:
		p.Action, p.Number = ScanSpeed, b[4]
	case cmd == 0x8C || cmd == 0x8D:
		p.Action, p.Number = AuxOn+PTZAction(cmd-0x8C), b[4]
	default:
		return p, &SyntaxError{Offset: 3, Want: "a known command"}
	}
	switch p.Action {
	case CruiseAdd, CruiseDelete:
		p.Preset = b[5]
	case CruiseSpeed, CruiseDwell, ScanSpeed:
		p.Value = uint16(b[6]>>4)<<8 | uint16(b[5])
	}
	return p.checked()
}

// checked refuses preset 0, which is reserved.
func (p PTZ) checked() (PTZ, *SyntaxError) {
	switch p.Action {
	case PresetSet, PresetCall, PresetDelete:
		if p.Number == 0 {
			return p, &SyntaxError{Offset: 5, Want: "preset 1 to 255"}
		}
	case CruiseAdd:
		if p.Preset == 0 {
			return p, &SyntaxError{Offset: 5, Want: "preset 1 to 255"}
		}
	}
	return p, nil
}

func (p PTZ) move(b [8]byte) (PTZ, *SyntaxError) {
	for pair := byte(3); pair <= 0x30; pair <<= 2 {
		if b[3]&pair == pair {
			return p, &SyntaxError{Offset: 3, Want: "one direction an axis"}
		}
	}
	p.Action = Move
	p.Pan = Axis{dirOf(b[3], 0x01, 0x02), b[4]}
	p.Tilt = Axis{dirOf(b[3], 0x08, 0x04), b[5]}
	p.Zoom = Axis{dirOf(b[3], 0x10, 0x20), b[6] >> 4}
	return p, nil
}

func (p PTZ) lens(b [8]byte) (PTZ, *SyntaxError) {
	if b[3]&0x03 == 0x03 || b[3]&0x0C == 0x0C {
		return p, &SyntaxError{Offset: 3, Want: "one direction an axis"}
	}
	p.Action = Lens
	p.Focus = Axis{dirOf(b[3], 0x01, 0x02), b[4]}
	p.Iris = Axis{dirOf(b[3], 0x04, 0x08), b[5]}
	return p, nil
}

func dirOf(cmd, plus, minus byte) Dir {
	switch {
	case cmd&plus != 0:
		return 1
	case cmd&minus != 0:
		return -1
	}
	return Still
}

func (d Dir) bits(plus, minus byte) byte {
	switch {
	case d > 0:
		return plus
	case d < 0:
		return minus
	}
	return 0
}

// Bytes returns the eight bytes of the command (A.3.1) with a right checksum.
// Numbers out of the range of their field lose their upper bits.
func (p PTZ) Bytes() [8]byte {
	b := [8]byte{0xA5, 0x0F, byte(p.Address), p.Action.command(), p.Number, 0, byte(p.Address>>8) & 15}
	switch p.Action {
	case Move:
		b[3] = p.Pan.Dir.bits(0x01, 0x02) | p.Tilt.Dir.bits(0x08, 0x04) | p.Zoom.Dir.bits(0x10, 0x20)
		b[4], b[5] = p.Pan.Speed, p.Tilt.Speed
		b[6] |= p.Zoom.Speed << 4
	case Lens:
		b[3] = 0x40 | p.Focus.Dir.bits(0x01, 0x02) | p.Iris.Dir.bits(0x04, 0x08)
		b[4], b[5] = p.Focus.Speed, p.Iris.Speed
	case PresetSet, PresetCall, PresetDelete:
		b[4], b[5] = 0, p.Number
	case CruiseAdd, CruiseDelete:
		b[5] = p.Preset
	case CruiseSpeed, CruiseDwell, ScanSpeed:
		b[5] = byte(p.Value)
		b[6] |= byte(p.Value>>8) << 4
	case ScanLeft, ScanRight:
		b[5] = byte(p.Action - ScanStart)
	}
	b[7] = checksum(b)
	return b
}

// Hex returns the text of a PTZCmd: sixteen upper-case hexadecimal digits.
func (p PTZ) Hex() string { return fmt.Sprintf("%X", p.Bytes()) }

// Stops reports whether p ends movement and moves nothing itself. A Move that
// stops also ends cruise and scan; a Lens that stops only ends focus and iris.
func (p PTZ) Stops() bool {
	switch p.Action {
	case Move:
		return p.Pan.Dir|p.Tilt.Dir|p.Zoom.Dir == Still
	case Lens:
		return p.Focus.Dir|p.Iris.Dir == Still
	}
	return false
}

// String describes the command for people: "left 128 up 128", "preset call 5".
func (p PTZ) String() string {
	switch p.Action {
	case Move:
		return moves("stop", p.Pan.words("left", "right"), p.Tilt.words("down", "up"), p.Zoom.words("zoom out", "zoom in"))
	case Lens:
		return moves("lens stop", p.Focus.words("focus near", "focus far"), p.Iris.words("iris close", "iris open"))
	case CruiseAdd:
		return fmt.Sprintf("cruise %d add preset %d", p.Number, p.Preset)
	case CruiseDelete:
		if p.Preset == 0 {
			return fmt.Sprintf("cruise %d delete", p.Number)
		}
		return fmt.Sprintf("cruise %d delete preset %d", p.Number, p.Preset)
	case CruiseSpeed:
		return fmt.Sprintf("cruise %d speed %d", p.Number, p.Value)
	case CruiseDwell:
		return fmt.Sprintf("cruise %d dwell %d s", p.Number, p.Value)
	case ScanSpeed:
		return fmt.Sprintf("scan %d speed %d", p.Number, p.Value)
	}
	return fmt.Sprintf(p.Action.form(), p.Number)
}

// form is the description of the actions with one number.
func (a PTZAction) form() string {
	switch a {
	case PresetSet:
		return "preset set %d"
	case PresetCall:
		return "preset call %d"
	case PresetDelete:
		return "preset delete %d"
	case CruiseStart:
		return "cruise %d start"
	case ScanStart:
		return "scan %d start"
	case ScanLeft:
		return "scan %d left edge"
	case ScanRight:
		return "scan %d right edge"
	case AuxOn:
		return "auxiliary %d on"
	case AuxOff:
		return "auxiliary %d off"
	}
	return "unknown %d"
}

func moves(still string, parts ...string) string {
	var moving []string
	for _, p := range parts {
		if p != "" {
			moving = append(moving, p)
		}
	}
	if len(moving) == 0 {
		return still
	}
	return strings.Join(moving, " ")
}

func (a Axis) words(minus, plus string) string {
	switch {
	case a.Dir > 0:
		return fmt.Sprintf("%s %d", plus, a.Speed)
	case a.Dir < 0:
		return fmt.Sprintf("%s %d", minus, a.Speed)
	}
	return ""
}
