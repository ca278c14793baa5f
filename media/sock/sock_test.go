//go:build linux

package sock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func udpPair(t *testing.T) (from, to *UDP) {
	t.Helper()
	open := func() *UDP {
		u, err := ListenUDP(loopback)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { u.Close() })
		return u
	}
	from, to = open(), open()
	if err := from.Connect(to.Local()); err != nil {
		t.Fatal(err)
	}
	return from, to
}

func tcpPair(t *testing.T) (a, b *TCP) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	wrap := func(c net.Conn, err error) *TCP {
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewTCP(c.(*net.TCPConn))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	a = wrap(net.Dial("tcp4", l.Addr().String()))
	return a, wrap(l.Accept())
}

// sizes covers runs that can be segmented, a shorter last one, growing sizes,
// and more than one segmented send can carry.
var sizes = map[string][]int{
	"one":             {100},
	"equal":           {1400, 1400, 1400},
	"shorter last":    {1400, 1400, 300},
	"growing":         {100, 200, 300},
	"two groups":      {1400, 1400, 20, 1400, 1400, 20},
	"more than a run": bytesRepeated(1400, 150),
}

func bytesRepeated(n, times int) []int {
	s := make([]int, times)
	for i := range s {
		s[i] = n
	}
	return s
}

func TestDatagramsArriveWholeAndInOrder(t *testing.T) {
	for name, sizes := range sizes {
		for _, noGSO := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/single=%t", name, noGSO), func(t *testing.T) {
				from, to := udpPair(t)
				from.noGSO = noGSO
				var b Batch
				want := make([][]byte, len(sizes))
				for i, n := range sizes {
					want[i] = bytes.Repeat([]byte{byte(i + 1)}, n)
					b.Add(want[i][:n/3])
					b.Add(bytes.Clone(want[i][n/3:])) // elsewhere in memory: a second iovec
					b.End()
				}
				buf := make([]byte, 2000)
				for sent := 0; sent < len(sizes); {
					next, err := from.Send(&b, sent, b.Len())
					if err != nil {
						t.Fatal(err)
					}
					for i := sent; i < next; i++ {
						n, err := to.Receive(buf, true, time.Now().Add(5*time.Second))
						if err != nil || !bytes.Equal(buf[:n], want[i]) {
							t.Fatalf("datagram %d: %d bytes of %d, %v", i, n, len(want[i]), err)
						}
						if to.From() != from.Local() {
							t.Fatalf("from %s, want %s", to.From(), from.Local())
						}
					}
					sent = next
				}
				if from.noGSO != noGSO {
					t.Error("segmentation was refused on loopback")
				}
			})
		}
	}
}

func TestEmptyDatagramsArePassedOver(t *testing.T) {
	from, to := udpPair(t)
	empty, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to.Local()))
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	send := func(text string) {
		t.Helper()
		for range 3 {
			if _, err := empty.Write(nil); err != nil {
				t.Fatal(err)
			}
		}
		var b Batch
		b.Add([]byte(text))
		b.End()
		if n, err := from.Send(&b, 0, 1); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	buf := make([]byte, 100)
	send("one")
	for range 2 {
		if n, err := to.Peek(buf, true, time.Now().Add(5*time.Second)); string(buf[:n]) != "one" || err != nil {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if n, err := to.Receive(buf, false, time.Time{}); string(buf[:n]) != "one" || err != nil {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	send("two")
	if n, err := to.Receive(buf, true, time.Now().Add(5*time.Second)); string(buf[:n]) != "two" || err != nil || to.From() != from.Local() {
		t.Fatalf("%q from %s, %v", buf[:n], to.From(), err)
	}
	if n, err := to.Peek(buf, false, time.Time{}); n != 0 || err != nil {
		t.Errorf("%d bytes of nothing, %v", n, err)
	}
}

func TestWakeEndsAWaitEvenIfItCameFirst(t *testing.T) {
	_, u := udpPair(t)
	a, _ := tcpPair(t)
	type receiver interface {
		Wake()
		Receive([]byte, bool, time.Time) (int, error)
	}
	for name, r := range map[string]receiver{"udp": u, "tcp": a} {
		t.Run(name, func(t *testing.T) {
			far := time.Now().Add(time.Hour)
			r.Wake()
			if n, err := r.Receive(make([]byte, 10), true, far); n != 0 || err != nil {
				t.Errorf("after an early wake: %d, %v", n, err)
			}
			done := make(chan error, 1)
			go func() {
				_, err := r.Receive(make([]byte, 10), true, far)
				done <- err
			}()
			r.Wake()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeadlineEndsAWaitWithoutError(t *testing.T) {
	_, u := udpPair(t)
	if n, err := u.Receive(make([]byte, 10), true, time.Now().Add(time.Millisecond)); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestClosedSocketFails(t *testing.T) {
	from, to := udpPair(t)
	to.Close()
	if _, err := to.Receive(make([]byte, 10), true, time.Now().Add(time.Hour)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("receive on a closed socket: %v", err)
	}
	from.Close()
	var b Batch
	b.Add([]byte("x"))
	b.End()
	if _, err := from.Send(&b, 0, b.Len()); err == nil {
		t.Error("send on a closed socket succeeded")
	}
}

func TestPartialWriteGoesOnWhereItStopped(t *testing.T) {
	a, b := tcpPair(t)
	want := make([]byte, 8<<20)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	var v Vector
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 1000)
		v.Add(bytes.Clone(rest[:n])) // own memory each: iovecs do not join
		rest = rest[n:]
	}
	if err := a.Send(&v); err != nil || v.Len() == 0 {
		t.Fatalf("8 MiB went into a socket nobody reads: %d left, %v", v.Len(), err)
	}
	if rest := v.Rest(nil, 100); !bytes.Equal(rest, want[len(want)-v.Len():][:100]) {
		t.Error("Rest is not what follows")
	}
	var got []byte
	buf := make([]byte, 1<<20)
	for len(got) < len(want) {
		n, err := b.Receive(buf, true, time.Now().Add(5*time.Second))
		if err != nil || n == 0 {
			t.Fatalf("after %d bytes: %d, %v", len(got), n, err)
		}
		got = append(got, buf[:n]...)
		if err := a.Send(&v); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("bytes differ")
	}
	a.Close()
	if _, err := b.Receive(buf, true, time.Now().Add(5*time.Second)); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestSendAndReceiveDoNotAllocate(t *testing.T) {
	from, to := udpPair(t)
	var b Batch
	payload, buf := make([]byte, 1400), make([]byte, 2000)
	allocs := testing.AllocsPerRun(100, func() {
		b.Reset()
		for range 3 {
			b.Add(payload)
			b.End()
		}
		if n, err := from.Send(&b, 0, b.Len()); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		for range 3 {
			if n, err := to.Receive(buf, true, time.Now().Add(time.Second)); n != 1400 || err != nil {
				t.Fatal(n, err)
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestPiecesOfAnySizeAreAdded has pieces that fill the objects they lie in: what
// follows them in memory is another object. The race detector watches the pointers.
func TestPiecesOfAnySizeAreAdded(t *testing.T) {
	var v Vector
	var kept [][]byte
	for i := range 400 {
		kept = append(kept, make([]byte, 16<<(i%7)))
		v.Add(kept[i])
	}
	if got := v.Rest(nil, v.Len()); len(got) != v.Len() || len(v.iov) == 0 {
		t.Errorf("%d bytes of %d", len(got), v.Len())
	}
}
