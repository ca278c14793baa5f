package manscdp

import (
	"encoding/hex"
	"fmt"
	"strings"

	"districtgateway/domain"
)

// ptzAddress is the device address by habit of all senders (A.3.1, byte 3).
const ptzAddress = 1

// command is byte 4 of the actions beyond PTZMove and PTZLens. The scan
// commands 89 differ by byte 6.
func command(a domain.PTZAction) byte {
	switch a {
	case domain.PresetSet, domain.PresetCall, domain.PresetDelete:
		return 0x81 + byte(a-domain.PresetSet)
	case domain.CruiseAdd, domain.CruiseDelete, domain.CruiseSpeed, domain.CruiseDwell, domain.CruiseStart:
		return 0x84 + byte(a-domain.CruiseAdd)
	case domain.ScanStart, domain.ScanLeft, domain.ScanRight:
		return 0x89
	case domain.ScanSpeed:
		return 0x8A
	case domain.AuxOn, domain.AuxOff:
		return 0x8C + byte(a-domain.AuxOn)
	}
	return 0
}

// ParsePTZ reads the text of a PTZCmd (A.3): eight bytes as sixteen hexadecimal digits
// in either case, blanks around them allowed. Bytes 3 and 7-low, the address, are not
// looked at: the DeviceID says who is meant. One of checksum and combination code
// (byte 2) may be wrong: that is suspect, to be logged and carried out, since many
// senders compute the sum of zoom commands wrongly. The error is a *SyntaxError with
// the offset in s.
func ParsePTZ(s string) (p domain.PTZ, suspect bool, err error) {
	text := strings.Trim(s, " \t\r\n")
	at := strings.Index(s, text)
	if len(text) != 16 {
		return domain.PTZ{}, false, &SyntaxError{at + min(len(text), 16), "PTZCmd", "16 hexadecimal digits"}
	}
	var b [8]byte
	if n, err := hex.Decode(b[:], []byte(text)); err != nil {
		return domain.PTZ{}, false, &SyntaxError{at + 2*n, "PTZCmd", "hexadecimal digits"}
	}
	if b[0] != 0xA5 {
		return domain.PTZ{}, false, &SyntaxError{at, "PTZCmd", "A5"}
	}
	p, fault := ptzOf(b)
	if fault != nil {
		return domain.PTZ{}, false, &SyntaxError{at + 2*fault.Offset, "PTZCmd", fault.Want}
	}
	code, sum := b[1]&15 == (0xA+0x5+b[1]>>4)&15, b[7] == checksum(b)
	if !code && !sum {
		return domain.PTZ{}, false, &SyntaxError{at + 14, "PTZCmd", fmt.Sprintf("checksum %02X", checksum(b))}
	}
	return p, !code || !sum, nil
}

// checksum is the sum of the first seven bytes (A.3.1).
func checksum(b [8]byte) (sum byte) {
	for _, x := range b[:7] {
		sum += x
	}
	return sum
}

// ptzOf reads bytes 3 to 7. Offsets of faults are byte indices.
func ptzOf(b [8]byte) (domain.PTZ, *SyntaxError) {
	var p domain.PTZ
	switch cmd := b[3]; {
	case cmd < 0x40:
		return move(b)
	case cmd < 0x50:
		return lens(b)
	case 0x81 <= cmd && cmd <= 0x83:
		p.Action, p.Number = domain.PresetSet+domain.PTZAction(cmd-0x81), b[5]
		return checked(p)
	case 0x84 <= cmd && cmd <= 0x88:
		p.Action, p.Number = domain.CruiseAdd+domain.PTZAction(cmd-0x84), b[4]
	case cmd == 0x89 && b[5] <= 2:
		p.Action, p.Number = domain.ScanStart+domain.PTZAction(b[5]), b[4]
	case cmd == 0x89:
		return p, &SyntaxError{Offset: 5, Want: "scan 00, 01 or 02"}
	case cmd == 0x8A:
		p.Action, p.Number = domain.ScanSpeed, b[4]
	case cmd == 0x8C || cmd == 0x8D:
		p.Action, p.Number = domain.AuxOn+domain.PTZAction(cmd-0x8C), b[4]
	default:
		return p, &SyntaxError{Offset: 3, Want: "a known command"}
	}
	switch p.Action {
	case domain.CruiseAdd, domain.CruiseDelete:
		p.Preset = b[5]
	case domain.CruiseSpeed, domain.CruiseDwell, domain.ScanSpeed:
		p.Value = uint16(b[6]>>4)<<8 | uint16(b[5])
	}
	return checked(p)
}

// checked refuses preset 0, which is reserved.
func checked(p domain.PTZ) (domain.PTZ, *SyntaxError) {
	switch p.Action {
	case domain.PresetSet, domain.PresetCall, domain.PresetDelete:
		if p.Number == 0 {
			return p, &SyntaxError{Offset: 5, Want: "preset 1 to 255"}
		}
	case domain.CruiseAdd:
		if p.Preset == 0 {
			return p, &SyntaxError{Offset: 5, Want: "preset 1 to 255"}
		}
	}
	return p, nil
}

func move(b [8]byte) (p domain.PTZ, fault *SyntaxError) {
	for pair := byte(3); pair <= 0x30; pair <<= 2 {
		if b[3]&pair == pair {
			return p, &SyntaxError{Offset: 3, Want: "one direction an axis"}
		}
	}
	p.Action = domain.PTZMove
	p.Pan = domain.Axis{Dir: dirOf(b[3], 0x01, 0x02), Speed: b[4]}
	p.Tilt = domain.Axis{Dir: dirOf(b[3], 0x08, 0x04), Speed: b[5]}
	p.Zoom = domain.Axis{Dir: dirOf(b[3], 0x10, 0x20), Speed: b[6] >> 4}
	return p, nil
}

func lens(b [8]byte) (p domain.PTZ, fault *SyntaxError) {
	if b[3]&0x03 == 0x03 || b[3]&0x0C == 0x0C {
		return p, &SyntaxError{Offset: 3, Want: "one direction an axis"}
	}
	p.Action = domain.PTZLens
	p.Focus = domain.Axis{Dir: dirOf(b[3], 0x01, 0x02), Speed: b[4]}
	p.Iris = domain.Axis{Dir: dirOf(b[3], 0x04, 0x08), Speed: b[5]}
	return p, nil
}

func dirOf(cmd, plus, minus byte) domain.Dir {
	switch {
	case cmd&plus != 0:
		return 1
	case cmd&minus != 0:
		return -1
	}
	return domain.Still
}

// bits returns the bit of a direction in byte 4.
func bits(d domain.Dir, plus, minus byte) byte {
	switch {
	case d > 0:
		return plus
	case d < 0:
		return minus
	}
	return 0
}

// FormatPTZ returns the text of a PTZCmd: sixteen upper-case hexadecimal digits. Numbers
// out of the range of their field lose their upper bits.
func FormatPTZ(p domain.PTZ) string { return fmt.Sprintf("%X", ptzBytes(p)) }

// ptzBytes returns the eight bytes of a command (A.3.1) with a right checksum.
func ptzBytes(p domain.PTZ) [8]byte {
	b := [8]byte{0xA5, 0x0F, ptzAddress, command(p.Action), p.Number}
	switch p.Action {
	case domain.PTZMove:
		b[3] = bits(p.Pan.Dir, 0x01, 0x02) | bits(p.Tilt.Dir, 0x08, 0x04) | bits(p.Zoom.Dir, 0x10, 0x20)
		b[4], b[5] = p.Pan.Speed, p.Tilt.Speed
		b[6] = p.Zoom.Speed << 4
	case domain.PTZLens:
		b[3] = 0x40 | bits(p.Focus.Dir, 0x01, 0x02) | bits(p.Iris.Dir, 0x04, 0x08)
		b[4], b[5] = p.Focus.Speed, p.Iris.Speed
	case domain.PresetSet, domain.PresetCall, domain.PresetDelete:
		b[4], b[5] = 0, p.Number
	case domain.CruiseAdd, domain.CruiseDelete:
		b[5] = p.Preset
	case domain.CruiseSpeed, domain.CruiseDwell, domain.ScanSpeed:
		b[5] = byte(p.Value)
		b[6] = byte(p.Value>>8) << 4
	case domain.ScanLeft, domain.ScanRight:
		b[5] = byte(p.Action - domain.ScanStart)
	}
	b[7] = checksum(b)
	return b
}
