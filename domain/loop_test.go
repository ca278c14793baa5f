package domain

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ports notes effects, and answers requests from within when answer is set.
type ports struct {
	took   []string
	answer func(Effect)
}

func (p *ports) do(fx Effect) {
	p.took = append(p.took, strings.TrimPrefix(fmt.Sprintf("%T", fx), "domain."))
	if p.answer != nil {
		p.answer(fx)
	}
}

func (p *ports) Send(fx Effect)                      { p.do(fx) }
func (p *ports) Answer(fx Effect)                    { p.do(fx) }
func (p *ports) Do(fx Effect)                        { p.do(fx) }
func (p *ports) Drive(fx DrivePTZ)                   { p.do(fx) }
func (p *ports) Find(fx FindRecords)                 { p.do(fx) }
func (p *ports) Save(fx Effect)                      { p.do(fx) }
func (p *ports) Tell(fx Effect)                      { p.do(fx) }
func (p *ports) Load(context.Context) (State, error) { return State{}, nil }

func testLoop(t *testing.T) (*Loop, *ports) {
	t.Helper()
	cfg := Config{Self: self, Seed: 1, Peers: []PeerConfig{{Code: above, Role: Upper, Address: "10.0.0.1:5060"}, {Code: below, Role: Lower}}}
	p, err := NewProcessor(cfg, State{})
	if err != nil {
		t.Fatal(err)
	}
	fake := &ports{}
	return NewLoop(p, Ports{fake, fake, fake, fake, fake, fake}, slog.New(slog.DiscardHandler)), fake
}

func TestLoopPerformsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, fake := testLoop(t)
		fake.answer = func(fx Effect) { // from within the loop: must not wait for it
			switch fx := fx.(type) {
			case Register:
				l.Post(Answered{Tag: fx.Tag, Status: 200, Expires: time.Hour})
			case Keepalive:
				l.Post(Answered{Tag: fx.Tag, Status: 200})
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(2*time.Minute + time.Second)
		cancel()
		start := time.Now()
		if err := <-done; err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if want := []string{"Register", "Keepalive", "Keepalive", "Register"}; !slices.Equal(fake.took, want) {
			t.Errorf("effects %v, want %v", fake.took, want)
		}
		if l.Post(Tick{}) || l.Post(OptionsIn{}) {
			t.Error("an event was taken after the end")
		}
		if err := l.View(t.Context(), func(*Processor) {}); err == nil {
			t.Error("a view was taken after the end")
		}
	})
}

func TestLoopHandsEveryEffectToItsPort(t *testing.T) {
	l, _ := testLoop(t)
	got := make(map[string][]string)
	port := func(name string) *ports {
		return &ports{answer: func(fx Effect) { got[name] = append(got[name], fmt.Sprintf("%T", fx)[7:]) }}
	}
	l.ports = Ports{port("transceiver"), port("media"), port("cameras"), port("archive"), port("store"), port("users")}
	for name, effects := range map[string][]Effect{
		"transceiver": {Register{}, Keepalive{}, Probe{}, Query{}, SendCatalog{}, SendChanges{}, SendRecords{}, SendInfo{},
			SendState{}, Invite{}, Cancel{}, Bye{}, Control{}, AskKeyFrame{}, AskPTZ{}, SendMediaStatus{}, Reply{}, ReplyRegister{}, AnswerInvite{}, RefuseInvite{}},
		"media":   {OpenReceiver{}, ConnectReceiver{}, OpenSender{}, StartSender{}, HoldReceiver{}, ControlSender{}, WantKeyFrame{}, CloseLeg{}},
		"cameras": {DrivePTZ{}},
		"archive": {FindRecords{}},
		"store":   {SaveLink{}, ForgetLink{}, SaveCatalog{}, SaveTombstone{}, ForgetTombstone{}},
		"users":   {Opened{}, Denied{}, Ended{}, RecordsFound{}, Done{}},
	} {
		for _, fx := range effects {
			if before := len(got[name]); l.perform(fx) || len(got[name]) != before+1 {
				t.Errorf("%T did not reach %s", fx, name)
			}
		}
	}
	if l.perform(Note{Event: "x"}) || !l.perform(Idle{}) {
		t.Error("only Idle is idle")
	}
}

func TestLoopStopsWithoutAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := testLoop(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(time.Second)
		cancel()
		start := time.Now()
		if err := <-done; err != nil || time.Since(start) != stopLimit {
			t.Errorf("%v after %v, want nil after %v", err, time.Since(start), stopLimit)
		}
	})
}

func TestFullInboxRefusesRequestsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := testLoop(t)
		refused := 0
		for range inboxSize + 5 { // before Run nobody takes them
			if !l.Post(OptionsIn{}) {
				refused++
			}
		}
		if refused != 5 {
			t.Errorf("%d refused, want 5", refused)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		for i := range 10 * inboxSize {
			if !l.Post(MediaEnded{Leg: LegID(i)}) {
				t.Fatalf("end %d was refused", i)
			}
		}
		cancel()
		<-done
	})
}

func TestViewRunsBetweenSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := testLoop(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		var links []Link
		if err := l.View(t.Context(), func(p *Processor) { links = p.Links() }); err != nil || len(links) != 2 {
			t.Errorf("%v %v", links, err)
		}
		cancel()
		<-done
		gone, stop := context.WithCancel(context.Background())
		stop()
		if err := l.View(gone, func(*Processor) {}); err == nil {
			t.Error("want an error")
		}
	})
}
