//go:build linux

package sock

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// A descriptor is a socket taken out of package net: there every wait that ends by
// its deadline, some tens a second, allocates an error.
type descriptor struct {
	file *os.File
	raw  syscall.RawConn
}

// takeOver makes a descriptor of c, which is closed in any case.
func takeOver(c interface {
	File() (*os.File, error)
	Close() error
}) (d descriptor, err error) {
	defer c.Close() // File has duplicated it
	if d.file, err = c.File(); err != nil {
		return d, fmt.Errorf("take over socket: %w", err)
	}
	if d.raw, err = d.file.SyscallConn(); err != nil {
		d.file.Close()
		return d, fmt.Errorf("take over socket: %w", err)
	}
	return d, nil
}

// Close closes the socket and ends a wait in progress. Any goroutine.
func (d *descriptor) Close() error { return d.file.Close() }

// asClosed says of a socket that was closed what package net says. Nothing but
// the deadline of a wait, and closing, makes the runtime refuse a call.
func asClosed(err error) error {
	return fmt.Errorf("%w (%w)", net.ErrClosed, err)
}
