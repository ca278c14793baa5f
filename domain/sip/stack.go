package sip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	stack "github.com/emiago/sipgo/sip"
	"golang.org/x/sync/errgroup"
)

// tune sets what sipgo keeps in variables of its package, once for all
// transceivers of the process and before any runs: the MTU, which it checks with
// 200 bytes of room, is raised to what UDP carries (pages are cut to
// 1300 bytes all the same, but an item or an SDP may be larger, and IP fragments);
// datagrams are read up to 64 KiB; and its default logger, which would print
// messages with their credentials, is silent. Its timers are those of RFC 3261.
var tune = sync.OnceFunc(func() {
	stack.UDPMTUSize = maxDatagram + 200
	stack.TransportBufferReadSize = math.MaxUint16
	stack.SetDefaultLogger(slog.New(slog.DiscardHandler))
})

// sockets opens what a transceiver listens and dials with.
type sockets struct {
	packet func(netip.AddrPort) (net.PacketConn, error)
	listen func(netip.AddrPort) (net.Listener, error)
	dial   func(context.Context, netip.AddrPort) (net.Conn, error)
}

func systemSockets() sockets {
	family := func(network string, at netip.AddrPort) string {
		if at.Addr().Is4() {
			return network + "4"
		}
		return network
	}
	return sockets{
		packet: func(at netip.AddrPort) (net.PacketConn, error) {
			return net.ListenUDP(family("udp", at), net.UDPAddrFromAddrPort(at))
		},
		listen: func(at netip.AddrPort) (net.Listener, error) {
			return net.ListenTCP(family("tcp", at), net.TCPAddrFromAddrPort(at))
		},
		dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			d := net.Dialer{Timeout: writeWait}
			return d.DialContext(ctx, "tcp", to.String())
		},
	}
}

// wires are the open sockets and sipgo's layers over them.
type wires struct {
	packets  *packetGate
	streams  *streams
	tp       *stack.TransportLayer
	tx       *stack.TransactionLayer
	at       netip.AddrPort
	udpLocal stack.Addr // names the UDP socket to sipgo
}

// open binds UDP and TCP to one address. With port 0 it looks for a port that is
// free for both.
func (t *Transceiver) open() (*wires, error) {
	for try := 0; ; try++ {
		w, err := t.bind()
		if err == nil {
			return w, nil
		}
		taken := errors.Is(err, syscall.EADDRINUSE)
		if t.cfg.Listen.Port() != 0 || !taken || try == 100 {
			return nil, err
		}
	}
}

func (t *Transceiver) bind() (*wires, error) {
	packets, err := t.net.packet(t.cfg.Listen)
	if err != nil {
		return nil, err
	}
	at, ok := addrPort(packets.LocalAddr())
	if !ok {
		packets.Close()
		return nil, fmt.Errorf("no address: %v", packets.LocalAddr())
	}
	listener, err := t.net.listen(netip.AddrPortFrom(t.cfg.Listen.Addr(), at.Port()))
	if err != nil {
		packets.Close()
		return nil, err
	}
	w := &wires{at: at, packets: &packetGate{PacketConn: packets, gate: t.gate, reading: make(chan struct{})},
		streams: newStreams(listener, t.gate)}
	w.streams.dialer = t.net.dial
	host, port, err := stack.ParseAddr(packets.LocalAddr().String())
	if err != nil {
		w.close()
		return nil, err
	}
	w.udpLocal = stack.Addr{IP: net.ParseIP(host), Port: port, Hostname: host}
	quiet := slog.New(slog.DiscardHandler)
	w.tp = stack.NewTransportLayer(net.DefaultResolver, t.gate.parser, nil, stack.WithTransportLayerLogger(quiet),
		stack.WithTransportLayerTransports(stack.TransportsConfig{TCP: &stack.TransportTCP{DialerCreate: neverDial}}))
	w.tx = stack.NewTransactionLayer(w.tp, stack.WithTransactionLayerLogger(quiet),
		stack.WithTransactionLayerUnhandledResponseHandler(t.stray))
	w.tx.OnRequest(t.handle)
	return w, nil
}

// neverDial keeps sipgo from opening connections by itself: they would not stand
// behind the gate. streams.dial opens them.
func neverDial(net.Addr) net.Dialer {
	return net.Dialer{Control: func(string, string, syscall.RawConn) error { return errNoConn }}
}

// settle is how long sipgo's goroutines get to finish with the last message that was
// let in: one that would look for its socket after that has gone would open another.
const settle = 20 * time.Millisecond

// serve reads until ctx ends or a socket fails. Then nothing more is let in, drain
// waits for the work under way, and the sockets are closed.
func (w *wires) serve(ctx context.Context, drain func()) error {
	g, ctx := errgroup.WithContext(ctx)
	ended := func(what string, err error) error {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%s socket failed: %w", what, err)
	}
	g.Go(func() error { w.tp.ServeUDP(w.packets); return ended("udp", io.ErrUnexpectedEOF) })
	g.Go(func() error { return ended("tcp", w.tp.ServeTCP(w.streams)) })
	g.Go(func() error { return w.streams.accept(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		w.packets.gate.shut.Store(true)
		drain()
		time.Sleep(settle)
		w.tx.Close()
		w.close()
		return nil
	})
	err := g.Wait()
	w.streams.writers.Wait()
	return err
}

// close closes every socket; sipgo's readers end with them.
func (w *wires) close() {
	if w.tp != nil {
		w.tp.Close()
	}
	w.streams.Close()
	w.packets.Close()
}
