package serial

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// rs485 is struct serial_rs485 of linux/serial.h.
type rs485 struct {
	flags       uint32
	delayBefore uint32 // ms between driving the line and the first bit
	delayAfter  uint32 // ms between the last bit and letting go of the line
	_           [5]uint32
}

// Flags of rs485.
const (
	rs485Enabled      = 1 << 0
	rs485RTSOnSend    = 1 << 1
	rs485RTSAfterSend = 1 << 2
)

// enableRS485 has the driver of a port drive the line while it sends and no longer. What
// the board says of delays stays. The error is ENOTTY or EINVAL if the driver cannot.
func enableRS485(fd int) error {
	var mode rs485
	if err := ioctl(fd, unix.TIOCGRS485, &mode); err != nil {
		return err
	}
	mode.flags |= rs485Enabled
	if mode.flags&(rs485RTSOnSend|rs485RTSAfterSend) == 0 {
		mode.flags |= rs485RTSOnSend // a board with the other polarity says so itself
	}
	return ioctl(fd, unix.TIOCSRS485, &mode)
}

func ioctl(fd int, request uintptr, mode *rs485) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(mode))); errno != 0 {
		return errno
	}
	return nil
}
