package webrtc

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/pion/ice/v4"
)

// A tcpPort is the media port by TCP. Whoever connects has to name one of our
// sessions at once: for a name that it does not know the library would make room, and
// keep what comes under it for [bindWithin], even after the connection was closed.
type tcpPort struct {
	*ice.TCPMuxDefault

	mu    sync.Mutex
	names map[string]struct{} // our ICE ufrag in each session
}

// newTCPPort makes the port of a listener, which it owns.
func newTCPPort(l net.Listener, log logger) *tcpPort {
	p := &tcpPort{names: map[string]struct{}{}}
	p.TCPMuxDefault = ice.NewTCPMuxDefault(ice.TCPMuxParams{Listener: doorway{l, p.knows}, Logger: log, ReadBufferSize: tcpBuffer,
		FirstStunBindTimeout: bindWithin, AliveDurationForConnFromStun: bindWithin})
	return p
}

// GetConnByUfrag and RemoveConnByUfrag are those of [ice.TCPMux]: the library calls
// them when a session begins and ends.
func (p *tcpPort) GetConnByUfrag(ufrag string, isIPv6 bool, local net.IP) (net.PacketConn, error) {
	p.mu.Lock()
	p.names[ufrag] = struct{}{}
	p.mu.Unlock()
	return p.TCPMuxDefault.GetConnByUfrag(ufrag, isIPv6, local)
}

func (p *tcpPort) RemoveConnByUfrag(ufrag string) {
	p.mu.Lock()
	delete(p.names, ufrag)
	p.mu.Unlock()
	p.TCPMuxDefault.RemoveConnByUfrag(ufrag)
}

// knows reports whether a session of ours has an ICE ufrag.
func (p *tcpPort) knows(ufrag string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.names[ufrag]
	return ok
}

// A doorway is a listener whose connections are heard before they are let in.
type doorway struct {
	net.Listener
	knows func(ufrag string) bool
}

// Accept waits for the next connection. It does not wait for its first word.
func (d doorway) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &knocker{Conn: c, knows: d.knows}, nil
}

// errStranger reports a connection that names no session of ours.
var errStranger = errors.New("names no session")

// maxKnock is the longest first message that the library takes, in bytes.
const maxKnock = 512

// A knocker is a connection whose first message is looked at. It is read by one
// goroutine at a time.
type knocker struct {
	net.Conn
	knows func(ufrag string) bool // nil: it was looked at
	first []byte                  // of it, still to be read
}

// Read reads; the first time, it reads the whole first message (RFC 4571 §2), and
// fails if that is none of a session's.
func (k *knocker) Read(b []byte) (int, error) {
	if k.knows != nil {
		if err := k.hear(); err != nil {
			return 0, err
		}
		k.knows = nil
	}
	if len(k.first) > 0 {
		n := copy(b, k.first)
		k.first = k.first[n:]
		return n, nil
	}
	return k.Conn.Read(b)
}

// hear takes the first message.
func (k *knocker) hear() error {
	b := make([]byte, 2, 2+maxKnock)
	if _, err := io.ReadFull(k.Conn, b); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > maxKnock {
		return errStranger
	}
	b = b[:2+n]
	if _, err := io.ReadFull(k.Conn, b[2:]); err != nil {
		return err
	}
	if ufrag, ok := calledBy(b[2:]); !ok || !k.knows(ufrag) {
		return errStranger
	}
	k.first = b
	return nil
}

// Parts of a STUN message (RFC 8489 §5, §14).
const (
	stunHeader   = 20
	stunUsername = 0x0006
)

// calledBy returns our ICE ufrag in the first USERNAME of a STUN message, which comes
// before the far end's (RFC 8445 §7.2.2).
func calledBy(b []byte) (ufrag string, ok bool) {
	if len(b) < stunHeader || len(b) < stunHeader+int(binary.BigEndian.Uint16(b[2:])) {
		return "", false
	}
	b = b[stunHeader : stunHeader+int(binary.BigEndian.Uint16(b[2:]))]
	for len(b) >= 4 {
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return "", false
		}
		if kind == stunUsername {
			ufrag, _, ok = strings.Cut(string(b[:n]), ":")
			return ufrag, ok
		}
		b = b[min((n+3)&^3, len(b)):] // padded to whole words
	}
	return "", false
}
