package relay

import (
	"fmt"
	"time"

	"districtgateway/media/sock"
)

// An arena is memory for headers of packets not yet sent. What it gave out stays
// as it is when it grows: the older memory is then kept alive by its users.
type arena struct{ mem []byte }

func (a *arena) reset() { a.mem = a.mem[:0] }

func (a *arena) take(n int) []byte {
	if len(a.mem)+n > cap(a.mem) {
		a.mem = make([]byte, 0, max(2*cap(a.mem), 64*rtpHeader, n))
	}
	at := len(a.mem)
	a.mem = a.mem[:at+n]
	return a.mem[at : at+n : at+n]
}

// A udpOutput sends datagrams, paced.
type udpOutput struct {
	sock  *sock.UDP
	batch sock.Batch
	heads arena
	sent  int
	pace  pacer
	gone  absence
}

func (o *udpOutput) reset() {
	o.batch.Reset()
	o.heads.reset()
	o.sent = 0
}

func (o *udpOutput) header(n int) []byte {
	h := o.heads.take(n)
	o.batch.Add(h)
	return h
}

func (o *udpOutput) add(b []byte)  { o.batch.Add(b) }
func (o *udpOutput) end()          { o.batch.End() }
func (o *udpOutput) pending() bool { return o.sent < o.batch.Len() }

func (o *udpOutput) abandon() (dropped, size, sent int) {
	dropped, sent = o.batch.Len()-o.sent, o.sent
	for i := o.sent; i < o.batch.Len(); i++ {
		size += o.batch.Size(i) - rtpHeader
	}
	o.reset()
	return dropped, size, sent
}

// retry is when a full socket is tried again.
const retry = 5 * time.Millisecond

func (o *udpOutput) flush(now time.Time) (time.Time, error) {
	if !o.pending() {
		return time.Time{}, nil
	}
	limit, wait := o.pace.allow(now, &o.batch, o.sent)
	sent, err := o.sock.Send(&o.batch, o.sent, limit)
	for ; o.sent < sent; o.sent++ {
		o.pace.spend(o.batch.Size(o.sent))
	}
	if err == nil {
		err = o.gone.judge(o.sock.Refused(), now)
	}
	switch {
	case err != nil || !o.pending():
		return time.Time{}, err
	case sent < limit:
		return now.Add(retry), nil
	}
	return now.Add(wait), nil
}

// An absence tells a receiver that has gone from one that has not opened its port
// yet, by the answers of its host: all there is where nothing comes back.
type absence struct {
	refused     uint64 // sock.UDP.Refused when last looked
	since, last time.Time
}

// absencePause is the longest pause between two answers of one absence: hosts send
// no more than about one a second.
const absencePause = 4 * time.Second

// judge returns an error once the far end has refused datagrams for too long.
func (a *absence) judge(refused uint64, now time.Time) error {
	if refused == a.refused {
		return nil
	}
	if now.Sub(a.last) > absencePause {
		a.since = now
	}
	a.refused, a.last = refused, now
	if d := now.Sub(a.since); d >= silenceLimit {
		return fmt.Errorf("%w for %s", ErrRefused, d.Round(time.Second))
	}
	return nil
}
