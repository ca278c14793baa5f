package domain

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// TestControlWalk walks a sender over every command and every answer to one, in every
// state: of our own recording and of one that is received, with and without a command
// under way.
func TestControlWalk(t *testing.T) {
	fault := Answered{Status: 488, Level: "33010300002000000001", Reason: "Control Not Possible"}
	events := []named{{"play", Command{Scale: 2}}, {"pause", Command{Verb: CommandPause}}, {"seek", Command{Seek: true, From: time.Minute}},
		{"seek beyond", Command{Seek: true, From: time.Hour}}, {"reverse", Command{Scale: -1}}, {"stop", Command{Verb: CommandStop}},
		{"obeyed", Answered{Status: 200}}, {"refused", fault}, {"never answered", Answered{}}, {"due", txDue{}}, {"bye", txBye{}}}
	var lines []string
	for _, way := range []string{"live", "own", "received", "received, paused", "received, pausing", "received, resuming", "received, ending"} {
		for state := txWaiting; state <= txEnding; state++ {
			for _, e := range events {
				if line := controlStep(t, way, state, e); line != "" {
					lines = append(lines, line)
				}
			}
		}
	}
	walked(t, "control", lines)
}

// controlStep returns nothing for what cannot be.
func controlStep(t *testing.T, way string, state txState, e named) string {
	d := testDesk()
	s := &sender{dialog: 9, upper: newUpper(PeerConfig{Code: "33010000002000000001", Role: Upper}), state: state,
		stream: StreamID{Kind: Playback, Range: Range{noon, noon.Add(time.Hour)}}}
	s.alarm.owner = s
	if state > txWaiting {
		s.leg = 7
	}
	var c *control
	switch way {
	case "live":
		s.stream.Kind = Live
	case "own":
	default:
		s.from = &receiver{leg: 5, tag: 4, state: rxReady, peer: newLower(PeerConfig{Code: "33010200002000000001", Role: Lower})}
	}
	switch way {
	case "received, paused":
		s.steer.paused, s.from.held = true, true
	case "received, pausing":
		c, s.from.held = &control{ref: 3, command: Command{Verb: CommandPause}, at: noon}, true
	case "received, resuming":
		c, s.from.held, s.steer.paused = &control{ref: 3, held: true, at: noon}, true, true
	case "received, ending":
		s.from.state = rxDraining
	}
	s.steer.pending, s.steer.latest = c, c
	ev := e.ev
	switch x := e.ev.(type) {
	case Command:
		ev = txControl{control{ref: 2, command: x, at: noon.Add(time.Second)}}
	case Answered:
		if c == nil {
			return ""
		}
		ev = txControlled{c, x}
	}
	if c != nil && state <= txOpening {
		return ""
	}
	s.step(d, ev)
	replies := 0
	for _, fx := range d.out {
		if _, ok := fx.(Reply); ok {
			replies++
		}
	}
	_, command := e.ev.(Command)
	asked, open := 0, 0
	if command {
		asked++
	}
	if c != nil {
		asked++
	}
	if s.steer.pending != nil {
		open++
	}
	if replies+open != asked {
		t.Errorf("%s %v, %s: %d commands, %d answered, %d under way", way, state, e.name, asked, replies, open)
	}
	held := ""
	if s.from != nil && s.from.held {
		held = " held"
	}
	return fmt.Sprintf("%s %v, %s: %s%s [%s]", way, state, e.name, s.shown(), held, took(d))
}

// TestLateAnswerStillFreesTheReceiver: the lower obeyed after its answer was given up.
func TestLateAnswerStillFreesTheReceiver(t *testing.T) {
	for name, tc := range map[string]struct {
		verb   Verb
		status int
		held   bool
	}{
		"resumed late": {CommandPlay, 200, false}, "paused late": {CommandPause, 200, true},
		"refused late": {CommandPause, 488, false}, "never": {CommandPause, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := stocked(t, nil)
			b.flow(t, 1, b.receive(t, b.invite(1, camA, Playback, "")))
			r := b.p.calls.senders[1].from
			r.held = tc.verb == CommandPlay
			sent, _ := find1[Control](b.step(ControlIn{Ref: 8, Dialog: 1, Command: Command{Verb: tc.verb}, Deadline: b.now.Add(12 * time.Second)}))
			if want := b.now.Add(10 * time.Second); !sent.Deadline.Equal(want) || sent.Dialog != Dialog(r.tag) {
				t.Errorf("sent %+v, want until %v", sent, want)
			}
			reply, ok := find1[Reply](b.pass(11 * time.Second))
			var refused *Refused
			if !ok || reply.Ref != 8 || !errors.As(reply.Err, &refused) || refused.Level != below {
				t.Errorf("gave up with %+v", reply)
			}
			if got, again := find1[Reply](b.step(Answered{Tag: sent.Tag, Status: tc.status})); again {
				t.Errorf("answered twice: %+v", got)
			}
			if r.held != tc.held {
				t.Errorf("held %v, want %v", r.held, tc.held)
			}
		})
	}
}

// TestLateAnswerDoesNotUndoWhatWasObeyedSince: the answer to a pause comes after that to
// going on.
func TestLateAnswerDoesNotUndoWhatWasObeyedSince(t *testing.T) {
	b := stocked(t, nil)
	b.flow(t, 1, b.receive(t, b.invite(1, camA, Playback, "")))
	pause, _ := find1[Control](b.step(ControlIn{Ref: 8, Dialog: 1, Command: Command{Verb: CommandPause}}))
	b.pass(20 * time.Second)
	play, _ := find1[Control](b.step(ControlIn{Ref: 9, Dialog: 1, Command: Command{Now: true}}))
	b.step(Answered{Tag: play.Tag, Status: 200})
	b.step(Answered{Tag: pause.Tag, Status: 200})
	if s := b.p.calls.senders[1]; s.from.held || s.steer.paused {
		t.Errorf("held %v, paused %v", s.from.held, s.steer.paused)
	}
}

func TestCommandsAreCheckedByTheOwner(t *testing.T) {
	hour := Range{noon, noon.Add(time.Hour)}
	for name, tc := range map[string]struct {
		c    Command
		want error
	}{
		"pause":                 {Command{Verb: CommandPause, Scale: -9}, nil},
		"go on":                 {Command{Now: true}, nil},
		"slowest":               {Command{Scale: leastScale}, nil},
		"too slow":              {Command{Scale: leastScale / 2}, ErrControl},
		"fastest":               {Command{Scale: mostScale}, nil},
		"too fast":              {Command{Scale: mostScale + 1}, ErrControl},
		"backwards":             {Command{Scale: -1}, ErrControl},
		"to the beginning":      {Command{Seek: true}, nil},
		"to the last second":    {Command{Seek: true, From: time.Hour - 1}, nil},
		"to the end":            {Command{Seek: true, From: time.Hour}, ErrNoRecording},
		"with the agreed end":   {Command{Seek: true, To: time.Hour}, nil},
		"with the end, rounded": {Command{Seek: true, To: time.Hour - time.Second}, nil},
		"with a later end":      {Command{Seek: true, To: 2 * time.Hour}, nil},
		"with an earlier end":   {Command{Seek: true, To: time.Minute}, ErrControl},
	} {
		if err := tc.c.check(hour); !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// TestUnknownDialogIsNotControlled: and none that we began ourselves.
func TestUnknownDialogIsNotControlled(t *testing.T) {
	b := stocked(t, nil)
	b.receive(t, b.step(WatchIn{Ticket: 1, Channel: Code(camA), Kind: Playback}))
	dialogs := []Dialog{99}
	for d := range b.p.calls.invited {
		dialogs = append(dialogs, d)
	}
	for _, d := range dialogs {
		if out := b.step(ControlIn{Ref: 5, Dialog: d}); len(out) != 1 || out[0] != (Reply{Ref: 5, Err: ErrGone}) {
			t.Errorf("dialog %d: %v", d, out)
		}
	}
}
