package rtp

import (
	"fmt"
	"time"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// Datagrams is the [Output] to a UDP socket, paced.
type Datagrams struct {
	Pace Pacer

	sock  *sock.UDP
	batch sock.Batch
	heads Arena
	sent  int
	gone  absence
}

// NewDatagrams returns an output to u, which stays its caller's to close.
func NewDatagrams(u *sock.UDP) *Datagrams { return &Datagrams{sock: u} }

// Reset forgets everything; see [Output].
func (o *Datagrams) Reset() {
	o.batch.Reset()
	o.heads.Reset()
	o.sent = 0
}

// Header begins a packet; see [Writer].
func (o *Datagrams) Header(n int) []byte {
	h := o.heads.Take(n)
	o.batch.Add(h)
	return h
}

// Add appends to the packet; see [Writer].
func (o *Datagrams) Add(b []byte) { o.batch.Add(b) }

// End finishes the packet; see [Writer].
func (o *Datagrams) End() { o.batch.End() }

// Passage adds packets that are made already, without their frames.
func (o *Datagrams) Passage(ring *media.Ring, p *Passage) {
	for _, g := range p.packets {
		o.batch.Add(ring.Bytes(media.Range{Off: g.Off + FrameSize, Len: g.Len - FrameSize}))
		o.batch.End()
	}
}

// Pending reports whether something is not sent yet.
func (o *Datagrams) Pending() bool { return o.sent < o.batch.Len() }

// Abandon drops what was not sent; see [Output].
func (o *Datagrams) Abandon() (dropped, size, sent int) {
	dropped, sent = o.batch.Len()-o.sent, o.sent
	for i := o.sent; i < o.batch.Len(); i++ {
		size += o.batch.Size(i) - HeaderSize
	}
	o.Reset()
	return dropped, size, sent
}

// retry is when a full socket is tried again.
const retry = 5 * time.Millisecond

// Flush sends what may be sent by now; see [Output].
func (o *Datagrams) Flush(now time.Time) (time.Time, error) {
	if !o.Pending() {
		return time.Time{}, nil
	}
	limit, wait := o.Pace.Allow(now, &o.batch, o.sent)
	sent, err := o.sock.Send(&o.batch, o.sent, limit)
	for ; o.sent < sent; o.sent++ {
		o.Pace.Spend(o.batch.Size(o.sent))
	}
	if err == nil {
		err = o.gone.judge(o.sock.Refused(), now)
	}
	switch {
	case err != nil || !o.Pending():
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
