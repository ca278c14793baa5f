package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// maxPayload is the payload of one RTP packet: with RTP, UDP and IP headers it
// stays clear of an Ethernet frame's 1500 bytes, tunnels included.
const maxPayload = 1400

// A SenderConfig says where and how to send.
type SenderConfig struct {
	Ports     *Ports
	Transport Transport
	Remote    netip.AddrPort // where the receiver wants it (UDP, TCPPassive)
	SSRC      uint32
	// Tracks are set when plain RTP was agreed on: the payload type of each of the
	// stream's tracks. Only streams that arrive as plain RTP can be sent so.
	Tracks []media.Track
	Oldest bool   // begin with the oldest key picture the stream holds (recordings), not the newest
	Name   string // for statistics
}

// A Sender is the sending end of one session. It is made by [OpenSender],
// connected by Connect and then attached to a stream, whose owner drives it.
type Sender struct {
	cfg    SenderConfig
	port   uint16
	listen net.Listener // TCPActive until the receiver has connected
	out    output
	udp    *sock.UDP

	cursor  media.Cursor
	packer  packer
	unit    media.Unit // whose packets are in out
	started bool

	stats media.SinkStats

	mu     sync.Mutex
	closed bool
	ended  chan struct{}
	cause  error
}

// A writer builds packets.
type writer interface {
	header(n int) []byte // n bytes of memory of the writer's own, appended to the packet
	add(b []byte)        // appends memory to the packet
	end()                // finishes it
}

// An output sends the packets of one unit at a time.
type output interface {
	writer
	reset()        // forgets everything; begins a unit
	pending() bool // something is not sent yet
	flush(now time.Time) (again time.Time, err error)
	abandon() // drops what was not sent, as far as framing allows
}

// OpenSender opens a port to send from.
func OpenSender(cfg SenderConfig) (*Sender, error) {
	s := &Sender{cfg: cfg, ended: make(chan struct{})}
	s.packer.ssrc, s.packer.tracks = cfg.SSRC, cfg.Tracks
	if cfg.Oldest {
		s.cursor.FromOldest()
	}
	var err error
	switch cfg.Transport {
	case UDP:
		s.port, err = cfg.Ports.open(func(a netip.AddrPort) (err error) {
			s.udp, err = sock.ListenUDP(a)
			return err
		})
	case TCPActive:
		s.port, err = cfg.Ports.open(func(a netip.AddrPort) (err error) {
			s.listen, err = net.Listen("tcp", a.String())
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Local returns the address to put into the answer. Its port is 0 for TCPPassive,
// where the sender calls out.
func (s *Sender) Local() netip.AddrPort { return netip.AddrPortFrom(s.cfg.Ports.addr, s.port) }

// Connect connects to the receiver, or awaits it. Afterwards the sender can be
// attached to a stream.
func (s *Sender) Connect(ctx context.Context) error {
	if s.cfg.Transport == UDP {
		if err := s.udp.Connect(s.cfg.Remote); err != nil {
			return err
		}
		s.out = &udpOutput{sock: s.udp}
		return nil
	}
	var c *sock.TCP
	var err error
	if s.cfg.Transport == TCPPassive {
		c, err = dial(ctx, s.cfg.Remote)
	} else {
		c, err = accept(ctx, s.listen)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return net.ErrClosed
	}
	s.out = &tcpOutput{sock: c}
	return nil
}

// Flush sends what has arrived; see [media.Sink].
func (s *Sender) Flush(st *media.Stream, now time.Time) (time.Time, error) {
	for {
		if s.out.pending() {
			if !st.Held(s.unit) {
				s.stats.Dropped++
				s.out.abandon()
				s.cursor.SkipToKey()
			}
			if again, err := s.out.flush(now); err != nil || s.out.pending() {
				return again, err
			}
		}
		n, ok := s.cursor.Next(st)
		if !ok {
			return time.Time{}, nil
		}
		s.out.reset()
		s.unit = st.Unit(n)
		if u, ok := s.out.(*udpOutput); ok && s.unit.Key() {
			u.pace.measure(st)
		}
		packets, size := s.packer.pack(st, n, s.out)
		s.stats.Units++
		s.stats.Packets += uint64(packets)
		s.stats.Bytes += uint64(size)
	}
}

// Position returns the unit reached; see [media.Progress].
func (s *Sender) Position() uint64 { return s.cursor.Position() }

// SinkStats returns the sender's counters; see [media.StatsSink].
func (s *Sender) SinkStats() media.SinkStats {
	st := s.stats
	st.Name, st.Lapped = s.cfg.Name, s.cursor.Lapped()
	return st
}

// Close releases the sender; see [media.Sink]. Any number of times.
func (s *Sender) Close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed, s.cause = true, cause
	if s.listen != nil {
		s.listen.Close()
	}
	if t, ok := s.out.(*tcpOutput); ok {
		t.sock.Close()
	}
	if s.udp != nil {
		s.udp.Close()
	}
	if s.port != 0 {
		s.cfg.Ports.free(s.port)
	}
	close(s.ended)
}

// Ended is closed when the sender was closed; Cause then tells why.
func (s *Sender) Ended() <-chan struct{} { return s.ended }

// Cause returns what Close was called with: nil, or why the sender ended.
func (s *Sender) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

var _ fmt.Stringer = Transport(0)

// String returns the name used in configuration: udp, tcp-passive, tcp-active.
func (t Transport) String() string { return [...]string{"udp", "tcp-passive", "tcp-active"}[t%3] }
