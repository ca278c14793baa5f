package sip

import (
	"context"
	"errors"
	"strconv"
	"time"

	stack "github.com/emiago/sipgo/sip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

const (
	mostHold    = 10 * time.Minute // that a camera may be kept from others
	letGo       = "-1"             // in headerHold: it is kept no longer
	suspectRate = 0.1              // notes a second of suspect commands of one peer
)

// ptzIn reads a command to a camera that moves. One whose sum or combination code is
// wrong is carried out: many senders compute them wrongly.
func (t *Transceiver) ptzIn(r *request, m *manscdp.DeviceControl, hex string) (func(domain.Ref) domain.Event, error) {
	command, suspect, err := manscdp.ParsePTZ(hex)
	if err != nil {
		return nil, err
	}
	if suspect && r.origin.Proved && t.gate.suspects.allow(time.Now(), r.origin.From) {
		t.log.Warn("camera command had a wrong sum or combination code", "peer", string(r.origin.From),
			"channel", m.DeviceID, "reason", hex)
	}
	rank, hold := rankOf(m.Priority), parseHold(header(r, headerHold))
	asker := clean(header(r, headerAsker), mostAsker)
	return answerIn(m.Header(), func(ref domain.Ref, _ int, id domain.NodeID) domain.Event {
		return domain.PTZIn{Ref: ref, Origin: r.origin, Target: id, Command: command, Rank: rank, Asker: asker, Hold: hold}
	})
}

// rankOf reads a ControlPriority, which has no bounds in any edition.
func rankOf(p manscdp.Opt[int]) uint8 { return uint8(min(max(p.Or(0), 0), 255)) }

// parseHold reads for how long a camera is kept from others; what cannot be used is as
// if it had not been told.
func parseHold(s string) time.Duration {
	if s == letGo {
		return -time.Second
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(n, uint64(mostHold/time.Second))) * time.Second
}

// formatHold writes it; empty: nothing to tell.
func formatHold(d time.Duration) string {
	switch {
	case d < 0:
		return letGo
	case d > 0:
		return wholeSeconds(min(d, mostHold))
	}
	return ""
}

// askPTZ moves a camera of a lower, and returns the work of waiting for the answer: the
// command has left by then, so that what stops a camera does not overtake what moved it.
// A lower is reached without waiting; before Run listens, and towards any other, the
// command is part of the work.
func (t *Transceiver) askPTZ(fx domain.AskPTZ) func(context.Context) domain.Answered {
	m, more := ptzOrder(fx), func(req *stack.Request) {
		tell(req, headerAsker, clean(fx.Asker, mostAsker))
		tell(req, headerHold, formatHold(fx.Hold))
	}
	ctx, running := t.begin()
	if !running {
		return t.single(fx.Tag, fx.Peer, m, more)
	}
	defer t.state.group.Done()
	if !t.listening() || fx.Peer.Role != domain.Lower {
		return t.single(fx.Tag, fx.Peer, m, more)
	}
	tx, err := t.emitMessage(ctx, fx.Peer, m, more)
	return func(ctx context.Context) domain.Answered {
		if err != nil {
			return answered(fx.Tag, fx.Peer.Code, nil, err)
		}
		res, err := outcome(ctx, tx)
		return answered(fx.Tag, fx.Peer.Code, res, err)
	}
}

// emitMessage emits one MESSAGE.
func (t *Transceiver) emitMessage(ctx context.Context, to domain.PeerRef, m manscdp.Message, more func(*stack.Request)) (*stack.ClientTx, error) {
	n, err := t.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	build, err := t.letter(n, m, more)
	if err != nil {
		return nil, err
	}
	return t.emit(ctx, build())
}

// ptzOrder is a DeviceControl that no response answers. ControlPriority is of no
// edition, and passed over by who does not know it.
func ptzOrder(fx domain.AskPTZ) manscdp.Message {
	m := &manscdp.DeviceControl{Head: manscdp.Head{SN: formatSN(fx.SN), DeviceID: string(fx.Channel)},
		Command: &manscdp.PTZCommand{Hex: manscdp.FormatPTZ(fx.Command)}}
	if fx.Rank > 0 {
		m.Priority = manscdp.Some(int(fx.Rank))
	}
	return m
}
