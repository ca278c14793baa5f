// Package pelco builds and reads the frames of Pelco-D and Pelco-P, by which dome
// cameras are moved over RS-485. It is pure: bytes and values, no port and no clock.
//
// Both are one-way: a dome that is told something need not answer, and a frame that
// noise destroyed is lost without a word. A line has 8 data bits, no parity, one stop
// bit, and mostly 2400, 4800 or 9600 baud.
//
//	Pelco-D   FF  address  command 1  command 2  data 1  data 2  sum
//	Pelco-P   A0  address  command 1  command 2  data 1  data 2  AF  xor
//
// The sum is that of bytes 2 to 6, modulo 256; the xor that of bytes 1 to 7, start and
// end included. The address of Pelco-D is that of the dome, of Pelco-P one less: dome 1
// is 00 on the wire.
//
// Bit 0 of command 2 tells an [Action] (1) from a [Motion] (0). The bits of a motion:
//
//	            7         6          5         4           3           2           1           0
//	D, 1    sense         -          -         scan        camera      iris close  iris open   focus near
//	D, 2    focus far     zoom wide  zoom tele tilt down   tilt up     pan left    pan right   0
//	P, 1    -             camera on  scan      camera      iris close  iris open   focus near  focus far
//	P, 2    -             zoom wide  zoom tele tilt down   tilt up     pan left    pan right   0
//
// Data 1 is the speed of pan, data 2 that of tilt, 00 to 3F; FF (Pelco-D) or 40
// (Pelco-P) is the turbo speed of pan. Zoom, focus and iris have no speed in the frame.
// What is not set stops, so a frame of zeros stops everything.
//
// Source: the chapters on both protocols in Pelco's manual C466M-E (1999), which also
// has the actions. The bits of camera and scan of Pelco-P are those that makers of domes
// list.
package pelco

import (
	"errors"
	"fmt"
)

// A Protocol is one of the two forms of a frame.
type Protocol uint8

// The protocols.
const (
	D Protocol = iota
	P
)

// String returns the word that people write: pelco-d or pelco-p.
func (p Protocol) String() string {
	if p == P {
		return "pelco-p"
	}
	return "pelco-d"
}

// Len returns the bytes of a frame, 7 or 8.
func (p Protocol) Len() int {
	if p == P {
		return pLen
	}
	return dLen
}

// MaxAddress returns the highest address of a dome; the lowest is 1. Pelco-P has 5 bits.
func (p Protocol) MaxAddress() int {
	if p == P {
		return pDomes
	}
	return dDomes
}

// What the wires are made of.
const (
	dStart, dLen, dDomes = 0xFF, 7, 255
	pStart, pLen, pDomes = 0xA0, 8, 32
	pEnd                 = 0xAF
	pEndAt               = 6
)

// A Frame is one command to one dome.
type Frame struct {
	Address uint8   // as on the switches of the dome: 1 to MaxAddress
	Command Command // a Motion or an Action
}

// A Command is a [Motion] or an [Action], by value.
type Command interface {
	payload(Protocol) (payload, error)
}

// A payload is command 1, command 2, data 1 and data 2.
type payload [4]byte

// ErrLacks reports a command that the protocol has no frame for.
var ErrLacks = errors.New("protocol has no such command")

// A ValueError reports a value that no frame can carry.
type ValueError struct {
	Field string
	Got   int
	Want  string
}

func (e *ValueError) Error() string { return fmt.Sprintf("%s %d: want %s", e.Field, e.Got, e.Want) }

// Append appends the bytes of f. The error is a *[ValueError] or [ErrLacks]; b is then
// returned as it was.
func (p Protocol) Append(b []byte, f Frame) ([]byte, error) {
	if f.Address < 1 || int(f.Address) > p.MaxAddress() {
		return b, &ValueError{"address", int(f.Address), fmt.Sprintf("1 to %d", p.MaxAddress())}
	}
	if f.Command == nil {
		return b, ErrLacks
	}
	body, err := f.Command.payload(p)
	if err != nil {
		return b, err
	}
	if p == P {
		frame := [pLen]byte{pStart, f.Address - 1, body[0], body[1], body[2], body[3], pEnd}
		frame[pLen-1] = p.check(frame[:])
		return append(b, frame[:]...), nil
	}
	frame := [dLen]byte{dStart, f.Address, body[0], body[1], body[2], body[3]}
	frame[dLen-1] = p.check(frame[:])
	return append(b, frame[:]...), nil
}

// check returns what the last byte of a whole frame has to be.
func (p Protocol) check(frame []byte) (check byte) {
	for i, c := range frame[:p.Len()-1] {
		switch {
		case p == P:
			check ^= c
		case i > 0:
			check += c
		}
	}
	return check
}
