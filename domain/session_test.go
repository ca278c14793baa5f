package domain

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

var fromAbove = Origin{From: above, Address: "udp:10.0.0.1:5060"}

// invite has the upper ask for a channel.
func (b *bench) invite(dialog Dialog, channel NodeID, kind Kind, stream string) []Effect {
	return b.step(InviteIn{Dialog: dialog, Origin: fromAbove, Channel: Code(channel), Kind: kind, Stream: stream,
		Deadline: b.now.Add(10 * time.Second)})
}

// receive carries the receiver of an OpenReceiver among out to a picture.
func (b *bench) receive(t *testing.T, out []Effect) []Effect {
	t.Helper()
	open, ok := find1[OpenReceiver](out)
	if !ok {
		t.Fatalf("no receiver: %v", out)
	}
	invite, ok := find1[Invite](b.step(ReceiverOpened{Leg: open.Leg}))
	if !ok {
		t.Fatal("no INVITE")
	}
	if left := invite.Deadline.Sub(b.now); left != 8*time.Second && left != localPatience {
		t.Errorf("the lower has %v", left)
	}
	b.step(Answered{Tag: invite.Tag, Status: 200})
	return b.step(ReceiverReady{open.Leg})
}

// flow carries the sender of an OpenSender among out until it flows.
func (b *bench) flow(t *testing.T, dialog Dialog, out []Effect) LegID {
	t.Helper()
	open, ok := find1[OpenSender](out)
	if !ok {
		t.Fatalf("no sender: %v", out)
	}
	answer, ok := find1[AnswerInvite](b.step(SenderOpened{Leg: open.Leg}))
	if !ok || answer.Dialog != dialog || answer.Answer.SSRC != open.SSRC {
		t.Fatalf("answered %+v", answer)
	}
	if _, ok := find1[StartSender](b.step(AckIn{dialog})); !ok {
		t.Fatal("does not flow")
	}
	return open.Leg
}

func TestSameStreamReplacesTheOlderSessionOnly(t *testing.T) {
	b := stocked(t, nil)
	first := b.flow(t, 1, b.receive(t, b.invite(1, camA, Live, "A:0")))
	second := b.flow(t, 2, b.invite(2, camA, Live, "A:1"))
	out := b.invite(3, camA, Live, "A:0")
	bye, _ := find1[Bye](out)
	closed, _ := find1[CloseLeg](out)
	if bye.Dialog != 1 || closed.Leg != first {
		t.Errorf("ended %+v %+v, want dialog 1 and leg %d", bye, closed, first)
	}
	if _, again := find1[OpenReceiver](out); again {
		t.Error("asked the lower again for what it sends already")
	}
	if s := b.p.calls.senders[2]; s == nil || s.leg != second || len(b.p.calls.senders) != 2 {
		t.Errorf("senders %v", b.p.calls.senders)
	}
}

// TestAnswerOnTheMonitorIsForwardedUnlessItIsOurs: a level where the monitor is not local
// passes on what the answer says of it; where it is local it is kept (LIVE-808, LIVE-809).
func TestAnswerOnTheMonitorIsForwardedUnlessItIsOurs(t *testing.T) {
	asked := Party{ID: string(above) + "-5", Host: "10.0.0.1"}
	ours := Party{ID: string(self) + "-5", Host: "10.0.0.1"} // asked for by way of the upper
	for name, tc := range map[string]struct {
		caps           Capability // of the lower
		monitor, told  Party
		camera, passed Party
	}{
		"another's":        {ownCaps, asked, Party{asked.ID, "10.9.9.9", "wall"}, Party{string(camA), "10.1.1.1", "gate"}, Party{asked.ID, "10.9.9.9", "wall"}},
		"ours":             {ownCaps, ours, Party{ours.ID, "10.9.9.9", "wall"}, Party{string(camA), "10.1.1.1", "gate"}, Party{ours.ID, "", ""}},
		"of somebody else": {ownCaps, asked, Party{string(stranger) + "-1", "10.9.9.9", ""}, Party{string(camB), "10.1.1.1", "gate"}, asked},
		"standard lower":   {0, asked, Party{asked.ID, "10.9.9.9", "wall"}, Party{string(camA), "10.1.1.1", "gate"}, asked},
	} {
		t.Run(name, func(t *testing.T) {
			b := stocked(t, nil)
			b.p.uppers[0].link.Caps, b.p.lowers[below].link.Caps = ownCaps, tc.caps
			out := b.step(InviteIn{Dialog: 1, Origin: fromAbove, Channel: Code(camA), Monitor: tc.monitor})
			open, _ := find1[OpenReceiver](out)
			invite, _ := find1[Invite](b.step(ReceiverOpened{Leg: open.Leg}))
			if want := told(b.p.lowers[below].link, tc.monitor); invite.Monitor.ID != want.ID {
				t.Errorf("asked for %+v, want %+v", invite.Monitor, want)
			}
			b.step(Answered{Tag: invite.Tag, Status: 200, Camera: tc.camera, Monitor: tc.told})
			sender, _ := find1[OpenSender](b.step(ReceiverReady{open.Leg}))
			answer, _ := find1[AnswerInvite](b.step(SenderOpened{Leg: sender.Leg}))
			camera := Party{ID: string(camA)} // as the catalogue has it
			if tc.caps != 0 && tc.camera.ID == string(camA) {
				camera = tc.camera
			}
			if answer.Camera != camera || answer.Monitor != tc.passed {
				t.Errorf("answered %+v %+v, want %+v %+v", answer.Camera, answer.Monitor, camera, tc.passed)
			}
		})
	}
}

func TestNoRoomIsBusyAndLeavesNothing(t *testing.T) {
	b := stocked(t, func(c *Config) { c.MaxSessions = 2 })
	b.flow(t, 1, b.receive(t, b.invite(1, camA, Live, "A:0")))
	out := b.invite(2, camB, Live, "B:0")
	if got, ok := find1[RefuseInvite](out); !ok || !errors.Is(got.Err, ErrBusy) {
		t.Errorf("a third session: %v", out)
	}
	out = b.step(WatchIn{Ticket: 1, Channel: Code(camB)})
	if got, ok := find1[Denied](out); !ok || !errors.Is(got.Err, ErrBusy) {
		t.Errorf("a third session for a user: %v", out)
	}
	b.flow(t, 3, b.invite(3, camA, Live, "A:0")) // replaces the first
	if len(b.p.Sessions()) != 2 {
		t.Errorf("%+v", b.p.Sessions())
	}
}

func TestWhatCannotBeWatchedIsRefusedWithItsReason(t *testing.T) {
	off := cam(camB, nvr)
	off.Status = StatusOff
	for name, tc := range map[string]struct {
		channel NodeID
		kind    Kind
		silent  bool
		want    error
	}{
		"unknown":         {"33010200001320009999", Live, false, ErrNoChannel},
		"group":           {group, Live, false, ErrNoChannel},
		"platform":        {NodeID(below), Live, false, ErrNoChannel},
		"recorder":        {nvr, Live, false, ErrNoChannel},
		"off":             {camB, Live, false, ErrOffline},
		"off, recorded":   {camB, Playback, false, nil},
		"lower is silent": {camA, Live, true, ErrPeerOffline},
		"talk":            {camA, Talk, false, ErrMedia},
	} {
		t.Run(name, func(t *testing.T) {
			b := stocked(t, nil)
			b.step(CatalogIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, Notify: true, Items: []Item{off}, Events: []ItemEvent{ItemOff}})
			if tc.silent {
				b.pass(200 * time.Second)
				b.p.uppers[0].link.State = LinkOnline // its heartbeats are not answered either
			}
			got, refused := find1[RefuseInvite](b.invite(1, tc.channel, tc.kind, ""))
			if refused != (tc.want != nil) || !errors.Is(got.Err, tc.want) {
				t.Errorf("got %v, want %v", got.Err, tc.want)
			}
		})
	}
}

func TestLingerKeepsALiveStreamForTheNextViewer(t *testing.T) {
	b := stocked(t, func(c *Config) { c.Linger = 10 * time.Second })
	b.receive(t, b.step(WatchIn{Ticket: 1, Channel: Code(camA)}))
	if out := b.step(WatchOut{1}); len(out) != 0 {
		t.Errorf("ended at once: %v", out)
	}
	b.pass(5 * time.Second)
	if got, ok := find1[Opened](b.step(WatchIn{Ticket: 2, Channel: Code(camA)})); !ok || got.Source == 0 {
		t.Error("the next viewer had to wait")
	}
	b.step(WatchOut{2})
	out := b.pass(11 * time.Second)
	_, bye := find1[Bye](out)
	if _, closed := find1[CloseLeg](out); !bye || !closed {
		t.Errorf("did not end: %v", out)
	}
}

func TestAnswerThatIsNeverAcknowledgedEnds(t *testing.T) {
	b := stocked(t, nil)
	open, _ := find1[OpenSender](b.invite(1, camOwn, Live, ""))
	b.step(SenderOpened{Leg: open.Leg})
	out := b.pass(33 * time.Second)
	bye, _ := find1[Bye](out)
	if closed, _ := find1[CloseLeg](out); bye.Dialog != 1 || closed.Leg != open.Leg {
		t.Errorf("%v", out)
	}
}

func TestOwnPlaybackTellsTheEndAndWaitsTenSeconds(t *testing.T) {
	b := stocked(t, nil)
	leg := b.flow(t, 1, b.invite(1, camOwn, Playback, ""))
	out := b.step(MediaEnded{Leg: leg})
	if status, ok := find1[SendMediaStatus](out); !ok || status.Dialog != 1 || status.Channel != Code(camOwn) {
		t.Fatalf("%v", out)
	}
	if out = b.pass(9 * time.Second); len(b.p.calls.senders) != 1 {
		t.Errorf("did not wait: %v", out)
	}
	if bye, _ := find1[Bye](b.pass(2 * time.Second)); bye.Dialog != 1 {
		t.Error("waits for ever")
	}
}

func TestMediaStatusOutsideTheDialogIsFoundByItsChannel(t *testing.T) {
	b := stocked(t, nil)
	b.receive(t, b.step(WatchIn{Ticket: 1, Channel: Code(camA), Kind: Playback}))
	b.step(MediaStatusIn{Ref: 4, Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, Channel: Code(camA)})
	if got, ok := find1[Ended](b.pass(3 * time.Second)); !ok || got.Err != nil {
		t.Errorf("%+v", got)
	}
}

func TestByeIsNoSuccessUnlessAllWasSent(t *testing.T) {
	b := stocked(t, nil)
	b.receive(t, b.step(WatchIn{Ticket: 1, Channel: Code(camA), Kind: Download}))
	var dialog Dialog
	for d := range b.p.calls.invited {
		dialog = d
	}
	if got, ok := find1[Ended](b.step(ByeIn{Dialog: dialog, Reason: "disk broke"})); !ok || got.Err == nil {
		t.Errorf("%+v", got)
	}
}

func TestRemovedChannelEndsItsSessions(t *testing.T) {
	b := stocked(t, nil)
	b.flow(t, 1, b.invite(1, camOwn, Live, ""))
	b.step(WatchIn{Ticket: 1, Channel: Code(camOwn)})
	out := b.step(DevicesChanged{Removed: []NodeID{camOwn}})
	bye, _ := find1[Bye](out)
	if ended, ok := find1[Ended](out); bye.Dialog != 1 || !ok || ended.Ticket != 1 {
		t.Errorf("%v", out)
	}
}

func TestSSRCNamesKindAndDomainAndRests(t *testing.T) {
	s := newSSRCPool(self)
	live, _ := s.take(noon, Live)
	past, _ := s.take(noon, Playback)
	if got := fmt.Sprintf("%010d %010d", live, past); got[:6] != "010000" || got[11:17] != "110000" || live%10000 == past%10000 {
		t.Errorf("got %s: want digits 4 to 8 of %s", got, self)
	}
	s.release(noon, live)
	for range maxSSRC - 2 {
		if n, ok := s.take(noon.Add(14*time.Second), Live); !ok || n == live {
			t.Fatalf("%d %v: the released number must rest", n, ok)
		}
	}
	for range 3 {
		s.take(noon.Add(14*time.Second), Live)
	}
	if _, ok := s.take(noon.Add(14*time.Second), Live); ok {
		t.Error("more than there are")
	}
	if n, ok := s.take(noon.Add(15*time.Second), Live); !ok || n != live {
		t.Errorf("%d %v: want %d back", n, ok, live)
	}
}

// Numbers that have rested take no memory.
func TestSSRCThatHasRestedIsForgotten(t *testing.T) {
	s, now := newSSRCPool(self), noon
	for range 3 * maxSSRC {
		n, ok := s.take(now, Live)
		if !ok {
			t.Fatal("none is free")
		}
		s.release(now, n)
		now = now.Add(time.Second)
	}
	if len(s.busy) != 0 || len(s.rests) > 16 || len(s.order) != len(s.rests) {
		t.Errorf("%d busy, %d resting, %d in order", len(s.busy), len(s.rests), len(s.order))
	}
}

func TestPatienceShrinksByLevel(t *testing.T) {
	b := newBench(t, nil)
	for given, want := range map[time.Duration]time.Duration{20 * time.Second: 18 * time.Second, 2 * time.Second: time.Second,
		-time.Hour: time.Second, time.Hour: time.Minute} {
		if got := b.p.patience(b.now.Add(given)).Sub(b.now); got != want {
			t.Errorf("of %v: %v, want %v", given, got, want)
		}
	}
	if got := b.p.patience(time.Time{}).Sub(b.now); got != upperPatience {
		t.Errorf("not stated: %v", got)
	}
}

func TestQueriesAreAnsweredFromWhatIsKnown(t *testing.T) {
	b := stocked(t, func(c *Config) { c.Maker, c.Firmware = "Us", "9" })
	b.step(DeviceInfoIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, Info: DeviceInfo{OK: true, Maker: "Them"}})
	info := func(target NodeID) DeviceInfo {
		got, ok := find1[SendInfo](b.step(QueryIn{Origin: fromAbove, Kind: QueryDeviceInfo, Target: target}))
		if !ok {
			t.Errorf("no answer about %s", short(target))
		}
		return got.Info
	}
	if got := info(NodeID(self)); got.Maker != "Us" || got.Firmware != "9" || got.Channels != 3 {
		t.Errorf("ourselves: %+v", got)
	}
	if got := info(NodeID(below)); got.Maker != "Them" || got.Channels != 2 {
		t.Errorf("the lower: %+v", got)
	}
	if got := info(camA); got.Channels != 1 || !got.OK {
		t.Errorf("a camera: %+v", got)
	}
	got, ok := find1[SendState](b.step(QueryIn{Origin: fromAbove, Kind: QueryDeviceStatus, Target: camA}))
	if !ok || !got.State.Online || !got.State.Clock.Equal(b.now) {
		t.Errorf("status: %+v", got)
	}
	out := b.step(QueryIn{Ref: 3, Origin: fromAbove, Kind: QueryDeviceStatus, Target: "33010200001320009999"})
	if len(out) != 1 || out[0] != (Reply{Ref: 3, Err: ErrNoChannel}) {
		t.Errorf("unknown: %v", out)
	}
	find, ok := find1[FindRecords](b.step(QueryIn{Origin: fromAbove, Kind: QueryRecords, Target: NodeID(self), SN: 6}))
	if !ok || find.Channel != self {
		t.Errorf("our own recordings: %+v", find)
	}
	if got, ok := find1[SendRecords](b.step(RecordsRead{Tag: find.Tag})); !ok || got.SN != 6 || got.Sum != 0 {
		t.Errorf("our own recordings: %+v", got)
	}
}

// TestAnswerToSomebodyElsesQueryIsNotTaken: QUERY-906.
func TestAnswerToSomebodyElsesQueryIsNotTaken(t *testing.T) {
	b := stocked(t, nil)
	b.p.lowers[below].link.Caps = ownCaps
	q, _ := find1[Query](b.step(RecordsAsked{Ticket: 1, Channel: Code(camA)}))
	page := RecordsIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: q.SN, Sum: 1, Asker: string(self) + "-2",
		Records: []Recording{{Range: Range{noon, noon.Add(time.Minute)}}}}
	if got, ok := find1[RecordsFound](b.step(page)); ok {
		t.Errorf("%+v", got)
	}
	page.Asker = q.Asker
	if got, ok := find1[RecordsFound](b.step(page)); !ok || len(got.Records) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestMergedAnswerWaitsForBothAndListsEachOnce: whichever comes first, and one that both
// have counts once.
func TestMergedAnswerWaitsForBothAndListsEachOnce(t *testing.T) {
	at := func(minute int, path string) Recording {
		from := noon.Add(time.Duration(minute) * time.Minute)
		return Recording{Range: Range{from, from.Add(time.Minute)}, Path: path}
	}
	shared := addressOf(self, Recording{Channel: Code(camA), Range: at(1, "").Range})
	for _, archiveFirst := range []bool{true, false} {
		b := stocked(t, nil)
		out := b.step(QueryIn{Ref: 1, Origin: fromAbove, Kind: QueryRecords, SN: 9, Target: camA, Filter: RecordFilter{Indistinct: true}})
		q, _ := find1[Query](out)
		find, _ := find1[FindRecords](out)
		mine := at(1, "")
		mine.Channel = Code(camA)
		steps := []Event{RecordsRead{Tag: find.Tag, Records: []Recording{mine, mine}},
			RecordsIn{Origin: Origin{From: below, Address: "udp:10.0.0.2:5060"}, SN: q.SN, Sum: 2, Records: []Recording{at(2, "x"), at(1, shared)}}}
		if !archiveFirst {
			slices.Reverse(steps)
		}
		if early, ok := find1[SendRecords](b.step(steps[0])); ok {
			t.Errorf("archive first %v: answered early: %+v", archiveFirst, early)
		}
		got, _ := find1[SendRecords](b.step(steps[1]))
		if got.SN != 9 || got.Sum != 2 || len(got.Records) != 2 || got.Records[0].Path != shared || got.Records[1].Path != "x" ||
			got.Records[1].Location != string(below) {
			t.Errorf("archive first %v: %+v", archiveFirst, got)
		}
	}
}
