package domain

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Ports are the adapters that perform effects. All must be set.
type Ports struct {
	Transceiver Transceiver
	Media       Media
	Cameras     Cameras
	Archive     Archive
	Store       Store
	Users       Users
}

const (
	inboxSize = 1024
	stopLimit = 8 * time.Second // of the 10 s that the whole shutdown may take
)

// A Loop is the one goroutine that steps a [Processor] and performs its effects.
type Loop struct {
	core    *Processor
	ports   Ports
	log     *slog.Logger
	inbox   chan Event // requests: bounded, refused when full
	ends    chan Event // what ends or answers something of ours: never refused
	queued  chan Event // ends, in order, as the loop takes them
	views   chan view
	stopped chan struct{} // closed when Run returned
}

type view struct {
	show func(*Processor)
	done chan struct{}
}

// NewLoop returns a loop over p that starts nothing. It owns p from now on.
func NewLoop(p *Processor, ports Ports, log *slog.Logger) *Loop {
	return &Loop{core: p, ports: ports, log: log, inbox: make(chan Event, inboxSize),
		ends: make(chan Event), queued: make(chan Event), views: make(chan view), stopped: make(chan struct{})}
}

// Post hands ev to the loop, from any goroutine, and reports whether it was
// taken. A request is refused when the inbox is full (answer it 503, count it);
// what ends or answers something that the processor began is refused only after
// Run returned, since there is never more of it than was begun. Before Run,
// Post of the latter waits for Run.
func (l *Loop) Post(ev Event) bool {
	if !droppable(ev) {
		select {
		case l.ends <- ev:
			return true
		case <-l.stopped:
			return false
		}
	}
	select {
	case <-l.stopped:
		return false
	default:
	}
	select {
	case l.inbox <- ev:
		return true
	default:
		return false
	}
}

// droppable reports whether ev may be refused: its sender asks again, or is told so.
func droppable(ev Event) bool {
	switch ev.(type) {
	case RegisterIn, KeepaliveIn, QueryIn, CatalogIn, SubscribeIn, RecordsIn, DeviceInfoIn, DeviceStatusIn,
		InviteIn, ControlIn, KeyFrameIn, PTZIn, MediaStatusIn, OptionsIn, WatchIn, RecordsAsked, PTZAsked, RefreshAsked,
		LeaveAsked, JoinAsked:
		return true
	}
	return false
}

// View runs show on the loop's goroutine between two steps, and returns when it
// has run or ctx ended. The processor must not be kept beyond show.
func (l *Loop) View(ctx context.Context, show func(*Processor)) error {
	v := view{show, make(chan struct{})}
	select {
	case l.views <- v:
		<-v.done // the loop runs a view it took
		return nil
	case <-l.stopped:
		return ErrGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run steps the processor until ctx ends, then has it deregister and end every
// session, for 8 s at most. It returns nil.
func (l *Loop) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() { l.queue(done) })
	defer func() {
		close(l.stopped)
		close(done)
		wg.Wait()
	}()
	l.step(Start{})
	if l.serve(ctx.Done()) {
		return nil
	}
	if l.step(Stop{}) {
		return nil
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	if !l.serve(limit.Done()) {
		l.log.Warn("domain stopped before all sessions had ended")
	}
	return nil
}

// serve steps until end, or until the processor is idle: then it reports true.
func (l *Loop) serve(end <-chan struct{}) bool {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if at, ok := l.core.Due(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Reset(time.Hour)
		}
		var ev Event
		select {
		case <-end:
			return false
		case v := <-l.views:
			v.show(l.core)
			close(v.done)
			continue
		case <-timer.C:
			ev = Tick{}
		case ev = <-l.queued:
		case ev = <-l.inbox:
		}
		if l.step(ev) {
			return true
		}
	}
}

// queue carries ends to queued without ever making a sender wait for the loop,
// so that an adapter may post from within an effect.
func (l *Loop) queue(done <-chan struct{}) {
	var held []Event
	for {
		var out chan<- Event
		var first Event
		if len(held) > 0 {
			out, first = l.queued, held[0]
		}
		select {
		case ev := <-l.ends:
			held = append(held, ev)
		case out <- first:
			held[0] = nil
			held = held[1:]
		case <-done:
			return
		}
	}
}

// step steps once, performs the effects in order, and reports whether the processor is idle.
func (l *Loop) step(ev Event) (idle bool) {
	for _, fx := range l.core.Step(time.Now(), ev) {
		idle = l.perform(fx) || idle
	}
	return idle
}

// perform hands one effect to its port, and reports whether it is Idle.
func (l *Loop) perform(fx Effect) bool {
	switch fx := fx.(type) {
	case Register, Keepalive, Probe, Query, SendCatalog, SendChanges, SendRecords,
		SendInfo, SendState, Subscribe, EndSubscription, Invite, Cancel, Bye, Control, AskKeyFrame, AskPTZ,
		SendMediaStatus:
		l.ports.Transceiver.Send(fx)
	case Reply, ReplyRegister, ReplySubscribe, AnswerInvite, RefuseInvite:
		l.ports.Transceiver.Answer(fx)
	case OpenReceiver, ConnectReceiver, OpenSender, StartSender, HoldReceiver, ControlSender, WantKeyFrame, CloseLeg:
		l.ports.Media.Do(fx)
	case DrivePTZ:
		l.ports.Cameras.Drive(fx)
	case FindRecords:
		l.ports.Archive.Find(fx)
	case SaveLink, ForgetLink, SaveCatalog, SaveTombstone, ForgetTombstone:
		l.ports.Store.Save(fx)
	case Opened, Denied, Ended, RecordsFound, Done:
		l.ports.Users.Tell(fx)
	case Note:
		l.log.LogAttrs(context.Background(), fx.Level, fx.Event, fx.Attrs...)
	case Idle:
		return true
	}
	return false
}
