package pelco

import "fmt"

// An Action is a command that is done once: the "extended" commands, 00 in command 1
// and data 1, Op in command 2, Number in data 2.
type Action struct {
	Op     Op
	Number uint8 // see Op
}

// An Op is what an Action does: the value of command 2.
type Op uint8

// The actions that both protocols have. Presets go up to 32 on old domes; many take
// some of them for functions of their own, the manuals 33 for a turn by 180° and 34 for
// pan zero. Old domes have one pattern and ignore its number.
const (
	PresetSet    Op = 0x03 // store the position as preset 1 to 255
	PresetClear  Op = 0x05 // forget preset 1 to 255
	PresetCall   Op = 0x07 // go to preset 1 to 255
	AuxOn        Op = 0x09 // switch auxiliary 1 to 8 on
	AuxOff       Op = 0x0B // switch auxiliary 1 to 8 off
	Reset        Op = 0x0F // start the dome anew
	ZoneStart    Op = 0x11 // zone 1 to 8 begins here
	ZoneEnd      Op = 0x13 // zone 1 to 8 ends here
	ScreenClear  Op = 0x17 // remove text from the picture
	AlarmAck     Op = 0x19 // alarm 1 to 8 was seen
	ZoneScanOn   Op = 0x1B // zone scan on
	ZoneScanOff  Op = 0x1D // zone scan off
	PatternStart Op = 0x1F // begin to record pattern 0 to 255
	PatternEnd   Op = 0x21 // end of the recording of a pattern 0 to 255
	PatternRun   Op = 0x23 // run pattern 0 to 255 until the next motion
	ZoomSpeed    Op = 0x25 // zoom at 0 (slow) to 3 from now on
	FocusSpeed   Op = 0x27 // focus at 0 (slow) to 3 from now on
)

// bounds returns the numbers that an action may have; known is false for others.
func (o Op) bounds() (least, most uint8, known bool) {
	switch o {
	case PresetSet, PresetClear, PresetCall:
		return 1, 255, true
	case AuxOn, AuxOff, ZoneStart, ZoneEnd, AlarmAck:
		return 1, 8, true
	case PatternStart, PatternEnd, PatternRun:
		return 0, 255, true
	case ZoomSpeed, FocusSpeed:
		return 0, 3, true
	case Reset, ScreenClear, ZoneScanOn, ZoneScanOff:
		return 0, 0, true
	}
	return 0, 0, false
}

func (a Action) payload(Protocol) (payload, error) {
	least, most, known := a.Op.bounds()
	if !known {
		return payload{}, fmt.Errorf("action %02X: %w", uint8(a.Op), ErrLacks)
	}
	if a.Number < least || a.Number > most {
		return payload{}, &ValueError{"number", int(a.Number), fmt.Sprintf("%d to %d", least, most)}
	}
	return payload{0, byte(a.Op), 0, a.Number}, nil
}

func parseAction(body payload) (Action, error) {
	a := Action{Op: Op(body[1]), Number: body[3]}
	least, most, known := a.Op.bounds()
	switch {
	case !known || body[0] != 0 || body[2] != 0:
		return Action{}, &SyntaxError{Offset: bodyAt, Field: "action", Want: "one that is known"}
	case a.Number < least || a.Number > most:
		return Action{}, &SyntaxError{Offset: bodyAt + 3, Field: "number", Want: fmt.Sprintf("%d to %d", least, most)}
	}
	return a, nil
}
