package pelco

import "fmt"

// A Motion is what a dome does until the next motion. The zero value stops everything.
type Motion struct {
	Pan, Tilt           Dir
	Zoom, Focus, Iris   Dir
	PanSpeed, TiltSpeed uint8 // 0 to MaxSpeed; PanSpeed may be Turbo. Carried without a direction, too
	// Scan begins the automatic scan, or ends it (Pelco-D only). Camera switches the
	// power of the camera. In one frame of Pelco-D both go the same way.
	Scan, Camera Switch
}

// A Dir is a direction along an axis, as seen in the picture.
type Dir int8

// The directions.
const (
	Still       Dir = 0
	Left, Right Dir = -1, 1
	Down, Up    Dir = -1, 1
	Wide, Tele  Dir = -1, 1
	Near, Far   Dir = -1, 1
	Close, Open Dir = -1, 1
)

// A Switch is what becomes of something that is on or off.
type Switch int8

// The changes.
const (
	Leave Switch = 0
	On    Switch = 1
	Off   Switch = -1
)

// Speeds.
const (
	MaxSpeed = 0x3F
	Turbo    = 0xFF // of pan alone: as fast as the dome can
	pTurbo   = 0x40
)

// Bits of a motion, command 1 above command 2.
const (
	extended  = 1 << 0
	panRight  = 1 << 1
	panLeft   = 1 << 2
	tiltUp    = 1 << 3
	tiltDown  = 1 << 4
	zoomTele  = 1 << 5
	zoomWide  = 1 << 6
	dCamera   = 1 << 11
	dScan     = 1 << 12
	dSense    = 1 << 15
	pCamera   = 1 << 12
	pScan     = 1 << 13
	pCameraOn = 1 << 14
)

// An axis is the bits of one direction and its opposite, and the value they mean.
type axis struct {
	field       string
	dir         *Dir
	plus, minus uint16
}

// axes are the five dimensions of a motion.
func (p Protocol) axes(m *Motion) [5]axis {
	far, near, open, shut := uint16(1<<7), uint16(1<<8), uint16(1<<9), uint16(1<<10)
	if p == P {
		far, near, open, shut = 1<<8, 1<<9, 1<<10, 1<<11
	}
	return [5]axis{
		{"pan", &m.Pan, panRight, panLeft},
		{"tilt", &m.Tilt, tiltUp, tiltDown},
		{"zoom", &m.Zoom, zoomTele, zoomWide},
		{"focus", &m.Focus, far, near},
		{"iris", &m.Iris, open, shut},
	}
}

func (m Motion) payload(p Protocol) (payload, error) {
	var word uint16
	for _, a := range p.axes(&m) {
		switch *a.dir {
		case Still:
		case 1:
			word |= a.plus
		case -1:
			word |= a.minus
		default:
			return payload{}, &ValueError{a.field, int(*a.dir), "-1, 0 or 1"}
		}
	}
	switches, err := m.switches(p)
	if err != nil {
		return payload{}, err
	}
	word |= switches
	pan, tilt := m.PanSpeed, m.TiltSpeed
	if pan > MaxSpeed && pan != Turbo {
		return payload{}, &ValueError{"pan speed", int(pan), "0 to 63, or 255"}
	}
	if tilt > MaxSpeed {
		return payload{}, &ValueError{"tilt speed", int(tilt), "0 to 63"}
	}
	if p == P && pan == Turbo {
		pan = pTurbo
	}
	return payload{byte(word >> 8), byte(word), pan, tilt}, nil
}

// switches returns the bits of scan and camera.
func (m Motion) switches(p Protocol) (word uint16, err error) {
	if m.Scan < Off || m.Scan > On || m.Camera < Off || m.Camera > On {
		return 0, &ValueError{"switch", int(m.Scan), "-1, 0 or 1"}
	}
	if p == P {
		return m.switchesP()
	}
	if m.Scan != Leave && m.Camera != Leave && m.Scan != m.Camera {
		return 0, fmt.Errorf("scan and camera switched in opposite ways: %w", ErrLacks)
	}
	if m.Scan != Leave {
		word |= dScan
	}
	if m.Camera != Leave {
		word |= dCamera
	}
	if m.Scan == On || m.Camera == On {
		word |= dSense
	}
	return word, nil
}

func (m Motion) switchesP() (word uint16, err error) {
	switch m.Scan {
	case On:
		word |= pScan
	case Off:
		return 0, fmt.Errorf("end of a scan: %w", ErrLacks)
	}
	switch m.Camera {
	case On:
		word |= pCamera | pCameraOn
	case Off:
		word |= pCamera
	}
	return word, nil
}

// parseMotion reads the inverse of payload. What contradicts itself is not returned
// by payload again, which is how it is found.
func (p Protocol) parseMotion(body payload) (Motion, error) {
	word := uint16(body[0])<<8 | uint16(body[1])
	m := Motion{PanSpeed: body[2], TiltSpeed: body[3]}
	for _, a := range p.axes(&m) {
		switch {
		case word&a.plus != 0:
			*a.dir = 1
		case word&a.minus != 0:
			*a.dir = -1
		}
	}
	if p == P {
		m.Scan, m.Camera = switched(word, pScan, pScan), switched(word, pCamera, pCameraOn)
		if m.PanSpeed == pTurbo {
			m.PanSpeed = Turbo
		}
	} else {
		m.Scan, m.Camera = switched(word, dScan, dSense), switched(word, dCamera, dSense)
	}
	again, err := m.payload(p)
	switch {
	case err != nil || again[2] != body[2]:
		return Motion{}, &SyntaxError{Offset: bodyAt + 2, Field: "speed", Want: "00 to 3F, or turbo for pan"}
	case again != body:
		return Motion{}, &SyntaxError{Offset: bodyAt, Field: "motion", Want: "bits that have a meaning and do not contradict each other"}
	}
	return m, nil
}

// switched reads a switch: bit says that it is changed, on says which way.
func switched(word, bit, on uint16) Switch {
	switch {
	case word&bit == 0:
		return Leave
	case word&on != 0:
		return On
	}
	return Off
}
