package domain

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

const (
	flipFlop       = 10 * time.Minute   // two changes of address within it are a flip-flop (REG-402)
	leaveRetry     = 30 * time.Second   // told to a peer that may not leave yet (DEREG-606)
	longestExpires = 7 * 24 * time.Hour // granted at most
	firstQuery     = 2 * time.Second    // spread of the first queries after a mass reconnect
	catalogAge     = 10 * time.Minute   // a refresh does not ask again for what is younger
)

// A lower is the registration and heartbeat of one lower with us (REG-402 to 406,
// KA-501 to 509 and DEREG-602 to 606 seen from above).
type lower struct {
	cfg    PeerConfig
	link   Link
	alarm  alarm
	info   DeviceInfo // as it told
	read   reading    // of its catalogue
	saveAt time.Time  // when its changed catalogue is made durable

	silentAt time.Time // when it counts as offline
	beatAt   time.Time // next keepalive or probe from us
	beating  Tag       // keepalive of ours neither answered nor counted as missed
	missed   int       // of ours in a row that a negotiated lower did not answer
	former   string    // address before the present one
	moved    time.Time // when it changed
	heldTill time.Time // until then nobody but the present address may register

	following following // of its catalogue's changes, if it is standard
	astray    []*dome   // moved when it was lost, if it is standard
}

// What happens to a lower.
type (
	downRegister struct {
		RegisterIn
		Busy bool // sessions or queries with it are under way (DEREG-603)
	}
	downBeat   struct{ KeepaliveIn }
	downHeard  struct{}           // it sent something else
	downAnswer struct{ Answered } // to a keepalive or probe of ours, or its absence
	downStart  struct{}
	downDue    struct{}
)

func newLower(pc PeerConfig) *lower {
	l := &lower{cfg: pc.withDefaults()}
	l.link = Link{Peer: pc.Code, Role: Lower, Name: pc.Name}
	l.alarm.owner, l.following.of = l, l
	return l
}

// restore takes over what was durable: known, and offline until it speaks.
func (l *lower) restore(saved Link) {
	saved.Peer, saved.Role, saved.State, saved.Sessions = l.cfg.Code, Lower, LinkOffline, 0
	saved.Reason = "not heard of since our start"
	if l.cfg.Name != "" {
		saved.Name = l.cfg.Name
	}
	l.link = saved
}

// step moves l. The processor compares the states before and after; idle after
// another state means that the lower is deleted: it left for good, or was forgotten.
func (l *lower) step(d *desk, ev any) {
	switch ev := ev.(type) {
	case downRegister:
		l.register(d, ev)
	case downBeat:
		l.beaten(d, ev.KeepaliveIn)
	case downHeard:
		l.alive(d)
	case downAnswer:
		l.answered(d, ev.Answered)
	case downStart:
		if l.cfg.Forget && l.link.State == LinkOffline { // it has the usual time to come back
			l.silentAt = d.now.Add(l.cfg.silence())
		}
	case downDue:
		l.due(d)
	}
	l.arm(d)
}

func (l *lower) arm(d *desk) {
	expires := l.link.Expires
	if l.link.State != LinkOnline {
		expires = time.Time{}
	}
	d.set(&l.alarm, expires, l.silentAt, l.beatAt, l.read.at, l.saveAt, l.following.at)
}

func (l *lower) move(d *desk, s LinkState, reason string) {
	l.link.Reason = reason
	if l.link.State != s {
		l.link.State, l.link.Since = s, d.now
	}
	if s != LinkOnline {
		l.silentAt, l.beatAt, l.beating, l.missed = time.Time{}, time.Time{}, 0, 0
	}
}

// down takes the lower for offline, or deletes it where that is set (KA-509).
func (l *lower) down(d *desk, reason string) {
	if l.cfg.Forget {
		l.forget(d, reason)
		return
	}
	l.move(d, LinkOffline, reason)
}

// forget deletes what was learned of the lower. What is configured stays, so that it
// may register again.
func (l *lower) forget(d *desk, reason string) {
	l.move(d, LinkIdle, reason)
	l.link = Link{Peer: l.cfg.Code, Role: Lower, Name: l.cfg.Name, State: LinkIdle, Since: l.link.Since, Reason: reason}
	l.info, l.former, l.moved, l.heldTill = DeviceInfo{}, "", time.Time{}, time.Time{}
	d.do(ForgetLink{l.cfg.ref()})
}

func (l *lower) register(d *desk, ev downRegister) {
	if ev.Expires <= 0 {
		l.deregister(d, ev)
		return
	}
	if reason := l.objection(d, ev.RegisterIn); reason != "" {
		d.note(slog.LevelWarn, "registration refused", slog.String("peer", string(l.cfg.Code)),
			slog.String("role", "lower"), slog.String("address", ev.Origin.Address), slog.String("reason", reason))
		d.do(ReplyRegister{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	l.admit(d, ev.RegisterIn)
}

// objection says why a registration is refused though its credentials are good;
// empty: it is not.
func (l *lower) objection(d *desk, ev RegisterIn) string {
	known, address := l.link.Instance, ev.Origin.Address
	if restricted(l.cfg.Address, address) {
		return "not from " + l.cfg.Address
	}
	if l.link.State != LinkOnline {
		return ""
	}
	if known != "" && ev.Instance != "" {
		if ev.Instance != known && d.now.Sub(l.link.LastSeen) < l.cfg.KeepaliveEvery*3/2 {
			return "another instance still answers"
		}
		return ""
	}
	if address == l.link.Address {
		return ""
	}
	if d.now.Before(l.heldTill) {
		l.heldTill = d.now.Add(flipFlop)
		return "two addresses take turns, " + l.link.Address + " holds"
	}
	return ""
}

func (l *lower) admit(d *desk, ev RegisterIn) {
	l.follow(d, ev.Origin.Address, ev.Instance == "" || l.link.Instance == "")
	l.link.Instance, l.link.Version, l.link.Caps = ev.Instance, ev.Version, ev.Caps&ownCaps
	if !l.link.Caps.Has(CapUpperKeepalive) {
		l.beating, l.missed = 0, 0
	}
	if l.cfg.Name == "" && ev.Name != "" {
		l.link.Name = ev.Name
	}
	granted := min(ev.Expires, longestExpires)
	l.link.Expires = d.now.Add(granted)
	restarted := ev.Run != l.read.run && l.link.Caps.Has(CapPush)
	l.read.run = ev.Run
	switch {
	case l.link.State != LinkOnline:
		l.online(d)
	case restarted: // what it had to tell of its catalogue went with it
		l.read.anew(d.now.Add(d.jitter(firstQuery)))
	case d.now.Sub(l.read.asked) > catalogAge:
		l.read.want(d.now.Add(d.jitter(firstQuery)))
	}
	l.alive(d)
	d.do(ReplyRegister{Ref: ev.Ref, Expires: granted, Caps: l.link.Caps})
	d.do(SaveLink{l.link})
}

// follow takes a new address. Where two take turns, the first holds from the
// second change on.
func (l *lower) follow(d *desk, address string, standard bool) {
	old := l.link.Address
	if address == old {
		return
	}
	back := standard && address == l.former && d.now.Sub(l.moved) < flipFlop && l.link.State == LinkOnline
	if back {
		l.heldTill = d.now.Add(flipFlop)
		d.note(slog.LevelWarn, "peer address flip-flops", slog.String("peer", string(l.cfg.Code)),
			slog.String("holds", address), slog.String("refused", old))
	}
	l.link.Address, l.former, l.moved = address, old, d.now
}

func (l *lower) online(d *desk) {
	l.move(d, LinkOnline, "")
	l.beatAt = d.now.Add(l.cfg.KeepaliveEvery)
	l.read.want(d.now.Add(d.jitter(firstQuery)))
}

func (l *lower) alive(d *desk) {
	l.link.LastSeen = d.now
	if l.link.State == LinkOnline {
		l.silentAt = d.now.Add(l.cfg.silence())
	}
}

// deregister tells leaving from going down: only who leaves for good is
// forgotten, and only a negotiated peer may be told to wait (DEREG-602 to 606).
func (l *lower) deregister(d *desk, ev downRegister) {
	answer := ReplyRegister{Ref: ev.Ref, Caps: l.link.Caps}
	switch {
	case l.link.State == LinkIdle || l.other(ev.RegisterIn):
		// not stored here: success, and nothing changes
	case ev.Leaving && ev.Busy && !ev.Force && l.link.Caps.Has(CapRefuseLeave):
		answer.Err, answer.RetryAfter = ErrBusy, leaveRetry
	case ev.Leaving && l.link.Caps.Has(CapRefuseLeave):
		l.forget(d, "left")
	case l.cfg.Forget:
		l.forget(d, "deregistered")
	default:
		l.move(d, LinkOffline, "deregistered")
		l.link.Expires = time.Time{}
		d.do(SaveLink{l.link})
	}
	d.do(answer)
}

// other reports whether a deregistration is of somebody else with the same id
// than the one that is registered.
func (l *lower) other(ev RegisterIn) bool {
	if l.link.Instance != "" && ev.Instance != "" {
		return l.link.Instance != ev.Instance
	}
	return l.link.State == LinkOnline && host(ev.Origin.Address) != host(l.link.Address)
}

// beaten answers a heartbeat. From a stranger, or one who must register again,
// it is 403 and nothing more (KA-506). A negotiated peer that was offline must
// register again, for then it also ends what it still sends us; a standard one
// might not react, and is taken back while its registration lasts.
func (l *lower) beaten(d *desk, ev KeepaliveIn) {
	valid := l.link.State == LinkOnline ||
		l.link.State == LinkOffline && l.link.Caps == 0 && l.link.Expires.After(d.now)
	if !valid || !l.from(ev.Origin) {
		d.do(Reply{Ref: ev.Ref, Err: ErrDenied})
		return
	}
	if ev.Origin.Address != l.link.Address {
		l.follow(d, ev.Origin.Address, false)
		d.do(SaveLink{l.link})
	}
	if l.link.State != LinkOnline {
		l.online(d)
	}
	l.alive(d)
	d.do(Reply{Ref: ev.Ref})
}

// from reports whether a message can be of this lower: the transceiver vouches
// for it, or it comes from the host that registered (its port may have moved
// behind a NAT).
func (l *lower) from(o Origin) bool {
	return o.Proved || o.Address == l.link.Address || host(o.Address) != "" && host(o.Address) == host(l.link.Address)
}

func (l *lower) due(d *desk) {
	online := l.link.State == LinkOnline
	switch {
	case online && d.past(l.link.Expires):
		l.down(d, "registration expired")
	case d.past(l.silentAt):
		l.down(d, fmt.Sprintf("silent for %v", l.cfg.silence()))
	case online && d.past(l.beatAt):
		l.beat(d)
	}
}

// beat sends our keepalive to a negotiated lower (KA-501); a standard one is only
// probed, for many never answer that.
func (l *lower) beat(d *desk) {
	if l.beating != 0 && l.miss(d) {
		return
	}
	l.beatAt = d.now.Add(l.cfg.KeepaliveEvery)
	tag := d.ask(downAnswerWait{l})
	if !l.link.Caps.Has(CapUpperKeepalive) {
		d.do(Probe{Tag: tag, Peer: l.cfg.ref()})
		return
	}
	l.beating = tag
	d.do(Keepalive{Tag: tag, Peer: l.cfg.ref()})
}

// miss counts our outstanding keepalive as unanswered, once, whoever notices it
// first; it reports whether that was one too many (KA-507). Heartbeats that still
// arrive do not help: we cannot reach the lower.
func (l *lower) miss(d *desk) bool {
	l.beating = 0
	l.missed++
	if l.missed < l.cfg.KeepaliveMiss {
		return false
	}
	l.down(d, fmt.Sprintf("%d keepalives unanswered", l.missed))
	return true
}

// answered judges the answer to a keepalive or probe of ours. Only a negotiated
// lower's counts, either way, and only success is a sign of life (KA-508): who
// refuses it may not take us for its upper any more.
func (l *lower) answered(d *desk, ev Answered) {
	current := ev.Tag == l.beating && l.beating != 0
	switch {
	case ev.Status == 0 && current:
		l.miss(d)
		return
	case ev.Status == 0:
		return
	case current && ev.Status/100 == 2:
		l.missed = 0
		l.alive(d)
	}
	if current {
		l.beating = 0
	}
	l.link.LastSeen = d.now
}

// host returns the host of an address such as "udp:192.0.2.20:5060" or "192.0.2.20:5060".
func host(address string) string {
	if _, rest, ok := strings.Cut(address, ":"); ok && (strings.HasPrefix(address, "udp:") ||
		strings.HasPrefix(address, "tcp:") || strings.HasPrefix(address, "tls:")) {
		address = rest
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return address[:i]
	}
	return address
}

// numeric reports whether a host is an IP address, not a name.
func numeric(host string) bool {
	if strings.HasPrefix(host, "[") {
		return true
	}
	parts := strings.Split(host, ".")
	for _, part := range parts {
		if part == "" || len(part) > 3 || !digits(part) {
			return false
		}
	}
	return len(parts) == 4
}

// restricted reports whether a peer that is configured at one place may not
// speak from another. A host name restricts nothing: only the transceiver can
// resolve it.
func restricted(configured, address string) bool {
	h := host(configured)
	return numeric(h) && h != host(address)
}

func (l *lower) expired(p *Processor) { p.stepLower(l, downDue{}) }

type downAnswerWait struct{ l *lower }

func (w downAnswerWait) answered(p *Processor, ev Answered) { p.stepLower(w.l, downAnswer{ev}) }

// stepLower steps l and draws the consequences: with the link, its sessions end
// and its devices go off, at once and everywhere (KA-508).
func (p *Processor) stepLower(l *lower, ev any) {
	was := l.link.State
	l.step(&p.desk, ev)
	switch now := l.link.State; {
	case was != LinkOnline && now == LinkOnline:
		p.cat.online(l.cfg.Code, true)
		p.noteLink(&l.link, was)
		p.askInfo(l)
		p.recall(l)
	case was != now && now != LinkOnline:
		p.lowerGone(l)
		p.noteLink(&l.link, was)
	}
	p.followDue(l)
	p.readDue(l)
}

func (p *Processor) lowerGone(l *lower) {
	l.read.stop(&p.desk)
	p.cat.online(l.cfg.Code, false)
	p.dropReceivers(l.cfg.Code, fmt.Errorf("%s: %w", l.cfg.Code, ErrPeerOffline))
	p.dropAsksTo(l.cfg.Code)
	p.strand(l)
	p.dropDomes(func(d *dome) bool { return d.lower == l }, fmt.Errorf("%s: %w", l.cfg.Code, ErrPeerOffline))
	if l.link.State == LinkIdle {
		p.cat.drop(l.cfg.Code)
		l.astray = nil
		l.link.Channels, l.link.Catalog, l.saveAt = 0, time.Time{}, time.Time{}
		p.desk.do(SaveCatalog{Peer: l.cfg.Code})
		p.desk.note(slog.LevelInfo, "peer forgotten", slog.String("peer", string(l.cfg.Code)), slog.String("role", "lower"),
			slog.String("reason", l.link.Reason))
	}
	l.arm(&p.desk)
}
