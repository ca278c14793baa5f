package rtsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// allocated returns the bytes that this process allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// What an encoder says at the beginning is bounded, whatever it announces.
func TestEncoderThatNeverEndsItsDescriptionIsLeft(t *testing.T) {
	for name, head := range map[string]string{
		"200 MB announced":    "Content-Length: 200000000\r\n\r\n",
		"200 MB of headers":   "",
		"a negative length":   "Content-Length: -1\r\n\r\n",
		"two lengths at odds": "Content-Length: 5\r\nContent-Length: 200000000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			taken := make(chan int64, 1)
			f := newFake(t, func(f *fake, req *base.Request) (string, bool) {
				if req.Method != base.Describe {
					return "", false
				}
				io.WriteString(f.conn, strings.ReplaceAll(answer, "{seq}", req.Header["CSeq"][0])+head)
				n, _ := io.Copy(f.conn, io.LimitReader(endless("X: 0123456789\r\n"), 200_000_000))
				taken <- n
				return "", true
			})
			before := allocated()
			o, err := Open(t.Context(), config(f.url))
			if err == nil {
				o.Source.Close()
				t.Fatal("opened")
			}
			if n := allocated() - before; n > 8<<20 {
				t.Errorf("%d bytes were allocated", n)
			}
			if n := <-taken; n > 64<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// endless repeats a text for ever.
type endless string

func (e endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		n += copy(b[n:], e)
	}
	return n, nil
}

// An encoder that sends us elsewhere, to ourselves above all, is not followed.
func TestRedirectIsNotFollowed(t *testing.T) {
	trap, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	caught := make(chan struct{}, 1)
	go func() {
		if c, err := trap.Accept(); err == nil {
			c.Close()
			caught <- struct{}{}
		}
	}()
	for _, m := range []base.Method{base.Options, base.Describe, base.Setup} {
		for _, status := range []int{301, 302, 305} {
			var asked atomic.Bool
			f := newFake(t, func(_ *fake, req *base.Request) (string, bool) {
				asked.CompareAndSwap(false, req.Method == m)
				return fmt.Sprintf("RTSP/1.0 %d Elsewhere\r\nCSeq: {seq}\r\nLocation: rtsp://%s/main\r\n\r\n", status, trap.Addr()), req.Method == m
			})
			o, err := Open(t.Context(), config(f.url))
			if err == nil {
				o.Source.Close()
				if m != base.Options { // which is no more than a courtesy
					t.Errorf("%d to %s was taken for an answer", status, m)
				}
			}
			if !asked.Load() {
				t.Errorf("%s was not asked", m)
			}
		}
	}
	select {
	case <-caught:
		t.Error("the redirect was followed")
	default:
	}
}

// A NAL unit that never ends takes no more than the ring, and what follows it is
// shown.
func TestUnitThatNeverEndsIsSurvived(t *testing.T) {
	f := newFake(t, func(*fake, *base.Request) (string, bool) { return "", false })
	s, stop, done := f.watch(false)
	sink := &mediatest.Sink{}
	if err := s.Attach(sink); err != nil {
		t.Fatal(err)
	}
	f.await(base.Play)
	p := mediatest.Packetizer{PayloadType: 96, SSRC: 1}
	fragment := func(head byte) string { // of an IDR slice, after RFC 6184 §5.8
		return interleaved(0, p.Packet(0, false, append([]byte{0x7C, head}, make([]byte, 1398)...)))
	}
	io.WriteString(f.conn, fragment(0x85))
	until(t, "nothing came", func() bool { return s.Stats().Bytes > 0 }) // and the ring is there
	const total, frame = 64 << 20, 4 + 12 + 1400
	block := []byte(strings.Repeat(fragment(0x05), 64))
	before := allocated()
	for sent := 0; sent < total; sent += len(block) {
		for at := 0; at < len(block); at += frame {
			binary.BigEndian.PutUint16(block[at+6:], p.Seq) // RFC 3550 §5.1, after the four bytes of the frame
			p.Seq++
		}
		if _, err := f.conn.Write(block); err != nil {
			t.Fatalf("after %d bytes: %v", sent, err)
		}
	}
	until(t, "not everything was taken", func() bool { return s.Stats().Bytes > total/100*99 })
	if n := allocated() - before; n > 1<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
	good := mediatest.Packetizer{PayloadType: 96, SSRC: 1, Seq: p.Seq}
	shown := func() bool {
		samples, _ := sink.Samples()
		return len(samples) > 0
	}
	for i := 0; i < 8 && !shown(); i++ {
		for _, packet := range good.Video(media.H264, uint32(90000+3600*i), append(mediatest.Parameters(media.H264), mediatest.Slice(media.H264, true, 3000, 1))...) {
			io.WriteString(f.conn, interleaved(0, packet))
		}
		limit := time.After(200 * time.Millisecond)
		for wait := true; wait && !shown(); {
			select {
			case <-limit:
				wait = false
			case <-time.After(time.Millisecond):
			}
		}
	}
	if !shown() {
		t.Error("the picture after it is not shown")
	}
	stop()
	if err := <-done; err != nil && !errors.Is(err, media.ErrStopped) {
		t.Error(err)
	}
}
