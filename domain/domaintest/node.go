package domaintest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"districtgateway/domain"
)

const (
	pageItems   = 20
	pageRecords = 25
)

// A Node is one domain of a network.
type Node struct {
	Code    domain.Code
	Config  domain.Config
	Archive func(domain.FindRecords) ([]domain.Recording, error) // nil: nothing was recorded
	Keep    bool                                                 // keep Effects
	Plain   bool                                                 // a standard peer: it announces no extension
	Deaf    *int                                                 // answers SUBSCRIBE with this status by itself; 0: never
	Heads   map[domain.Code]*Head                                // of the node's cameras that were driven

	net     *Network
	address string
	core    *domain.Processor
	life    int // counts starts and crashes
	devices []domain.Item
	store   domain.State
	last    uint64
	memory
}

// A memory is what a domain loses when it crashes.
type memory struct {
	Effects []domain.Effect // everything it did since it last started
	Count   map[string]int  // of effects, by type

	refs    map[domain.Ref]*request
	dialogs map[domain.Dialog]*call
	legs    map[domain.LegID]*leg
	tickets map[domain.Ticket]*Ticket
	subs    map[domain.Dialog]*subscription
	asking  map[domain.Ref]*subscription // SUBSCRIBE not answered yet
}

// A Ticket is a local user's request and what became of it.
type Ticket struct {
	ID      domain.Ticket
	Answers int
	Source  domain.LegID
	Open    bool
	Ends    int
	Err     error // of Denied or Ended
	Records []domain.Recording
	Partial bool
	Owner   domain.Code
	Left    bool
	At      time.Time // of the answer
}

func (node *Node) forget() {
	node.refs, node.dialogs = make(map[domain.Ref]*request), make(map[domain.Dialog]*call)
	node.legs, node.tickets = make(map[domain.LegID]*leg), make(map[domain.Ticket]*Ticket)
	node.subs, node.asking = make(map[domain.Dialog]*subscription), make(map[domain.Ref]*subscription)
	node.Effects, node.Count = nil, make(map[string]int)
}

// Start starts the domain, or starts it again with what it had made durable.
func (node *Node) Start() {
	core, err := domain.NewProcessor(node.Config, node.store)
	if err != nil {
		node.net.violation("%s: %v", node.Code, err)
		return
	}
	node.forget()
	node.life++
	node.core = core
	node.step(domain.Start{})
	if node.devices != nil {
		node.step(domain.DevicesChanged{Items: node.devices})
	}
}

// Crash ends the domain without a word.
func (node *Node) Crash() {
	node.life++
	node.core = nil
	node.forget()
}

// Core returns the processor.
func (node *Node) Core() *domain.Processor { return node.core }

// Step tells the processor something.
func (node *Node) Step(ev domain.Event) { node.step(ev) }

// Devices sets the domain's own devices.
func (node *Node) Devices(items ...domain.Item) {
	node.devices = items
	if node.core != nil {
		node.step(domain.DevicesChanged{Items: items})
	}
}

// Watch asks for a channel.
func (node *Node) Watch(channel domain.Code, kind domain.Kind, in domain.Range) *Ticket {
	t := node.ticket()
	node.step(domain.WatchIn{Ticket: t.ID, Channel: channel, Kind: kind, Range: in})
	return t
}

// Control sends a command in the first dialog that the node began and that lives, as an
// upper of another make would. The answer is told when it has come; until then its
// status is -1.
func (node *Node) Control(c domain.Command) *domain.Answered {
	got := &domain.Answered{Status: -1}
	for _, dialog := range slices.Sorted(maps.Keys(node.dialogs)) {
		if call := node.dialogs[dialog]; call.a == node && !call.closed[0] {
			call.info(domain.Control{Command: c}, func(ev domain.Answered) { *got = ev })
			return got
		}
	}
	got.Status = 481
	return got
}

// Leave ends a watch.
func (node *Node) Leave(t *Ticket) {
	t.Left = true
	node.step(domain.WatchOut{Ticket: t.ID})
}

// Records asks for recordings.
func (node *Node) Records(channel domain.Code, in domain.Range) *Ticket {
	t := node.ticket()
	node.step(domain.RecordsAsked{Ticket: t.ID, Channel: channel, Range: in})
	return t
}

// LeaveUpper asks to leave an upper for good.
func (node *Node) LeaveUpper(upper domain.Code, force bool, patience time.Duration) *Ticket {
	t := node.ticket()
	node.step(domain.LeaveAsked{Ticket: t.ID, Peer: upper, Force: force, For: patience})
	return t
}

// JoinUpper asks to register with an upper, left or not.
func (node *Node) JoinUpper(upper domain.Code) *Ticket {
	t := node.ticket()
	node.step(domain.JoinAsked{Ticket: t.ID, Peer: upper})
	return t
}

// Tombstones returns what is durable of the uppers that were left.
func (node *Node) Tombstones() []domain.Tombstone { return node.store.Tombstones }

// Filtered asks for some of the recordings.
func (node *Node) Filtered(channel domain.Code, in domain.Range, f domain.RecordFilter) *Ticket {
	t := node.ticket()
	node.step(domain.RecordsAsked{Ticket: t.ID, Channel: channel, Range: in, Filter: f})
	return t
}

func (node *Node) ticket() *Ticket {
	node.last++
	t := &Ticket{ID: domain.Ticket(node.last)}
	node.tickets[t.ID] = t
	return t
}

// Link returns the link to a peer.
func (node *Node) Link(peer domain.Code, role domain.Role) domain.Link {
	for _, l := range node.core.Links() {
		if l.Peer == peer && l.Role == role {
			return l
		}
	}
	return domain.Link{}
}

func (node *Node) origin() domain.Origin {
	return domain.Origin{From: node.Code, Address: "udp:" + node.address}
}

// step steps the processor and performs its effects.
func (node *Node) step(ev domain.Event) {
	if node.core == nil {
		return
	}
	life := node.life
	for _, fx := range node.core.Step(node.net.Now, ev) {
		if node.Keep {
			node.Effects = append(node.Effects, fx)
		}
		node.Count[fmt.Sprintf("%T", fx)[len("domain."):]]++
		if node.life == life {
			node.perform(fx)
		}
	}
}

func (node *Node) perform(fx domain.Effect) {
	switch fx := fx.(type) {
	case domain.Invite:
		node.net.invite(node, node.net.nodes[fx.Peer.Code], fx)
	case domain.Cancel:
		if c := node.dialogs[domain.Dialog(fx.Invite)]; c != nil {
			c.cancel()
		}
	case domain.Bye:
		node.inDialog(fx.Dialog, fx, func(c *call) { c.bye(node, fx) })
	case domain.SendMediaStatus:
		node.inDialog(fx.Dialog, fx, func(c *call) { node.mediaStatus(c, fx) })
	case domain.Control:
		node.inDialog(fx.Dialog, fx, func(c *call) { c.info(fx, func(ev domain.Answered) { ev.Tag = fx.Tag; node.step(ev) }) })
	case domain.AnswerInvite:
		node.inDialog(fx.Dialog, fx, func(c *call) {
			c.answered(domain.Answered{Status: 200, Reason: "OK", Answer: fx.Answer, Camera: fx.Camera, Monitor: fx.Monitor})
		})
	case domain.RefuseInvite:
		node.inDialog(fx.Dialog, fx, func(c *call) { c.answered(status(node.Code, fx.Err)) })
	case domain.Reply:
		node.answer(fx.Ref, status(node.Code, fx.Err))
	case domain.ReplyRegister:
		ev := status(node.Code, fx.Err)
		ev.Expires, ev.Caps, ev.RetryAfter, ev.Version = fx.Expires, fx.Caps, fx.RetryAfter, domain.Version2022
		node.answer(fx.Ref, ev)
	case domain.ReplySubscribe:
		node.replySubscribe(fx)
	case domain.Opened, domain.Denied, domain.Ended, domain.RecordsFound, domain.Done:
		node.tell(fx)
	case domain.SaveLink, domain.ForgetLink, domain.SaveCatalog, domain.SaveTombstone, domain.ForgetTombstone:
		node.save(fx)
	case domain.FindRecords:
		node.find(fx)
	case domain.DrivePTZ:
		node.drive(fx)
	case domain.OpenReceiver, domain.ConnectReceiver, domain.OpenSender, domain.StartSender, domain.CloseLeg,
		domain.HoldReceiver, domain.ControlSender, domain.WantKeyFrame:
		node.media(fx)
	default:
		node.message(fx)
	}
}

func (node *Node) inDialog(dialog domain.Dialog, fx domain.Effect, do func(*call)) {
	c := node.dialogs[dialog]
	if c == nil {
		node.net.violation("%s: %T for an unknown dialog %d", node.Code, fx, dialog)
		return
	}
	do(c)
}

// ref names a request to this node; nil r: one whose answer nobody hears.
func (node *Node) ref(r *request) domain.Ref {
	node.last++
	node.refs[domain.Ref(node.last)] = r
	return domain.Ref(node.last)
}

func (node *Node) answer(ref domain.Ref, ev domain.Answered) {
	r, known := node.refs[ref]
	delete(node.refs, ref)
	switch {
	case !known:
		node.net.violation("%s: answer to unknown request %d", node.Code, ref)
	case r != nil:
		r.answered(ev)
	}
}

func (node *Node) newDialog(c *call) domain.Dialog {
	node.last++
	dialog := domain.Dialog(node.last | 1<<63)
	node.dialogs[dialog] = c
	return dialog
}

// to sends a request to a peer; event makes what the peer is told.
func (node *Node) to(peer domain.Code, tag domain.Tag, event func(domain.Ref, domain.Origin) domain.Event) {
	node.via(peer, event, func(ev domain.Answered) { ev.Tag = tag; node.step(ev) })
}

func (node *Node) via(peer domain.Code, event func(domain.Ref, domain.Origin) domain.Event, done func(domain.Answered)) {
	to, from := node.net.nodes[peer], node.origin()
	node.net.send(node, to, request{done: done, twice: true,
		deliver: func(ref domain.Ref) { to.step(event(ref, from)) }})
}

func (node *Node) message(fx domain.Effect) {
	switch fx := fx.(type) {
	case domain.Register:
		if node.Plain {
			fx.Caps = 0
		}
		node.to(fx.Peer, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			o.Proved = true
			return domain.RegisterIn{Ref: ref, Origin: o, Expires: fx.Expires, Caps: node.net.caps(node.Code, fx.Peer, fx.Caps), Leaving: fx.Leaving,
				Force: fx.Force, Instance: node.Config.Instance, Run: fmt.Sprint(node.life), Name: node.Config.Name, Version: domain.Version2022}
		})
	case domain.Keepalive:
		node.to(fx.Peer.Code, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			return domain.KeepaliveIn{Ref: ref, Origin: o}
		})
	case domain.Probe:
		to, from := node.net.nodes[fx.Peer.Code], node.origin()
		node.net.send(node, to, request{done: func(ev domain.Answered) { ev.Tag = fx.Tag; node.step(ev) },
			deliver: func(ref domain.Ref) {
				to.answer(ref, domain.Answered{Status: 200})
				to.step(domain.OptionsIn{Origin: from})
			}})
	case domain.Query:
		node.to(fx.Peer.Code, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			return domain.QueryIn{Ref: ref, Origin: o, Kind: fx.Kind, SN: fx.SN, Target: fx.Target, Range: fx.Range,
				Filter: fx.Filter, Asker: fx.Asker}
		})
	case domain.AskKeyFrame:
		node.to(fx.Peer.Code, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			return domain.KeyFrameIn{Ref: ref, Origin: o, Target: domain.NodeID(fx.Channel)}
		})
	case domain.AskPTZ:
		node.to(fx.Peer.Code, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			return domain.PTZIn{Ref: ref, Origin: o, Target: domain.NodeID(fx.Channel), Command: fx.Command, Rank: fx.Rank, Asker: fx.Asker, Hold: fx.Hold}
		})
	case domain.SendInfo:
		node.to(fx.Peer.Code, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			return domain.DeviceInfoIn{Ref: ref, Origin: o, SN: fx.SN, Info: fx.Info}
		})
	case domain.SendState:
		node.to(fx.Peer.Code, fx.Tag, func(ref domain.Ref, o domain.Origin) domain.Event {
			return domain.DeviceStatusIn{Ref: ref, Origin: o, SN: fx.SN, State: fx.State}
		})
	case domain.SendChanges:
		node.changes(fx)
	case domain.Subscribe:
		node.subscribe(fx)
	case domain.EndSubscription:
		node.endSubscription(fx)
	case domain.SendCatalog:
		node.pages(fx.Peer.Code, len(fx.Items), pageItems, paged{fx.Tag, func(ref domain.Ref, o domain.Origin, i, j int) domain.Event {
			return domain.CatalogIn{Ref: ref, Origin: o, SN: fx.SN, Sum: len(fx.Items), Items: fx.Items[i:j]}
		}})
	case domain.SendRecords:
		node.pages(fx.Peer.Code, len(fx.Records), pageRecords, paged{fx.Tag, func(ref domain.Ref, o domain.Origin, i, j int) domain.Event {
			return domain.RecordsIn{Ref: ref, Origin: o, SN: fx.SN, Sum: fx.Sum, Channel: fx.Channel,
				Records: fx.Records[i:j], Asker: fx.Asker, Owner: fx.Owner}
		}})
	}
}

// pages sends one page after the other; a page that is lost does not stop the next.
func (node *Node) pages(peer domain.Code, total, size int, p paged) {
	var next func(i int)
	next = func(i int) {
		j := min(i+size, total)
		node.via(peer, func(ref domain.Ref, o domain.Origin) domain.Event { return p.event(ref, o, i, j) },
			func(ev domain.Answered) {
				if j < total {
					next(j)
					return
				}
				ev.Tag = p.tag
				node.step(ev)
			})
	}
	next(0)
}

// A paged answer makes the event of each page, with what is from i to before j.
type paged struct {
	tag   domain.Tag
	event func(ref domain.Ref, o domain.Origin, i, j int) domain.Event
}

func (node *Node) mediaStatus(c *call, fx domain.SendMediaStatus) {
	to, dialog := c.a, domain.Dialog(c.tag)
	from := node.origin()
	node.net.send(node, to, request{twice: true, done: func(ev domain.Answered) { ev.Tag = fx.Tag; node.step(ev) },
		deliver: func(ref domain.Ref) {
			to.step(domain.MediaStatusIn{Ref: ref, Dialog: dialog, Origin: from, Channel: fx.Channel})
		}})
}

func (node *Node) find(fx domain.FindRecords) {
	life := node.life
	node.net.after(10*time.Millisecond, func() {
		if node.life != life {
			return
		}
		ev := domain.RecordsRead{Tag: fx.Tag}
		if node.Archive != nil {
			ev.Records, ev.Err = node.Archive(fx)
		}
		node.step(ev)
	})
}

// tell notes what a user was told, and whether that was his to be told.
func (node *Node) tell(fx domain.Effect) {
	get := func(id domain.Ticket) *Ticket {
		t := node.tickets[id]
		if t == nil || t.Left {
			node.net.violation("%s: %T for ticket %d, which is not asking", node.Code, fx, id)
			return &Ticket{}
		}
		return t
	}
	switch fx := fx.(type) {
	case domain.Opened:
		t := get(fx.Ticket)
		t.Answers, t.Open, t.Source, t.At = t.Answers+1, true, fx.Source, node.net.Now
	case domain.Denied:
		t := get(fx.Ticket)
		t.Answers, t.Err, t.At = t.Answers+1, fx.Err, node.net.Now
	case domain.Done:
		t := get(fx.Ticket)
		t.Answers, t.At = t.Answers+1, node.net.Now
	case domain.Ended:
		t := get(fx.Ticket)
		if t.Ends++; !t.Open {
			node.net.violation("%s: ticket %d ended before it was opened", node.Code, fx.Ticket)
		}
		t.Open, t.Err = false, fx.Err
	case domain.RecordsFound:
		t := get(fx.Ticket)
		t.Answers, t.Records, t.Partial, t.Owner, t.At = t.Answers+1, fx.Records, fx.Partial, fx.Owner, node.net.Now
	}
}

// save keeps what must survive a restart.
func (node *Node) save(fx domain.Effect) {
	drop := func(ref domain.PeerRef) {
		node.store.Links = slices.DeleteFunc(node.store.Links, func(l domain.Link) bool {
			return l.Peer == ref.Code && l.Role == ref.Role
		})
	}
	switch fx := fx.(type) {
	case domain.SaveLink:
		drop(domain.PeerRef{Code: fx.Link.Peer, Role: fx.Link.Role})
		node.store.Links = append(node.store.Links, fx.Link)
	case domain.ForgetLink:
		drop(fx.Peer)
	case domain.SaveCatalog:
		node.store.Catalogs[fx.Peer] = slices.Clone(fx.Items)
	case domain.SaveTombstone:
		node.unbury(fx.Tombstone.Peer)
		node.store.Tombstones = append(node.store.Tombstones, fx.Tombstone)
	case domain.ForgetTombstone:
		node.unbury(fx.Peer)
	}
}

func (node *Node) unbury(peer domain.Code) {
	node.store.Tombstones = slices.DeleteFunc(node.store.Tombstones, func(t domain.Tombstone) bool { return t.Peer == peer })
}

// leftovers returns what should not be there when everything has ended.
func (node *Node) leftovers() []string {
	var left []string
	if node.core != nil {
		for _, s := range node.core.Sessions() {
			left = append(left, fmt.Sprintf("%s: session left: %+v", node.Code, s))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(node.legs)) {
		if l := node.legs[id]; l.open {
			left = append(left, fmt.Sprintf("%s: leg %d left open", node.Code, id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(node.tickets)) {
		if t := node.tickets[id]; t.Answers > 1 || t.Answers == 0 && !t.Left || t.Ends > 1 {
			left = append(left, fmt.Sprintf("%s: ticket %d answered %d times, ended %d", node.Code, id, t.Answers, t.Ends))
		}
	}
	for ref, r := range node.refs {
		if r != nil {
			left = append(left, fmt.Sprintf("%s: request %d of %s never answered", node.Code, ref, r.a.Code))
		}
	}
	return left
}
