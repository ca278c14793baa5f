package domain

import (
	"log/slog"
	"time"
)

// An Effect is something the processor wants done. A step's effects are to be
// performed in order; those that take time answer with an [Event] later.
type Effect interface{ effect() }

// Effects for the [Transceiver]: requests. Each is answered by one Answered with its Tag.
type (
	// Register registers with an upper, or deregisters when Expires is 0.
	Register struct {
		Tag     Tag
		Peer    Code
		Expires time.Duration
		Caps    Capability // announced
		Leaving bool
		Force   bool
	}
	// Keepalive sends MESSAGE Notify Keepalive.
	Keepalive struct {
		Tag    Tag
		Peer   PeerRef
		Fault  bool
		Faulty []NodeID
	}
	// Probe sends OPTIONS, for diagnosis.
	Probe struct {
		Tag  Tag
		Peer PeerRef
	}
	// Query sends a query; the business answer comes as CatalogIn, RecordsIn,
	// DeviceInfoIn or DeviceStatusIn with the same SN.
	Query struct {
		Tag    Tag
		Peer   PeerRef
		Kind   QueryKind
		SN     int
		Target NodeID
		Range  Range        // these three QueryRecords only
		Filter RecordFilter //
		Asker  string       // only to peers that agreed on it
	}
	// SendCatalog answers a QueryCatalog, in as many pages as the transport
	// needs, one after the other; Answered comes after the last, or the first that failed.
	SendCatalog struct {
		Tag    Tag
		Peer   PeerRef
		SN     int
		Target NodeID
		Items  []Item
	}
	// SendChanges sends catalogue changes: NOTIFY in the dialog of a subscription, else
	// NOTIFY or MESSAGE outside of any.
	SendChanges struct {
		Tag    Tag
		Peer   PeerRef
		Target NodeID
		Items  []Item // none: only that the subscription stands
		Events []ItemEvent
		Dialog Dialog        // of the subscription; 0: there is none
		Left   time.Duration // of the subscription's time
	}
	// Subscribe subscribes to the changes of Target's catalogue, in a new dialog whose
	// name is the Tag from then on, or refreshes the subscription in Dialog.
	Subscribe struct {
		Tag     Tag
		Dialog  Dialog // 0: a new one
		Peer    PeerRef
		Target  NodeID
		Expires time.Duration
	}
	// EndSubscription forgets the dialog of a subscription, whoever began it. With a
	// Reason (RFC 6665 clause 4.1.3) the upper that subscribed is told. It has no outcome.
	EndSubscription struct {
		Dialog Dialog
		Reason string
	}
	// SendRecords answers a QueryRecords, paged like SendCatalog.
	SendRecords struct {
		Tag     Tag
		Peer    PeerRef
		SN      int
		Channel Code
		Name    string
		Sum     int // total over all SendRecords of this SN
		Records []Recording
		Asker   string // both only to peers that agreed on it
		Owner   Code
	}
	// SendInfo and SendState answer QueryDeviceInfo and QueryDeviceStatus.
	SendInfo struct {
		Tag  Tag
		Peer PeerRef
		SN   int
		Info DeviceInfo
	}
	SendState struct {
		Tag   Tag
		Peer  PeerRef
		SN    int
		State DeviceState
	}
	// Invite asks a lower for media. The transceiver acknowledges a 200 by itself.
	// Its Tag is the Dialog from then on.
	Invite struct {
		Tag      Tag
		Peer     PeerRef
		Channel  Code
		Kind     Kind
		Profile  uint8
		Range    Range
		Speed    int
		Offer    Endpoint
		Deadline time.Time
		Stream   string
		Monitor  Party // only to peers that agreed on it
	}
	// Cancel gives up an Invite that is not answered; its Answered still comes
	// (487, or 200 if it crossed: then Bye follows from the processor).
	Cancel struct{ Invite Tag }
	// Bye ends a dialog, whoever began it.
	Bye struct {
		Tag    Tag
		Dialog Dialog
		Reason string
	}
	// Control controls the playback of a dialog that we began.
	Control struct {
		Tag      Tag
		Dialog   Dialog
		Command  Command
		Deadline time.Time
	}
	// AskKeyFrame asks a lower for a key frame of a channel, by its own id (IFrameCmd).
	AskKeyFrame struct {
		Tag     Tag
		Peer    PeerRef
		SN      int
		Channel Code
	}
	// AskPTZ has a lower move a camera, by its own id of the channel (PTZCmd).
	AskPTZ struct {
		Tag     Tag
		Peer    PeerRef
		SN      int
		Channel Code
		Command PTZ
		Rank    uint8         // of who asks, among ours
		Asker   string        // both only to peers that agreed on it
		Hold    time.Duration //
	}
	// SendMediaStatus tells the receiver in the dialog that everything was sent.
	SendMediaStatus struct {
		Tag     Tag
		Dialog  Dialog
		Channel Code
	}
)

// Effects for the [Transceiver]: answers. They have no outcome.
type (
	// Reply answers a request by status only.
	Reply struct {
		Ref    Ref
		Err    error  // nil: 200; otherwise the table of errors decides the status
		Reason string // words for the status line; empty: those of the status
	}
	// ReplyRegister answers a RegisterIn.
	ReplyRegister struct {
		Ref        Ref
		Err        error
		Expires    time.Duration
		Caps       Capability // what both can
		RetryAfter time.Duration
	}
	// ReplySubscribe answers a SubscribeIn.
	ReplySubscribe struct {
		Ref     Ref
		Err     error
		Expires time.Duration // granted; 0: there is no subscription any more
	}
	// AnswerInvite accepts an InviteIn with 200.
	AnswerInvite struct {
		Dialog  Dialog
		Answer  Endpoint
		Camera  Party // both only to peers that agreed on it
		Monitor Party
	}
	// RefuseInvite refuses it. Err may be a *Refused from further below, whose
	// status and words are passed on.
	RefuseInvite struct {
		Dialog Dialog
		Err    error
	}
)

// Effects for [Media]. A leg is opened by OpenReceiver or OpenSender and ends by
// CloseLeg (no answer) or by MediaEnded from the other side, never by both: the
// processor ignores what comes for a leg it has closed.
type (
	// OpenReceiver prepares to receive: ports and buffers. Answered by
	// ReceiverOpened or MediaEnded.
	OpenReceiver struct {
		Leg        LegID
		Stream     StreamID
		Peer       PeerRef
		Transport  MediaTransport
		SSRC       uint32
		Elementary bool // offer plain RTP first
	}
	// ConnectReceiver tells where media comes from. Answered by ReceiverReady
	// when a picture can be shown, or MediaEnded.
	ConnectReceiver struct {
		Leg    LegID
		Answer Endpoint
	}
	// OpenSender prepares to send Stream to where Offer says. Source is the
	// receiving leg of the stream, or 0 if the stream is our own. Answered by
	// SenderOpened once the stream can be shown, or by MediaEnded.
	OpenSender struct {
		Leg    LegID
		Stream StreamID
		Source LegID
		Peer   PeerRef
		Offer  Endpoint
		SSRC   uint32 // ours, for the answer
		Speed  int
	}
	// StartSender lets it flow.
	StartSender struct{ Leg LegID }
	// HoldReceiver says that the sender has paused: silence is not the end, for as
	// long as a pause may last; or that it goes on.
	HoldReceiver struct {
		Leg  LegID
		Held bool
	}
	// ControlSender controls a recording of our own that is being sent.
	ControlSender struct {
		Leg     LegID
		Command Command
	}
	// WantKeyFrame wants a key frame of a channel of our own, on each stream of it that
	// runs. It has no outcome.
	WantKeyFrame struct{ Channel Code }
	// CloseLeg releases a leg.
	CloseLeg struct{ Leg LegID }
)

// DrivePTZ is for [Cameras]: a camera of our own is to move. A movement ends by itself
// after For, should nothing more be heard of us. Answered by Driven.
type DrivePTZ struct {
	Tag     Tag
	Channel Code
	Command PTZ
	For     time.Duration // of what moves; 0 otherwise
}

// Effects for [Archive], [Store] and local users.
type (
	// FindRecords asks the archive. Answered by RecordsRead.
	FindRecords struct {
		Tag     Tag
		Channel Code
		Range   Range
	}
	// SaveLink makes what must survive a restart durable (registered lowers).
	SaveLink struct{ Link Link }
	// ForgetLink removes it.
	ForgetLink struct{ Peer PeerRef }
	// SaveCatalog makes a lower's catalogue durable, replacing the former.
	SaveCatalog struct {
		Peer  Code
		Items []Item
	}
	// SaveTombstone makes durable that an upper was left; ForgetTombstone removes that.
	SaveTombstone   struct{ Tombstone Tombstone }
	ForgetTombstone struct{ Peer Code }
	// Done answers LeaveAsked, JoinAsked and PTZAsked: what was asked for has come about.
	Done struct{ Ticket Ticket }
	// Opened answers WatchIn: the stream can be read from leg Source, or is our own (0).
	Opened struct {
		Ticket Ticket
		Stream StreamID
		Source LegID
	}
	// Denied answers WatchIn, RecordsAsked, LeaveAsked, JoinAsked or PTZAsked: refused, with the level and the cause in Err.
	Denied struct {
		Ticket Ticket
		Err    error
	}
	// Ended tells that an opened watch ended from the other side; Err nil: all was sent.
	Ended struct {
		Ticket Ticket
		Err    error
	}
	// RecordsFound answers RecordsAsked. Partial: the owner stopped before its own total.
	RecordsFound struct {
		Ticket  Ticket
		Records []Recording
		Partial bool
		Owner   Code // whose data manager answered, as far as we know
	}
	// Note is a thing people may want to know: a constant past event and its attributes.
	Note struct {
		Level slog.Level
		Event string
		Attrs []slog.Attr
	}
	// Idle: after Stop, everything has ended.
	Idle struct{}
)

// A PeerRef names a peer; the role tells the two apart when a domain is both.
type PeerRef struct {
	Code Code
	Role Role
}

// A StreamID names a stream: for Live, the channel and profile alone; for
// Playback and Download, also the range, and each request is a stream of its own.
type StreamID struct {
	Channel Code
	Profile uint8
	Kind    Kind
	Range   Range
}

func (Register) effect()        {}
func (Keepalive) effect()       {}
func (Probe) effect()           {}
func (Query) effect()           {}
func (SendCatalog) effect()     {}
func (SendChanges) effect()     {}
func (SendRecords) effect()     {}
func (SendInfo) effect()        {}
func (SendState) effect()       {}
func (Invite) effect()          {}
func (Cancel) effect()          {}
func (Bye) effect()             {}
func (SendMediaStatus) effect() {}
func (Control) effect()         {}
func (Reply) effect()           {}
func (ReplyRegister) effect()   {}
func (AnswerInvite) effect()    {}
func (RefuseInvite) effect()    {}
func (OpenReceiver) effect()    {}
func (ConnectReceiver) effect() {}
func (OpenSender) effect()      {}
func (StartSender) effect()     {}
func (HoldReceiver) effect()    {}
func (ControlSender) effect()   {}
func (CloseLeg) effect()        {}
func (FindRecords) effect()     {}
func (SaveLink) effect()        {}
func (ForgetLink) effect()      {}
func (SaveCatalog) effect()     {}
func (SaveTombstone) effect()   {}
func (ForgetTombstone) effect() {}
func (Done) effect()            {}
func (Opened) effect()          {}
func (Denied) effect()          {}
func (Ended) effect()           {}
func (RecordsFound) effect()    {}
func (Note) effect()            {}
func (Idle) effect()            {}

func (AskKeyFrame) effect()     {}
func (WantKeyFrame) effect()    {}
func (AskPTZ) effect()          {}
func (DrivePTZ) effect()        {}
func (Subscribe) effect()       {}
func (EndSubscription) effect() {}
func (ReplySubscribe) effect()  {}
