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
// There are none unless the device stands still, and it must not come to a write that
// blocks.
const stuckAt = 64

// Reasons for which a port is given up.
var (
	errGone  = errors.New("port is gone")
	errStuck = errors.New("port does not send")
)

// A port is an open device. tarm's port writes; control, a second opening of the same
// device, asks and sets what tarm has no word for.
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

// write gives a frame to the kernel.
func (p *port) write(frame []byte) error {
	if err := p.ask(drains); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if _, err := p.data.Write(frame); err != nil {
		return fmt.Errorf("%s: %w: %w", p.name, errGone, err)
	}
	return nil
}

// drains reports a device that does not send what it was given. One that cannot tell
// is believed.
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
