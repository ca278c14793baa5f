package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"districtgateway/media"
	"districtgateway/media/rtp"
	"districtgateway/media/sock"
)

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
	udp    *sock.UDP
	out    rtp.Output // set by Connect

	cursor media.Cursor
	packer packer
	at     uint64     // number of the unit in out
	unit   media.Unit // that unit
	cut    bool       // it was abandoned: what is left in out needs the ring no more
	stats  media.SinkStats

	life  context.Context // ends with Close
	end   context.CancelFunc
	mu    sync.Mutex // held while closing; guards out until it is set, and cause
	cause error
}

// OpenSender opens a port to send from.
func OpenSender(cfg SenderConfig) (*Sender, error) {
	s := &Sender{cfg: cfg, packer: newPacker(cfg)}
	s.life, s.end = context.WithCancel(context.Background())
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
	case TCPPassive:
	default:
		err = fmt.Errorf("%s: unknown", cfg.Transport)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Local returns the address to put into the answer. Its port is 0 for TCPPassive,
// where the sender calls out.
func (s *Sender) Local() netip.AddrPort { return netip.AddrPortFrom(s.cfg.Ports.addr, s.port) }

// Connect connects to the receiver, or awaits it, until ctx ends or Close is
// called. Afterwards the sender can be attached to a stream.
func (s *Sender) Connect(ctx context.Context) error {
	ctx, cancel := within(ctx, s.life)
	defer cancel()
	var c *sock.TCP
	var err error
	switch s.cfg.Transport {
	case UDP:
		err = s.udp.Connect(s.cfg.Remote)
	case TCPPassive:
		c, err = dial(ctx, s.cfg.Remote)
	default:
		c, err = accept(ctx, s.listen)
	}
	if err != nil {
		return fmt.Errorf("connect media: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c == nil:
		s.out = rtp.NewDatagrams(s.udp)
	case s.life.Err() != nil:
		c.Close()
		return fmt.Errorf("connect media: %w", net.ErrClosed)
	default:
		s.out = newTCPOutput(c)
	}
	return nil
}

// Flush sends what has arrived; see [media.Sink].
func (s *Sender) Flush(st *media.Stream, now time.Time) (time.Time, error) {
	for {
		if s.out.Pending() && !s.cut && !st.Held(s.unit) {
			s.abandon()
		}
		if again, err := s.out.Flush(now); err != nil || s.out.Pending() {
			return again, err
		}
		n, ok := s.cursor.Next(st)
		if !ok {
			return time.Time{}, nil
		}
		if err := s.begin(st, n, now); err != nil {
			return time.Time{}, err
		}
	}
}

// begin packs unit n.
func (s *Sender) begin(st *media.Stream, n uint64, now time.Time) error {
	s.out.Reset()
	s.at, s.unit, s.cut = n, st.Unit(n), false
	if u, ok := s.out.(*rtp.Datagrams); ok && s.unit.Key() {
		u.Pace.Measure(st, now)
	}
	if err := s.packer.pack(st, n, s.out); err != nil {
		return err
	}
	s.stats.Units++
	s.stats.Packets += uint64(s.packer.packets)
	s.stats.Bytes += uint64(s.packer.size)
	return nil
}

// abandon leaves the rest of a unit that the ring no longer holds, and goes on at
// a key picture.
func (s *Sender) abandon() {
	dropped, size, sent := s.out.Abandon()
	s.packer.unsend(s.unit.Flow, dropped, sent > 0)
	s.cursor.SkipToKey()
	s.cut = true
	s.stats.Dropped++
	s.stats.Units--
	s.stats.Packets -= uint64(dropped)
	s.stats.Bytes -= uint64(size)
}

// Position returns the unit reached; see [media.Progress]. While something of a
// unit is not sent that is where the sender stands, whatever became of the unit: a
// receiver that takes nothing any more must be noticed.
func (s *Sender) Position() uint64 {
	if s.out.Pending() {
		return s.at
	}
	return s.cursor.Position()
}

// Needs returns the oldest unit not sent; see [media.Needer].
func (s *Sender) Needs(st *media.Stream) (uint64, bool) {
	if s.out.Pending() {
		return s.at, !s.cut
	}
	return s.cursor.Needs(st)
}

// Finish waits for the receiver to take what was sent; see [media.Finisher].
func (s *Sender) Finish(now time.Time) bool {
	t, ok := s.out.(*tcpOutput)
	return !ok || t.finish(now)
}

// SinkStats returns the sender's counters; see [media.StatsSink].
func (s *Sender) SinkStats() media.SinkStats {
	st := s.stats
	st.Kind, st.Name, st.Lapped = "relay udp", s.cfg.Name, s.cursor.Lapped()
	if t, ok := s.out.(*tcpOutput); ok {
		st.Kind, st.Copied = "relay tcp", t.Copied()
	}
	return st
}

// Close releases the sender; see [media.Sink]. Any number of times.
func (s *Sender) Close(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return
	}
	s.cause = cause
	if s.listen != nil {
		s.listen.Close()
	}
	if t, ok := s.out.(*tcpOutput); ok {
		t.sock.Close()
	}
	if s.udp != nil {
		s.udp.Close()
	}
	s.cfg.Ports.free(s.port)
	s.end()
}

// Ended is closed when the sender was closed; Cause then tells why.
func (s *Sender) Ended() <-chan struct{} { return s.life.Done() }

// Cause returns what Close was called with: nil, or why the sender ended.
func (s *Sender) Cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}
