package sip

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMessagesOfOneHostLeaveMemoryForOthers(t *testing.T) {
	l := newLedger()
	greedy, modest := netip.MustParseAddr("10.0.0.7"), netip.MustParseAddr("10.0.0.8")
	if !l.take(greedy, maxHostBytes) || l.take(greedy, 1) || l.fits(greedy, 1) || !l.take(modest, 1) {
		t.Error("one host does not have exactly its share")
	}
	l.add(greedy, -maxHostBytes)
	for i := range 100 {
		l.take(netip.AddrFrom4([4]byte{10, 1, 0, byte(i)}), maxHostBytes)
	}
	if l.all > maxAllBytes || l.all < maxAllBytes-maxHostBytes {
		t.Errorf("all hosts hold %d bytes", l.all)
	}
}

// held returns how many bytes are held, by how many hosts.
func held(l *ledger) (all, hosts int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, len(l.hosts)
}

// TestRequestIsCountedUntilItsTransactionEnds: 32 s over UDP.
func TestRequestIsCountedUntilItsTransactionEnds(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		l := w.up.gate.ledger
		body := "<?xml version=\"1.0\"?>" + strings.Repeat(" ", 50000) + "<Notify/>"
		msg := keepaliveText("", fmt.Sprintf("Content-Length: %d\r\n", len(body)), body)
		for i := 0; p.say(msg) != ""; i++ {
			if i > maxHostBytes/50000 {
				t.Fatalf("%d requests of 50 kB are served at once", i)
			}
		}
		if all, _ := held(l); all > maxHostBytes || all < maxHostBytes-100000 {
			t.Errorf("%d bytes are held", all)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if all, hosts := held(l); all != 0 || hosts != 0 || p.say(msg) == "" {
			t.Errorf("a minute later %d bytes are held, of %d hosts", all, hosts)
		}
	})
}

// A deafConn gives a text and then nothing until it is closed.
type deafConn struct {
	net.Conn
	text   io.Reader
	closed chan struct{}
}

func (c *deafConn) Read(b []byte) (int, error) {
	if n, err := c.text.Read(b); err == nil {
		return n, nil
	}
	<-c.closed
	return 0, net.ErrClosed
}
func (c *deafConn) Close() error                    { close(c.closed); return nil }
func (c *deafConn) SetReadDeadline(time.Time) error { return nil }

// TestAnnouncedBodiesOfOneHostAreBounded: the memory is taken before the bytes come.
func TestAnnouncedBodiesOfOneHostAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(Config{})
		b.settle(&neighbour{}, place{"TCP", netipAt("10.0.0.7:5060")})
		g := &gate{counts: new(counts), ledger: newLedger(), book: b}
		head := tcpText(keepaliveText("", fmt.Sprintf("Content-Length: %d\r\n", 1<<20), ""), 1)
		var open []*streamGate
		for range 2 * maxHostBytes >> 20 {
			s := newStreamGate(&deafConn{text: bytes.NewBufferString(head), closed: make(chan struct{})}, netipAt("10.0.0.7:5060"), g)
			open = append(open, s)
			go s.Read(make([]byte, 1))
		}
		synctest.Wait()
		alive := countAlive(open)
		if all, _ := held(g.ledger); alive != maxHostBytes>>20 || all != maxHostBytes {
			t.Errorf("%d connections, %d bytes held", alive, all)
		}
		for _, s := range open {
			s.Close()
		}
		synctest.Wait()
		if all, _ := held(g.ledger); all != 0 {
			t.Errorf("%d bytes are held by nobody", all)
		}
	})
}

func countAlive(list []*streamGate) (n int) {
	for _, s := range list {
		if s.alive() {
			n++
		}
	}
	return n
}

// TestConnectionsOfOneHostLeaveRoomForOthers: neither a peer that opens one after the
// other nor many strangers keep another peer out.
func TestConnectionsOfOneHostLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(Config{})
		b.settle(&neighbour{}, place{"TCP", netipAt("10.0.0.7:5060")})
		b.settle(&neighbour{}, place{"TCP", netipAt("10.0.0.8:5060")})
		l := newStreams(nil, &gate{counts: new(counts), ledger: newLedger(), book: b})
		var open []*streamGate
		enter := func(at string) bool {
			near, _ := net.Pipe()
			s := newStreamGate(near, netipAt(at), l.gate)
			ok := l.admit(s)
			if ok {
				open = append(open, s)
			}
			return ok
		}
		for i := range 5000 {
			enter("10.0.0.7:1000")
			enter(fmt.Sprintf("10.9.%d.%d:1000", i%100, i/100))
		}
		if got := len(open); got != maxHost+maxForeigners || l.foreign != maxForeigners {
			t.Errorf("%d connections, %d of strangers", got, l.foreign)
		}
		if !enter("10.0.0.8:1000") {
			t.Error("another peer is kept out")
		}
		for _, s := range open {
			s.Close()
		}
		l.writers.Wait()
		if len(l.open) != 0 || len(l.hosts) != 0 || l.foreign != 0 {
			t.Errorf("left: %d of %d hosts, %d of strangers", len(l.open), len(l.hosts), l.foreign)
		}
	})
}
