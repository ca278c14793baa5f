package domain

import "time"

// An Event is something that happened, told to [Processor.Step]. Events are
// values; what they refer to outside the core is named by opaque numbers:
//
//   - a Ref names a request received, until it was replied to;
//   - a Tag names a request we sent, chosen by the processor, until it was answered;
//   - a Dialog names an agreed exchange (INVITE, SUBSCRIBE) with a peer, chosen by the
//     transceiver for one received and equal to the request's Tag for one sent;
//   - a Leg names one end of media, chosen by the processor;
//   - a Ticket names a request of a local user, chosen by who asks.
type Event interface{ event() }

// The opaque numbers; see [Event].
type (
	Ref    uint64
	Tag    uint64
	Dialog uint64
	LegID  uint64
	Ticket uint64
)

// Origin is what is known of who sent a message.
type Origin struct {
	From    Code   // user part of From, syntactically valid
	Address string // transport address it came from, "udp:192.0.2.20:5060"
	Proved  bool   // digest credentials verified (REGISTER), or comes from where an authenticated peer is registered
}

// Tick tells that the instant returned by [Processor.Due] has come.
type Tick struct{}

// Start asks the processor to begin: links are registered, nothing happened yet.
type Start struct{}

// Stop asks it to deregister from its uppers and end all sessions; Idle is
// among the effects of a later step when that is done.
type Stop struct{}

// Events from peers.
type (
	// RegisterIn: a lower registers, refreshes or (Expires 0) deregisters. Its
	// credentials were verified by the transceiver, which answers 401 and 403 itself.
	RegisterIn struct {
		Ref      Ref
		Origin   Origin
		Expires  time.Duration
		Name     string // its domain name in words, if it told one
		Instance string // instance id (negotiated peers); empty for standard ones
		Run      string // tells one run of the lower from the next; empty: not known
		Version  Version
		Caps     Capability
		Leaving  bool // negotiated: deregisters for good
		Force    bool // negotiated: operator insists
	}
	// KeepaliveIn: MESSAGE Notify Keepalive, from either direction.
	KeepaliveIn struct {
		Ref    Ref
		Origin Origin
		Fault  bool     // Status is ERROR
		Faulty []NodeID // devices it reports as faulty
	}
	// QueryIn: a peer asks for something of Target.
	QueryIn struct {
		Ref    Ref
		Origin Origin
		Kind   QueryKind
		SN     int
		Target NodeID
		Range  Range        // these three RecordInfo only
		Filter RecordFilter //
		Asker  string       // negotiated: who asked first, as Party.ID
	}
	// CatalogIn: one page of a catalogue that we asked for (Notify false), or changes (Notify true).
	CatalogIn struct {
		Ref    Ref
		Origin Origin
		SN     int
		Sum    int
		Items  []Item
		Notify bool
		Events []ItemEvent // Notify only: one per item
	}
	// SubscribeIn: an upper subscribes to the changes of Target, refreshes that (Again)
	// or cancels it (Expires 0). Answered by ReplySubscribe.
	SubscribeIn struct {
		Ref     Ref
		Dialog  Dialog
		Origin  Origin
		Again   bool   // within a dialog
		Target  NodeID // empty: everything
		Expires time.Duration
	}
	// SubscriptionOver: a lower ended our subscription (Subscription-State: terminated).
	// It was answered already.
	SubscriptionOver struct {
		Peer       Code
		Dialog     Dialog
		RetryAfter time.Duration // not to be asked again before; 0: it did not say
	}
	// RecordsIn: one page of recordings that we asked for.
	RecordsIn struct {
		Ref     Ref
		Origin  Origin
		SN      int
		Sum     int
		Channel Code
		Records []Recording
		Asker   string // negotiated: who asked first
		Owner   Code   // negotiated: whose data manager answered
	}
	// DeviceInfoIn and DeviceStatusIn answer our queries.
	DeviceInfoIn struct {
		Ref    Ref
		Origin Origin
		SN     int
		Info   DeviceInfo
	}
	DeviceStatusIn struct {
		Ref    Ref
		Origin Origin
		SN     int
		State  DeviceState
	}
	// InviteIn: an upper asks for media. It is not answered finally until AnswerInvite or RefuseInvite.
	InviteIn struct {
		Dialog   Dialog
		Origin   Origin
		Channel  Code
		Kind     Kind
		Profile  uint8 // stream number: 0 main, 1 sub
		Range    Range // Playback, Download
		Speed    int   // Download: multiple of real time asked for; 0 or 1: real time
		Offer    Endpoint
		Deadline time.Time // when the caller gives up; zero if it did not say
		Stream   string    // sender id and stream number of the Subject: the same value again replaces the older session
		Monitor  Party     // negotiated: where it is shown
	}
	// AckIn: the caller confirmed our answer; media may flow.
	AckIn struct{ Dialog Dialog }
	// CancelIn: the caller gave up before our answer. It needs no reply.
	CancelIn struct{ Dialog Dialog }
	// ByeIn: the other end ended the dialog, whoever began it. It was answered already.
	ByeIn struct {
		Dialog Dialog
		Reason string
	}
	// ControlIn: an upper controls the playback of a dialog that it began. It is
	// answered by Reply.
	ControlIn struct {
		Ref      Ref
		Dialog   Dialog
		Command  Command
		Deadline time.Time // when the caller gives up; zero if it did not say
	}
	// KeyFrameIn: an upper asks for a key frame of Target (IFrameCmd). It is answered by
	// Reply, and by nothing else.
	KeyFrameIn struct {
		Ref    Ref
		Origin Origin
		Target NodeID
	}
	// PTZIn: an upper moves the camera of Target (PTZCmd). It is answered by Reply, once
	// whoever owns the camera has answered.
	PTZIn struct {
		Ref     Ref
		Origin  Origin
		Target  NodeID
		Command PTZ
		Rank    uint8         // negotiated: among the users of that upper; 0: not stated
		Asker   string        // negotiated: who asked first; "": the upper itself
		Hold    time.Duration // negotiated: nobody of the same rank may for so long; below 0: it is let go
	}
	// MediaStatusIn: the sender has sent everything (NotifyType 121).
	MediaStatusIn struct {
		Ref     Ref
		Dialog  Dialog // 0 if it came outside of a known dialog
		Origin  Origin
		Channel Code
	}
	// OptionsIn: a peer probes us. The transceiver answered it.
	OptionsIn struct{ Origin Origin }
	// Answered is the final answer to a request we sent, or its absence.
	Answered struct {
		Tag        Tag
		Status     int    // SIP status; 0: no answer within the transaction's time, or it could not be sent
		Reason     string // words with it
		Level      Code   // who refused, when the answer names it
		RetryAfter time.Duration
		Expires    time.Duration // REGISTER, SUBSCRIBE: granted
		Version    Version       // REGISTER
		Caps       Capability    // REGISTER: what both can
		Answer     Endpoint      // INVITE 200
		Camera     Party         // INVITE 200, negotiated
		Monitor    Party         // INVITE 200, negotiated: as asked for
	}
)

// Events from our own devices, users and media.
type (
	// DevicesChanged replaces what we know of our own devices and channels.
	// Items absent from it that were known become Off unless Removed says they are gone.
	DevicesChanged struct {
		Items   []Item
		Removed []NodeID
	}
	// WatchIn: a local user asks for a channel, live or recorded. Answered by
	// Opened or Denied with its Ticket; once opened, by Ended when it ends.
	WatchIn struct {
		Ticket  Ticket
		Channel Code
		Kind    Kind
		Profile uint8
		Range   Range
		Speed   int
	}
	// WatchOut: the user of a WatchIn, RecordsAsked, LeaveAsked or JoinAsked has enough.
	// It gets no answer, and the ticket no other; leaving and registering go on.
	WatchOut struct{ Ticket Ticket }
	// LeaveAsked: an operator wants to leave an upper for good (DEREG-601). It is tried
	// for as long as For (0: 5 min), and answered by Done or Denied. Force: leave
	// whatever the upper answers.
	LeaveAsked struct {
		Ticket Ticket
		Peer   Code
		Force  bool
		For    time.Duration
	}
	// JoinAsked: an operator wants to register with an upper, also with one that was
	// left. Answered by Done once it accepted, or by Denied; then it is tried again.
	JoinAsked struct {
		Ticket Ticket
		Peer   Code
	}
	// RecordsAsked: a local user asks for recordings. Answered by RecordsFound.
	RecordsAsked struct {
		Ticket  Ticket
		Channel Code
		Range   Range
		Filter  RecordFilter
	}
	// PTZAsked: a local user moves a camera, or (a Hold and no more than a stop) reserves it. A movement ends
	// 1.5 s after it was last asked for. Answered by Done or Denied.
	PTZAsked struct {
		Ticket  Ticket
		User    string // who; what one user holds another may not move
		Channel Code
		Command PTZ
		Rank    uint8         // among the users of this level
		Hold    time.Duration // nobody of the same rank may for so long, 10 min at most; below 0: it is let go
	}
	// Driven answers DrivePTZ.
	Driven struct {
		Tag Tag
		Err error
	}
	// RecordsRead: the archive's answer to FindRecords.
	RecordsRead struct {
		Tag     Tag
		Records []Recording
		Err     error
	}
	// RefreshAsked: a local user wants a lower's catalogue read again.
	RefreshAsked struct{ Peer Code }
	// ReceiverOpened answers OpenReceiver: where we will receive.
	ReceiverOpened struct {
		Leg   LegID
		Offer Endpoint
	}
	// ReceiverReady: the first picture is in; consumers can start.
	ReceiverReady struct{ Leg LegID }
	// SenderOpened answers OpenSender: from where we will send, once started.
	SenderOpened struct {
		Leg    LegID
		Answer Endpoint
	}
	// KeyFrameWanted: who watches what a receiving leg receives waits for a key frame.
	KeyFrameWanted struct{ Leg LegID }
	// MediaEnded: a leg failed to open, broke, or (Err nil) has sent everything.
	// Its resources are released already.
	MediaEnded struct {
		Leg LegID
		Err error
	}
)

// A Kind is the kind of a session.
type Kind uint8

// The kinds of session.
const (
	Live Kind = iota
	Playback
	Download
	Talk
)

func (k Kind) String() string { return [...]string{"live", "playback", "download", "talk"}[k%4] }

// A QueryKind is what a query asks for.
type QueryKind uint8

// The queries the processor answers and asks.
const (
	QueryCatalog QueryKind = iota
	QueryDeviceInfo
	QueryDeviceStatus
	QueryRecords
)

// An ItemEvent is what happened to an item of the catalogue.
type ItemEvent uint8

// The events of GB/T 28181-2022 Annex N.
const (
	ItemOn ItemEvent = iota
	ItemOff
	ItemVideoLost
	ItemDefect
	ItemAdded
	ItemDeleted
	ItemUpdated
)

// An Endpoint is one side of a media agreement, as its SDP tells it.
type Endpoint struct {
	Host       string         // IP address
	Port       uint16         // 0 if it will connect (TCP active)
	Transport  MediaTransport // always from the receiver's point of view
	SSRC       uint32         // 0: none stated
	Elementary bool           // plain H.264/H.265 RTP is offered (offer) or chosen (answer) instead of PS
	Tracks     []TrackInfo    // elementary only: what each payload type carries
	Size       int64          // answer to Download: bytes, 0 if unknown
}

// A TrackInfo describes one RTP flow of an elementary agreement. It is opaque
// to the processor, which hands it from transceiver to media and back.
type TrackInfo struct {
	Name        string // rtpmap encoding name: H264, H265, PCMA, MPEG4-GENERIC
	PayloadType uint8
	ClockRate   int
	Channels    int
	Parameters  string // fmtp value
}

// DeviceInfo answers a DeviceInfo query.
type DeviceInfo struct {
	ID       NodeID
	Name     string
	Maker    string
	Model    string
	Firmware string
	Channels int
	OK       bool
}

// DeviceState answers a DeviceStatus query.
type DeviceState struct {
	ID        NodeID
	OK        bool
	Online    bool
	Healthy   bool
	Recording bool
	Reason    string
	Clock     time.Time
}

func (Tick) event()           {}
func (Start) event()          {}
func (Stop) event()           {}
func (RegisterIn) event()     {}
func (KeepaliveIn) event()    {}
func (QueryIn) event()        {}
func (CatalogIn) event()      {}
func (RecordsIn) event()      {}
func (DeviceInfoIn) event()   {}
func (DeviceStatusIn) event() {}
func (InviteIn) event()       {}
func (AckIn) event()          {}
func (CancelIn) event()       {}
func (ByeIn) event()          {}
func (ControlIn) event()      {}
func (MediaStatusIn) event()  {}
func (OptionsIn) event()      {}
func (Answered) event()       {}
func (DevicesChanged) event() {}
func (LeaveAsked) event()     {}
func (JoinAsked) event()      {}
func (WatchIn) event()        {}
func (WatchOut) event()       {}
func (RecordsAsked) event()   {}
func (RecordsRead) event()    {}
func (RefreshAsked) event()   {}
func (ReceiverOpened) event() {}
func (ReceiverReady) event()  {}
func (SenderOpened) event()   {}
func (MediaEnded) event()     {}

func (KeyFrameIn) event()     {}
func (KeyFrameWanted) event() {}

func (PTZIn) event()    {}
func (PTZAsked) event() {}
func (Driven) event()   {}

func (SubscribeIn) event()      {}
func (SubscriptionOver) event() {}
