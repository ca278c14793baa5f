package traffic

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialer returns one for connections with a wide receive buffer.
func dialer() *net.Dialer {
	return &net.Dialer{Timeout: handshake, Control: func(_, _ string, c syscall.RawConn) error { return widenRaw(c) }}
}

func widen(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return widenRaw(raw)
}

// widenRaw widens a socket's receive buffer, beyond the system's bound where it may.
func widenRaw(c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
	})
	if err != nil {
		return err
	}
	return set
}

// cutFrame returns the RTP packet of the interleaved frame that data begins with,
// none if it is RTCP or an answer of the server's, and how long that is; 0 if it is
// not there whole.
func cutFrame(data []byte) (packet []byte, n int, err error) {
	if len(data) < frameSize {
		return nil, 0, nil
	}
	if data[0] != '$' {
		return nil, 0, fmt.Errorf("no frame: %q", strings.ToValidUTF8(string(data[:frameSize]), "?"))
	}
	n = frameSize + int(binary.BigEndian.Uint16(data[2:]))
	switch {
	case len(data) < n:
		return nil, 0, nil
	case data[1] != 0:
		return nil, n, nil
	}
	return data[frameSize:n], n, nil
}
