package mediatest

import (
	"context"
	"errors"
	"sync"
	"time"

	"districtgateway/media"
)

// A Source delivers to a stream what a test pushes. Its methods may be called on
// any goroutine; Receive and Close are the stream's. The same Source is given
// out each time Open is called, so that a test can break it and see it come back.
type Source struct {
	opened media.Opened

	mu      sync.Mutex
	script  []item
	openErr error
	fresh   chan struct{} // something was pushed
	woken   chan struct{}
	opens   int
	closes  int
	asked   int
	errs    []error
}

// An item is one step of the script.
type item struct {
	flow  int
	bytes []byte
	frame *media.Frame
	do    func(*media.Stream)
	err   error
}

// NewSource makes a source that announces o, of which Source is ignored.
func NewSource(o media.Opened) *Source {
	k := &Source{fresh: make(chan struct{}, 1), woken: make(chan struct{}, 1)}
	o.Source = k
	k.opened = o
	return k
}

// Open is a media.Opener. It yields k, or the error given to Refuse.
func (k *Source) Open(context.Context) (media.Opened, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.openErr != nil {
		return media.Opened{}, k.openErr
	}
	k.opens++
	return k.opened, nil
}

// Refuse makes Open fail with err from now on; nil makes it succeed again.
func (k *Source) Refuse(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.openErr = err
}

// Push appends RTP packets of a flow to what Receive delivers. Several that are
// pushed at once arrive at once.
func (k *Source) Push(flow int, packets ...[]byte) {
	items := make([]item, len(packets))
	for i, b := range packets {
		items[i] = item{flow: flow, bytes: b}
	}
	k.add(items...)
}

// PushFrame appends a sample, for media.CarriageFrames. F's Range is ignored.
func (k *Source) PushFrame(f media.Frame, b []byte) { k.add(item{frame: &f, bytes: b}) }

// Do appends a call by the stream's owner, such as of SetTracks.
func (k *Source) Do(f func(*media.Stream)) { k.add(item{do: f}) }

// Break makes Receive return err after what was pushed before.
func (k *Source) Break(err error) { k.add(item{err: err}) }

func (k *Source) add(items ...item) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.script = append(k.script, items...)
	signal(k.fresh)
}

// signal makes c, of capacity 1, readable.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Receive delivers the script so far.
func (k *Source) Receive(s *media.Stream, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-k.fresh:
		return k.deliver(s)
	case <-k.woken:
	case <-timer.C:
	}
	return nil
}

// deliver plays the script.
func (k *Source) deliver(s *media.Stream) error {
	for {
		it, ok := k.take()
		if !ok {
			return nil
		}
		switch {
		case it.err != nil:
			return it.err
		case it.do != nil:
			it.do(s)
		case it.frame != nil:
			it.frame.Range = Put(s, it.bytes)
			k.note(s.PushFrame(*it.frame))
		default:
			put := Put
			if k.opened.Front == frameSize {
				put = PutFramed
			}
			k.note(s.PushRTP(it.flow, put(s, it.bytes), time.Now()))
		}
	}
}

// take returns the next step of the script.
func (k *Source) take() (item, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.script) == 0 {
		return item{}, false
	}
	it := k.script[0]
	k.script = k.script[1:]
	if it.err != nil && len(k.script) > 0 {
		signal(k.fresh) // the rest is for after the next Open
	}
	return it, true
}

// note keeps what the stream said of a packet.
func (k *Source) note(err error) {
	if err == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, err)
}

// Put writes b into s's ring, as a source does that received it.
func Put(s *media.Stream, b []byte) media.Range {
	n := copy(s.Ring().Reserve(len(b)), b)
	return s.Ring().Commit(n)
}

// frameSize is what stands before a packet on a connection of RTSP, in bytes.
const frameSize = 4

// PutFramed writes b into s's ring as [Put] does, after the frame that it came in
// on a connection of RTSP (RFC 2326 §10.12).
func PutFramed(s *media.Stream, b []byte) media.Range {
	Put(s, []byte{'$', 0, byte(len(b) >> 8), byte(len(b))})
	return Put(s, b)
}

// Wake ends a Receive in progress, or the next one.
func (k *Source) Wake() { signal(k.woken) }

// Close counts.
func (k *Source) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closes++
	return nil
}

// AskKey counts.
func (k *Source) AskKey() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	return nil
}

// Counts returns how often k was opened, closed and asked for a key frame.
func (k *Source) Counts() (opens, closes, asked int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.opens, k.closes, k.asked
}

// Err returns what the stream said of packets it refused, joined.
func (k *Source) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.errs...)
}
