package domain

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// A story is a sequence of events that nobody in his right mind would send, made from
// bytes, and what the processor must keep to all the same.
type story struct {
	t       *testing.T
	p       *Processor
	now     time.Time
	bytes   []byte
	refs    map[Ref]int
	invites map[Dialog]int
	tickets map[Ticket]int
	legs    map[LegID]bool // open
	next    uint64
}

func (s *story) take(n int) int {
	if len(s.bytes) == 0 {
		return 0
	}
	b := int(s.bytes[0])
	s.bytes = s.bytes[1:]
	return b % n
}

func (s *story) origin() Origin {
	from := []Code{above, below, other, stranger}[s.take(4)]
	return Origin{from, []string{"udp:10.0.0.1:5060", "udp:" + address(below), "udp:" + address(other), "junk"}[s.take(4)], s.take(2) == 0}
}

func (s *story) channel() Code {
	return []Code{Code(camA), Code(camB), Code(camOwn), self, below, Code(nvr)}[s.take(6)]
}

func (s *story) ref() Ref {
	s.next++
	s.refs[Ref(s.next)] = 0
	return Ref(s.next)
}

func (s *story) items() []Item {
	var items []Item
	for range s.take(4) {
		items = append(items, Item{ID: []NodeID{camA, camB, camOwn, nvr, group, organ, NodeID(self), NodeID(below), "33", ""}[s.take(10)],
			Parent: []NodeID{camA, nvr, group, NodeID(self), "0", "/"}[s.take(6)], Group: []NodeID{"", group, camB}[s.take(3)], Status: Status(s.take(2))})
	}
	return items
}

func (s *story) filter() RecordFilter { return RecordFilter{Indistinct: s.take(2) == 0} }

func (s *story) error() error { return []error{nil, ErrBusy, errors.New("broke")}[s.take(3)] }

func (s *story) pick() uint64 { return uint64(s.take(256)) % (s.p.desk.last + 2) }

func (s *story) event() Event {
	kind := Kind(s.take(4))
	switch s.take(26) {
	case 0:
		return RegisterIn{Ref: s.ref(), Origin: s.origin(), Expires: time.Duration(s.take(3)) * time.Minute, Instance: []string{"", "a", "b"}[s.take(3)], Run: []string{"", "1"}[s.take(2)],
			Caps: Capability(s.take(64)), Leaving: s.take(2) == 0, Force: s.take(3) == 0}
	case 1:
		return KeepaliveIn{Ref: s.ref(), Origin: s.origin()}
	case 2:
		return QueryIn{Ref: s.ref(), Origin: s.origin(), Kind: QueryKind(s.take(5)), SN: s.take(9), Target: NodeID(s.channel()),
			Filter: s.filter()}
	case 3:
		return CatalogIn{Ref: s.ref(), Origin: s.origin(), SN: s.take(20), Sum: s.take(5), Items: s.items(), Notify: s.take(2) == 0, Events: []ItemEvent{ItemEvent(s.take(8))}}
	case 4:
		return RecordsIn{Ref: s.ref(), Origin: s.origin(), SN: s.take(20), Sum: s.take(3), Records: make([]Recording, s.take(3))}
	case 5:
		return DeviceInfoIn{Ref: s.ref(), Origin: s.origin()}
	case 6, 7, 8:
		s.next++
		s.invites[Dialog(s.next)] = 0
		return InviteIn{Dialog: Dialog(s.next), Origin: s.origin(), Channel: s.channel(), Kind: kind, Stream: []string{"", "x"}[s.take(2)],
			Deadline: s.now.Add(time.Duration(s.take(30)-3) * time.Second)}
	case 9:
		return AckIn{Dialog(s.take(256))}
	case 10:
		if d := Dialog(s.take(256)); s.invites[d] == 0 {
			if _, known := s.invites[d]; known {
				s.invites[d]++ // the transceiver answers it
			}
			return CancelIn{d}
		}
		return Tick{}
	case 11:
		return ByeIn{Dialog: Dialog(s.take(256))}
	case 12:
		return MediaStatusIn{Ref: s.ref(), Dialog: Dialog(s.take(256)), Origin: s.origin(), Channel: s.channel()}
	case 13, 14:
		return Answered{Tag: Tag(s.pick()), Status: []int{0, 200, 200, 403, 486, 503}[s.take(6)], Expires: time.Duration(s.take(90)) * time.Minute, Caps: Capability(s.take(64))}
	case 15:
		return DevicesChanged{Items: s.items(), Removed: []NodeID{NodeID(s.channel())}}
	case 16:
		s.next++
		s.tickets[Ticket(s.next)] = 0
		return WatchIn{Ticket: Ticket(s.next), Channel: s.channel(), Kind: kind}
	case 17:
		s.next++
		s.tickets[Ticket(s.next)] = 0
		return RecordsAsked{Ticket: Ticket(s.next), Channel: s.channel(), Filter: s.filter()}
	case 20:
		return ControlIn{Ref: s.ref(), Dialog: Dialog(s.take(256)), Command: Command{Verb: Verb(s.take(3)), Scale: float64(s.take(5)) - 2}}
	case 18:
		return WatchOut{Ticket(s.take(256))}
	case 19:
		return s.parting()
	case 21:
		return s.subscription()
	case 22:
		return s.steering()
	}
	return s.media()
}

// steering is somebody who moves a camera, or a camera that answers.
func (s *story) steering() Event {
	p := PTZ{Action: PTZAction(s.take(19)), Pan: Axis{Dir(s.take(3) - 1), uint8(s.take(256))}, Number: uint8(s.take(3))}
	hold := time.Duration(s.take(5)-1) * 7 * time.Second
	switch s.take(4) {
	case 0:
		return Driven{Tag(s.pick()), s.error()}
	case 1:
		s.next++
		s.tickets[Ticket(s.next)] = 0
		return PTZAsked{Ticket(s.next), []string{"wang", "li"}[s.take(2)], s.channel(), p, uint8(s.take(3)), hold}
	}
	return PTZIn{Ref: s.ref(), Origin: s.origin(), Target: NodeID(s.channel()), Command: p, Rank: uint8(s.take(3)), Hold: hold}
}

// subscription is an upper that subscribes, or a lower that ends ours.
func (s *story) subscription() Event {
	if s.take(4) == 0 {
		return SubscriptionOver{[]Code{above, below, stranger}[s.take(3)], Dialog(s.pick()), time.Duration(s.take(90)) * time.Minute}
	}
	return SubscribeIn{Ref: s.ref(), Dialog: Dialog(s.take(4)), Origin: s.origin(), Again: s.take(2) == 0, Target: NodeID(s.channel()),
		Expires: time.Duration(s.take(20)-1) * time.Minute}
}

// parting is an operator who leaves an upper, or comes back.
func (s *story) parting() Event {
	s.next++
	ticket, peer := Ticket(s.next), []Code{above, above, below, stranger}[s.take(4)]
	s.tickets[ticket] = 0
	if s.take(3) == 0 {
		return JoinAsked{ticket, peer}
	}
	return LeaveAsked{ticket, peer, s.take(2) == 0, time.Duration(s.take(60)) * time.Second}
}

func (s *story) media() Event {
	leg := LegID(s.pick())
	switch s.take(6) {
	case 0:
		return ReceiverOpened{Leg: leg}
	case 1:
		return ReceiverReady{leg}
	case 2:
		return SenderOpened{Leg: leg}
	case 3:
		if s.legs[leg] {
			s.legs[leg] = false
			return MediaEnded{leg, s.error()}
		}
	case 4:
		return RecordsRead{Tag: Tag(leg), Records: make([]Recording, s.take(3)), Err: s.error()}
	}
	return Tick{}
}

// step steps and keeps the books.
func (s *story) step(ev Event) (idle bool) {
	for _, fx := range s.p.Step(s.now, ev) {
		switch fx := fx.(type) {
		case Reply:
			s.count(s.refs[fx.Ref], fx)
			s.refs[fx.Ref]++
		case ReplyRegister:
			s.count(s.refs[fx.Ref], fx)
			s.refs[fx.Ref]++
		case ReplySubscribe:
			s.count(s.refs[fx.Ref], fx)
			s.refs[fx.Ref]++
		case AnswerInvite:
			s.count(s.invites[fx.Dialog], fx)
			s.invites[fx.Dialog]++
		case RefuseInvite:
			s.count(s.invites[fx.Dialog], fx)
			s.invites[fx.Dialog]++
		case Opened:
			s.count(s.tickets[fx.Ticket], fx)
			s.tickets[fx.Ticket]++
		case Denied:
			s.count(s.tickets[fx.Ticket], fx)
			s.tickets[fx.Ticket]++
		case Done:
			s.count(s.tickets[fx.Ticket], fx)
			s.tickets[fx.Ticket]++
		case OpenReceiver:
			s.legs[fx.Leg] = true
		case OpenSender:
			s.legs[fx.Leg] = true
		case HoldReceiver:
			s.wantOpen(fx.Leg, fx)
		case ControlSender:
			s.wantOpen(fx.Leg, fx)
		case CloseLeg:
			if !s.legs[fx.Leg] {
				s.t.Fatalf("leg %d closed, which is not open", fx.Leg)
			}
			s.legs[fx.Leg] = false
		case Idle:
			idle = true
		}
	}
	return idle
}

func (s *story) wantOpen(leg LegID, fx Effect) {
	if !s.legs[leg] {
		s.t.Fatalf("%+v: the leg is not open", fx)
	}
}

func (s *story) count(before int, fx Effect) {
	if before != 0 {
		s.t.Fatalf("%T: answered before: %+v", fx, fx)
	}
}

// FuzzStep: no events in any order make the processor panic, answer twice, not answer a
// request, close a leg twice or keep one beyond the end.
func FuzzStep(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x01\x01\x00\x02\x02\x00\x01\x01\x01\x00\x03\x01\x01\x00\x01\x02\x01"))
	f.Add([]byte("\x00\x00\x13\x00\x01\x01\x05\x09\x00\x0e\x01\x03\x00\x00\x09\x00\x13\x00\x01\x00\x05\x09\x00\x01\x00\x00\x00\x09\x00\x13\x01\x00"))
	f.Add([]byte("\x00\x00\x15\x01\x01\x00\x00\x00\x01\x00\x09\x01\x00\x03\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x15\x01\x01\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		b := twoLowers(t, State{}, func(c *Config) { c.MaxSessions, c.Peers[0].Rank = 6, 50 })
		b.step(DevicesChanged{Items: []Item{cam(camOwn, "")}})
		b.notify(below, ItemAdded, cam(camA, nvr), cam(camB, ""))
		s := &story{t: t, p: b.p, now: b.now, bytes: in, refs: make(map[Ref]int), invites: make(map[Dialog]int),
			tickets: make(map[Ticket]int), legs: make(map[LegID]bool), next: 10}
		for leg := range b.p.calls.receivers {
			s.legs[leg] = true
		}
		for len(s.bytes) > 0 {
			s.now = s.now.Add(time.Duration(s.take(200)) * 100 * time.Millisecond)
			s.step(s.event())
		}
		s.end()
	})
}

// end stops the processor and answers what is open.
func (s *story) end() {
	idle := s.step(Stop{})
	for i := 0; !idle && i < 10_000; i++ {
		for _, tag := range slices.Sorted(maps.Keys(s.p.desk.tags)) {
			idle = s.step(Answered{Tag: tag, Status: 200}) || idle
		}
		s.now = s.now.Add(time.Minute)
		idle = s.step(Tick{}) || idle
	}
	left := fmt.Sprint(s.p.Sessions())
	if len(s.p.domes) > 0 {
		left += fmt.Sprintf(" %d domes", len(s.p.domes))
	}
	for leg, open := range s.legs {
		if open {
			left += fmt.Sprintf(" leg %d", leg)
		}
	}
	for ref, n := range s.refs {
		if n != 1 {
			left += fmt.Sprintf(" ref %d answered %d times", ref, n)
		}
	}
	for dialog, n := range s.invites {
		if n != 1 {
			left += fmt.Sprintf(" INVITE %d answered %d times", dialog, n)
		}
	}
	if !idle || left != "[]" {
		s.t.Fatalf("idle %v, left %s", idle, left)
	}
}
