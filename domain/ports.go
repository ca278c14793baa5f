package domain

import "context"

// The ports are what the processor's loop needs from outside; cmd/gatewayd
// joins them to the adapters. None of their methods blocks: what takes time is
// done elsewhere and told to the loop by Post.

// A Transceiver carries messages to and from peers.
type Transceiver interface {
	// Send performs one of the request effects: Register to SendMediaStatus.
	Send(Effect)
	// Answer performs one of the answer effects: Reply to RefuseInvite.
	Answer(Effect)
}

// Media opens and closes the ends of media.
type Media interface {
	// Do performs OpenReceiver, ConnectReceiver, OpenSender, StartSender, HoldReceiver,
	// ControlSender, WantKeyFrame or CloseLeg.
	Do(Effect)
}

// Cameras are our own cameras that move.
type Cameras interface {
	// Drive performs DrivePTZ. Commands for one camera come one at a time.
	Drive(DrivePTZ)
}

// An Archive knows what was recorded here.
type Archive interface {
	// Find performs FindRecords.
	Find(FindRecords)
}

// A Store keeps what must survive a restart.
type Store interface {
	// Save performs SaveLink to ForgetTombstone. It may be late, never lost
	// without a word in the log.
	Save(Effect)
	// Load returns what was saved: once, before the loop runs.
	Load(ctx context.Context) (State, error)
}

// Users are told what became of their requests.
type Users interface {
	// Tell performs Opened, Denied, Ended, RecordsFound or Done.
	Tell(Effect)
}

// State is what a [Store] keeps.
type State struct {
	Links      []Link
	Catalogs   map[Code][]Item
	Tombstones []Tombstone
}
