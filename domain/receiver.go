package domain

import (
	"fmt"
	"time"
)

type rxState uint8

// The states of a receiver.
const (
	rxOpening    rxState = iota // media prepares to receive
	rxInviting                  // the lower was asked
	rxConnecting                // it agreed; no picture yet
	rxReady                     // it can be watched
	rxLingering                 // ready, and nobody watches
	rxDraining                  // the lower has sent everything
	rxUnsaid                    // its media came to an end; whether that was all, it has not said
	rxDrained                   // and the exchange is over; what was received is still read
	rxCancelled                 // closed; the INVITE's answer is awaited
	rxGone
)

func (s rxState) String() string {
	return [...]string{"opening", "inviting", "connecting", "ready", "lingering", "draining", "unsaid",
		"drained", "cancelled", "gone"}[s%10]
}

const (
	drainTime   = 2 * time.Second  // for what is still under way after the last word
	drainedTime = 15 * time.Second // for readers of what was received
	ackTime     = 32 * time.Second // RFC 3261: 64 T1
	statusTime  = 10 * time.Second // for the BYE after MediaStatus
)

// A receiver is media coming in from a lower: one leg and one dialog below, shared
// by all who watch it (LIVE-814). It knows nothing of who they are: the monitor that
// it names to the lower is that of the viewer for whom it was begun, for as long as it
// lasts, even when that one has left and others watch on.
type receiver struct {
	leg     LegID
	tag     Tag // of the INVITE, and so its dialog; 0 before
	peer    *lower
	below   Code // the channel, as the lower calls it
	ssrc    uint32
	linger  time.Duration
	held    bool // it was paused, and media knows
	request      // limit: when a picture must be there

	state rxState
	since time.Time
	at    time.Time // end of the state, by our patience
	last  lastWord
	users []user
	alarm alarm
}

// A lastWord is what is known of the end of a receiver's media.
type lastWord struct {
	sent  bool  // the lower has sent everything, maybe before the first picture
	fault error // how its media came to an end, while it has not said whether that was all
}

// What happens to a receiver.
type (
	rxOpened   struct{ Offer Endpoint }
	rxAnswered struct{ Answered }
	rxPicture  struct{}
	rxEnded    struct{ Err error } // the leg is gone
	rxBye      struct{ Reason string }
	rxSentAll  struct{} // MediaStatus
	rxDue      struct{}
	rxJoined   struct{} // somebody watches again
	rxAlone    struct{} // nobody watches any more
	rxLost     struct{ Err error }
)

// A verdict is what a step means to the users.
type verdict uint8

const (
	noNews verdict = iota
	nowReady
	nowOver // ended, or failed before it was ready: the error says why, nil if all was sent
)

// step moves r and says what that means to its users.
func (r *receiver) step(d *desk, ev any) (verdict, error) {
	was := r.state
	v, err := r.judge(d, ev)
	if r.state != was {
		r.since = d.now
	}
	d.set(&r.alarm, r.at)
	return v, err
}

func (r *receiver) judge(d *desk, ev any) (verdict, error) {
	switch r.state {
	case rxGone:
		return noNews, nil
	case rxCancelled:
		if a, ok := ev.(rxAnswered); ok {
			r.crossed(d, a.Answered)
		}
		return noNews, nil
	}
	switch ev := ev.(type) {
	case rxOpened:
		r.opened(d, ev.Offer)
	case rxAnswered:
		return r.answer(d, ev.Answered)
	case rxPicture:
		return r.picture(d)
	case rxEnded:
		return r.ended(d, ev.Err)
	case rxBye:
		return r.byed(d, ev.Reason)
	case rxSentAll:
		return r.sentAll(d)
	case rxDue:
		return r.due(d)
	case rxJoined:
		if r.state == rxLingering {
			r.state, r.at = rxReady, time.Time{}
		}
	case rxAlone:
		r.alone(d)
	case rxLost:
		if r.state == rxDrained { // its exchange was over before
			return noNews, nil
		}
		r.close(d, "peer lost")
		return nowOver, ev.Err
	}
	return noNews, nil
}

func (r *receiver) opened(d *desk, offer Endpoint) {
	if r.state != rxOpening {
		return
	}
	if offer.SSRC == 0 {
		offer.SSRC = r.ssrc
	}
	if r.local { // our monitor shows what arrives here
		r.monitor.Host = offer.Host
	}
	r.state = rxInviting
	r.tag = d.ask(rxWait{r})
	d.do(Invite{Tag: r.tag, Peer: r.peer.cfg.ref(), Channel: r.below, Kind: r.stream.Kind, Profile: r.stream.Profile,
		Range: r.stream.Range, Speed: r.speed, Offer: offer, Deadline: r.limit, Stream: r.subject(),
		Monitor: told(r.peer.link, r.monitor)})
}

// subject names the stream to the lower: a live one always by the same value, so
// that asking again replaces a session that was forgotten; each of history by its
// own (GB/T 28181-2022 Annex L).
func (r *receiver) subject() string {
	if r.stream.Kind == Live {
		return fmt.Sprintf("%s:0%d", r.below, r.stream.Profile)
	}
	return fmt.Sprintf("%s:1%d", r.below, uint64(r.leg)%1e15)
}

func (r *receiver) answer(d *desk, ev Answered) (verdict, error) {
	if r.state != rxInviting {
		return noNews, nil
	}
	if ev.Status/100 != 2 {
		d.do(CloseLeg{r.leg})
		r.gone()
		return nowOver, refusedBy(r.peer.cfg.Code, ev)
	}
	if ev.Answer.SSRC == 0 { // the lower kept ours
		ev.Answer.SSRC = r.ssrc
	}
	r.meet(ev)
	r.state = rxConnecting
	d.do(ConnectReceiver{r.leg, ev.Answer})
	return noNews, nil
}

// meet takes what the lower's answer tells of both parties (LIVE-807 to 809). It calls
// the camera by its own id. A monitor of ours is as we know it; another's is passed on
// as the answer has it, if that is the one we asked for.
func (r *receiver) meet(ev Answered) {
	if !r.peer.link.Caps.Has(CapParties) {
		return
	}
	if ev.Camera.ID == string(r.below) {
		ev.Camera.ID = string(r.stream.Channel)
		r.camera = ev.Camera
	}
	if ev.Monitor.ID == r.monitor.ID && !r.local {
		r.monitor = ev.Monitor
	}
}

// refusedBy names the level that refused: the one that the answer names, else the
// peer that gave it.
func refusedBy(peer Code, ev Answered) error {
	e := &Refused{Level: ev.Level, Status: ev.Status, Reason: ev.Reason}
	if e.Level == "" {
		e.Level = peer
	}
	if e.Status == 0 && e.Reason == "" {
		e.Reason = ErrTimeout.Error()
	}
	return e
}

// crossed ends a dialog whose 200 crossed our CANCEL.
func (r *receiver) crossed(d *desk, ev Answered) {
	if ev.Status/100 == 2 {
		r.bye(d, "cancelled")
	}
	r.gone()
}

func (r *receiver) picture(d *desk) (verdict, error) {
	if r.state != rxConnecting {
		return noNews, nil
	}
	r.state, r.at = rxReady, time.Time{}
	if r.last.sent {
		r.state, r.at = rxDraining, d.now.Add(drainTime)
	}
	return nowReady, nil
}

// ended is told that the leg is gone.
func (r *receiver) ended(d *desk, err error) (verdict, error) {
	was := r.state
	if was == rxReady && r.stream.Kind != Live && !r.last.sent {
		// A lower that has sent a recording closes its connection first and says so
		// next: only its word tells this end from a broken connection.
		r.state, r.at, r.last.fault = rxUnsaid, d.now.Add(drainTime), err
		return noNews, nil
	}
	r.hangUp(d, "media ended")
	switch {
	case r.last.sent && was >= rxReady:
		err = nil
	case err == nil && was < rxReady:
		err = ErrMedia
	}
	if err != nil && was >= rxConnecting { // it is the lower's media that does not come
		err = fmt.Errorf("media of %s: %w", r.peer.cfg.Code, err)
	}
	if was == rxDrained || was == rxLingering {
		return noNews, nil
	}
	return nowOver, err
}

func (r *receiver) byed(d *desk, reason string) (verdict, error) {
	switch r.state {
	case rxOpening, rxDrained:
		return noNews, nil
	case rxInviting: // BYE overtook the 200
		d.do(CloseLeg{r.leg})
		r.state, r.at = rxCancelled, time.Time{}
		return nowOver, &Refused{Level: r.peer.cfg.Code, Reason: "ended: " + reason}
	}
	if r.state == rxUnsaid {
		r.gone()
		return nowOver, r.unsaid()
	}
	if r.state == rxDraining { // only after MediaStatus is it known that this was all
		return r.drained(d)
	}
	d.do(CloseLeg{r.leg})
	r.gone()
	return nowOver, &Refused{Level: r.peer.cfg.Code, Reason: "ended: " + reason}
}

func (r *receiver) sentAll(d *desk) (verdict, error) {
	switch r.state {
	case rxReady:
		r.state, r.at = rxDraining, d.now.Add(drainTime)
	case rxUnsaid:
		r.last.sent = true
		r.hangUp(d, "all received")
		return nowOver, nil
	case rxConnecting:
		if !r.last.sent {
			r.at = d.now.Add(min(drainTime, r.at.Sub(d.now)))
		}
	case rxLingering:
		r.close(d, "media ended")
		return noNews, nil
	default:
		return noNews, nil
	}
	r.last.sent = true
	return noNews, nil
}

// unsaid is the error of media that ended without the lower's word that this was all.
func (r *receiver) unsaid() error {
	if r.last.fault == nil {
		return &Refused{Level: r.peer.cfg.Code, Reason: "media ended, perhaps not all was sent"}
	}
	return fmt.Errorf("media of %s: %w", r.peer.cfg.Code, r.last.fault)
}

// drained ends the exchange, and leaves the leg to those who still read from it.
func (r *receiver) drained(d *desk) (verdict, error) {
	r.state, r.at = rxDrained, d.now.Add(drainedTime)
	return nowOver, nil
}

func (r *receiver) due(d *desk) (verdict, error) {
	if !d.past(r.at) {
		return noNews, nil
	}
	switch r.state {
	case rxOpening:
		r.close(d, "")
		return nowOver, ErrTimeout
	case rxInviting:
		r.close(d, "")
		return nowOver, &Refused{Level: r.peer.cfg.Code, Reason: ErrTimeout.Error()}
	case rxConnecting:
		r.close(d, "no media")
		return nowOver, &Refused{Level: r.peer.cfg.Code, Reason: "no media in time"}
	case rxDraining:
		r.bye(d, "all received")
		return r.drained(d)
	case rxUnsaid:
		r.hangUp(d, "media ended")
		return nowOver, r.unsaid()
	default: // rxLingering, rxDrained
		r.close(d, "nobody watches")
	}
	return noNews, nil
}

func (r *receiver) alone(d *desk) {
	if r.state == rxReady && r.stream.Kind == Live && r.linger > 0 {
		r.state, r.at = rxLingering, d.now.Add(r.linger)
		return
	}
	r.close(d, "nobody watches")
}

// close ends everything that r holds.
func (r *receiver) close(d *desk, reason string) {
	if r.state != rxUnsaid { // whose leg has gone
		d.do(CloseLeg{r.leg})
	}
	r.hangUp(d, reason)
}

// hangUp ends the dialog, whatever its state.
func (r *receiver) hangUp(d *desk, reason string) {
	switch r.state {
	case rxInviting:
		d.do(Cancel{r.tag})
		r.state, r.at = rxCancelled, time.Time{}
		return
	case rxConnecting, rxReady, rxLingering, rxDraining, rxUnsaid:
		r.bye(d, reason)
	}
	r.gone()
}

func (r *receiver) bye(d *desk, reason string) {
	d.do(Bye{Tag: d.ask(nobody{}), Dialog: Dialog(r.tag), Reason: reason})
}

func (r *receiver) gone() { r.state, r.at = rxGone, time.Time{} }

// joinable reports whether another viewer of the same live stream may share r.
func (r *receiver) joinable() bool { return r.state <= rxLingering }

// open reports whether r holds a leg, or waits for the last word on it.
func (r *receiver) open() bool { return r.state < rxCancelled }

func (r *receiver) expired(p *Processor) { p.stepReceiver(r, rxDue{}) }

type rxWait struct{ r *receiver }

func (w rxWait) answered(p *Processor, ev Answered) { p.stepReceiver(w.r, rxAnswered{ev}) }
