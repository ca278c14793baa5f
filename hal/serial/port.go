package serial

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tarm/serial"
	"golang.org/x/sys/unix"
)

// readTimeout is set though nothing is read: without one tarm's Close waits for ever for
// a Read that never returns.
const readTimeout = 100 * time.Millisecond

// stuckAt is how many bytes may wait in the kernel before the next frame is written.
// There are none unless the device stands still.
const stuckAt = 64

// Reasons for which a port is given up.
var (
	errGone  = errors.New("port is gone")
	errStuck = errors.New("port does not send")
)

// A port is an open device. tarm's port sets it up; control, a second opening of the same
// device, asks and sets what tarm has no word for, and writes: tarm's port waits for ever
// for a device that takes nothing.
type port struct {
	name    string
	data    *serial.Port
	control *os.File
}

// openPort opens and sets up the device. warning says what is not as it was asked for.
func openPort(cfg Config) (p *port, warning string, err error) {
	control, err := os.OpenFile(cfg.Port, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", err
	}
	p = &port{name: cfg.Port, control: control}
	p.data, err = serial.OpenPort(&serial.Config{Name: cfg.Port, Baud: cfg.Baud, ReadTimeout: readTimeout})
	if err != nil {
		control.Close()
		return nil, "", fmt.Errorf("set up %s: %w", cfg.Port, err)
	}
	if !cfg.RS485 {
		return p, "", nil
	}
	switch err := p.ask(enableRS485); {
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		// An adapter that turns the line round by itself works all the same.
		return p, "the driver of the port has no RS-485 mode", nil
	case err != nil:
		p.close()
		return nil, "", fmt.Errorf("RS-485 mode of %s: %w", cfg.Port, err)
	}
	return p, "", nil
}

// ask calls f with the descriptor of the device.
func (p *port) ask(f func(fd int) error) error {
	raw, err := p.control.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// write gives a frame to the kernel, and does not wait for it.
func (p *port) write(frame []byte) error {
	err := p.ask(drains)
	if err == nil {
		err = p.ask(func(fd int) error { return emit(fd, frame) })
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// emit writes to a device that was opened so that nothing waits.
func emit(fd int, frame []byte) error {
	n, err := unix.Write(fd, frame)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Write(fd, frame)
	}
	switch {
	case errors.Is(err, unix.EAGAIN), err == nil && n < len(frame):
		return fmt.Errorf("%w: it took %d bytes of %d", errStuck, max(n, 0), len(frame))
	case err != nil:
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// drains reports a device that does not send what it was given. One that cannot tell
// is believed, until it takes no more.
func drains(fd int) error {
	if n, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ); err == nil && n > stuckAt {
		return fmt.Errorf("%w: %d bytes wait", errStuck, n)
	}
	return nil
}

// check reports a device that vanished, and throws away what came in: nobody is asked
// anything on the line.
func (p *port) check() error {
	if err := p.ask(present); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

func present(fd int) error {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	if n, err := unix.Poll(fds, 0); err == nil && n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
		return errGone
	}
	if err := unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}

// discard throws away what was not sent yet, for which close would wait.
func (p *port) discard() {
	_ = p.ask(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH) })
}

// close lets go of the device, whatever state it is in.
func (p *port) close() {
	_ = p.data.Close()
	_ = p.control.Close()
}
