package sip

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	stack "github.com/emiago/sipgo/sip"
)

const (
	maxMessage    = 1<<20 + maxHead  // bytes of a message over TCP from a known host
	maxStrange    = 64 << 10         // from any other
	writeQueue    = 1024             // messages
	writeBytes    = 4 << 20          // bytes of them
	writeWait     = 10 * time.Second // for one message to leave
	messageWait   = 30 * time.Second // from the first byte of a message to its last, and for a stranger to be known
	maxStreams    = 4096             // connections
	maxHost       = 512              // from one host
	maxForeign    = 32               // from one host without a peer
	maxForeigners = 1024             // from all of those
)

// A streamGate is a TCP connection behind a gate: it cuts the stream into messages,
// and sipgo reads only those that are let in. Writes never block: they queue, and
// a peer that does not read loses the connection.
type streamGate struct {
	net.Conn
	gate    *gate
	visit   visit
	in      *bufio.Reader
	message []byte // let in, not read yet
	since   time.Time
	out     chan []byte
	queued  atomic.Int64  // bytes in out
	held    atomic.Int64  // bytes in the ledger: of the message that comes in, or is read
	adopted chan struct{} // closed when sipgo has it
	closed  chan struct{}
	once    sync.Once
	gone    func()
}

func newStreamGate(c net.Conn, at netip.AddrPort, g *gate) *streamGate {
	s := &streamGate{Conn: c, gate: g, in: bufio.NewReader(c), since: time.Now(), out: make(chan []byte, writeQueue),
		adopted: make(chan struct{}), closed: make(chan struct{}), gone: func() {}}
	s.visit = visit{place{"TCP", at}, func(b []byte) error { _, err := s.Write(b); return err }}
	return s
}

// RemoteAddr returns the peer without IPv4-in-IPv6, as it is found again by.
func (s *streamGate) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.visit.at.addr) }

// Read returns bytes of messages that were let in. A stream that is no SIP, or too
// slow or too large, ends with an error.
func (s *streamGate) Read(b []byte) (int, error) {
	for len(s.message) == 0 {
		raw, err := s.frame()
		if err != nil {
			s.Close() // before anybody writes what could not be answered
			s.release()
			return 0, err
		}
		if msg, ok := s.gate.admit(raw, s.visit); ok {
			s.message = msg
		}
	}
	n := copy(b, s.message)
	s.message = s.message[n:]
	return n, nil
}

// frame reads one message. Without Content-Length it has no body: on a stream
// nothing else would end it.
func (s *streamGate) frame() ([]byte, error) {
	s.release()
	if err := s.idle(); err != nil {
		return nil, err
	}
	if err := s.Conn.SetReadDeadline(time.Now().Add(messageWait)); err != nil {
		return nil, err
	}
	var msg []byte
	for {
		line, err := s.in.ReadSlice('\n')
		if len(msg)+len(line) > maxHead {
			return nil, fmt.Errorf("headers of more than %d bytes", maxHead)
		}
		msg = append(msg, line...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	if !looksLikeSIP(msg) {
		s.gate.counts.junk.Add(1)
		return nil, errors.New("stream is no SIP")
	}
	size, _ := declared(msg)
	if most := s.limit(); size > most {
		return nil, fmt.Errorf("body of %d bytes, %d allowed", size, most)
	}
	if !s.hold(size) {
		s.gate.counts.limited.Add(1)
		return nil, errors.New("too many bytes on their way in")
	}
	head := len(msg)
	msg = append(msg, make([]byte, size)...)
	_, err := io.ReadFull(s.in, msg[head:])
	return msg, err
}

// hold enters what memory is taken for in the ledger, before it is.
func (s *streamGate) hold(size int) bool {
	if !s.gate.ledger.take(s.visit.at.addr.Addr(), size) {
		return false
	}
	s.held.Add(int64(size))
	return true
}

// release takes it out again: sipgo has asked for the next message, or never will.
func (s *streamGate) release() {
	if n := s.held.Swap(0); n > 0 {
		s.gate.ledger.add(s.visit.at.addr.Addr(), -int(n))
	}
}

func (s *streamGate) limit() int {
	if s.gate.book.knows(s.visit.at.addr.Addr()) {
		return maxMessage
	}
	return maxStrange
}

// idle waits for the first byte of a message, past the blank lines that keep a NAT
// open. A stranger may not wait long.
func (s *streamGate) idle() error {
	for {
		deadline := time.Time{}
		if !s.gate.book.knows(s.visit.at.addr.Addr()) {
			deadline = s.since.Add(messageWait)
		}
		if err := s.Conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		c, err := s.in.ReadByte()
		if errors.Is(err, os.ErrDeadlineExceeded) && s.gate.book.knows(s.visit.at.addr.Addr()) {
			continue // it registered meanwhile
		}
		if err != nil {
			return err
		}
		if c != '\r' && c != '\n' && c != 0 {
			return s.in.UnreadByte()
		}
	}
}

// Write queues one message.
func (s *streamGate) Write(b []byte) (int, error) {
	if !s.alive() {
		return 0, net.ErrClosed
	}
	if s.queued.Add(int64(len(b))) <= writeBytes {
		select {
		case s.out <- bytes.Clone(b):
			return len(b), nil
		default:
		}
	}
	s.gate.counts.unsent.Add(1)
	s.Close()
	return 0, errStalled
}

// lost returns a channel that is closed when a transaction's connection is; nil over
// UDP. sipgo has an option to end transactions then, but it may end one that has not
// begun, with a panic.
func lost(tx *stack.ClientTx) <-chan struct{} {
	if tcp, ok := tx.Connection().(*stack.TCPConnection); ok {
		return tcp.Conn.(*streamGate).closed
	}
	return nil
}

func (s *streamGate) alive() bool {
	select {
	case <-s.closed:
		return false
	default:
		return true
	}
}

// Close closes the connection; what is queued is lost.
func (s *streamGate) Close() error {
	err := net.ErrClosed
	s.once.Do(func() {
		close(s.closed)
		err = s.Conn.Close()
		s.release()
		s.gone()
	})
	return err
}

// write sends what is queued until the connection is closed.
func (s *streamGate) write() {
	for {
		select {
		case <-s.closed:
			return
		case b := <-s.out:
			s.queued.Add(-int64(len(b)))
			err := s.Conn.SetWriteDeadline(time.Now().Add(writeWait))
			if err == nil {
				_, err = s.Conn.Write(b)
			}
			if err != nil {
				s.Close()
				return
			}
		}
	}
}

// streams hands connections to sipgo's transport, those that peers open and those
// that we dial, so that all stand behind the gate and serve both directions. It is
// the listener that sipgo sees.
type streams struct {
	net.Listener
	gate    *gate
	dialer  func(context.Context, netip.AddrPort) (net.Conn, error)
	queue   chan *streamGate
	done    chan struct{}
	ready   chan struct{} // closed when sipgo accepts
	once    sync.Once
	last    *streamGate // accepted last; by Accept only
	writers sync.WaitGroup

	mu      sync.Mutex
	open    map[*streamGate]struct{}
	hosts   map[netip.Addr]tenant
	foreign int // of all hosts without a peer
	dialing map[netip.AddrPort]*dialing
	closed  bool
}

// A tenant is how many connections a host has, and how many of them it opened
// before a peer was known there.
type tenant struct{ all, foreign int }

// A dialing is a connection under way that several may wait for.
type dialing struct {
	done chan struct{}
	err  error
}

func newStreams(l net.Listener, g *gate) *streams {
	return &streams{Listener: l, gate: g, queue: make(chan *streamGate), done: make(chan struct{}), ready: make(chan struct{}),
		open: make(map[*streamGate]struct{}), hosts: make(map[netip.Addr]tenant),
		dialing: make(map[netip.AddrPort]*dialing)}
}

// Accept is sipgo's: that it is called again says that the connection before is
// in the pool.
func (l *streams) Accept() (net.Conn, error) {
	l.once.Do(func() { close(l.ready) })
	if l.last != nil {
		close(l.last.adopted)
		l.last = nil
	}
	select {
	case s := <-l.queue:
		l.last = s
		return s, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// accept takes connections from peers until the listener is closed.
func (l *streams) accept(ctx context.Context) error {
	for failed := 0; ; {
		c, err := l.Listener.Accept()
		if err == nil {
			failed = 0
			if at, ok := addrPort(c.RemoteAddr()); ok {
				l.enter(c, at)
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if failed++; failed == maxRetries {
			return err
		}
		select { // out of descriptors: others close some
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// enter gives a connection to sipgo, or closes it.
func (l *streams) enter(c net.Conn, at netip.AddrPort) *streamGate {
	s := newStreamGate(c, at, l.gate)
	if !l.admit(s) {
		l.gate.counts.limited.Add(1)
		c.Close()
		return nil
	}
	select {
	case l.queue <- s:
		return s
	case <-l.done:
		s.Close()
		return nil
	}
}

// admit counts s in, within the limits.
func (l *streams) admit(s *streamGate) bool {
	host := s.visit.at.addr.Addr()
	foreign := !l.gate.book.knows(host)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.crowded(host, foreign) {
		return false
	}
	l.open[s] = struct{}{}
	l.count(host, foreign, 1)
	s.gone = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, s)
		l.count(host, foreign, -1)
	}
	l.writers.Go(s.write)
	return true
}

// crowded reports whether host has its share of the connections: nobody takes those
// of other peers.
func (l *streams) crowded(host netip.Addr, foreign bool) bool {
	t := l.hosts[host]
	if foreign && (t.foreign >= maxForeign || l.foreign >= maxForeigners) {
		return true
	}
	return len(l.open) >= maxStreams || t.all >= maxHost
}

func (l *streams) count(host netip.Addr, foreign bool, n int) {
	t := l.hosts[host]
	t.all += n
	if foreign {
		t.foreign += n
		l.foreign += n
	}
	l.hosts[host] = t
	if t.all == 0 {
		delete(l.hosts, host)
	}
}

// dial opens a connection to a peer and returns when sipgo has it. Callers to the
// same address share one.
func (l *streams) dial(ctx context.Context, to netip.AddrPort) error {
	l.mu.Lock()
	d := l.dialing[to]
	if first := d == nil; first {
		d = &dialing{done: make(chan struct{})}
		l.dialing[to] = d
		l.mu.Unlock()
		d.err = l.connect(ctx, to)
		l.mu.Lock()
		delete(l.dialing, to)
		close(d.done)
	}
	l.mu.Unlock()
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *streams) connect(ctx context.Context, to netip.AddrPort) error {
	c, err := l.dialer(ctx, to)
	if err != nil {
		return err
	}
	s := l.enter(c, to)
	if s == nil {
		return errNoConn
	}
	select {
	case <-s.adopted:
		return nil
	case <-l.done:
		return errStopped
	}
}

// Close ends the listener and every connection.
func (l *streams) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	open := make([]*streamGate, 0, len(l.open))
	for s := range l.open {
		open = append(open, s)
	}
	l.mu.Unlock()
	close(l.done)
	for _, s := range open {
		s.Close()
	}
	return l.Listener.Close()
}
