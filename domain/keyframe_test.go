package domain

import (
	"errors"
	"testing"
	"time"
)

// asksKey has the upper ask for a key frame, and returns what was done, with the answer.
func (b *bench) asksKey(channel NodeID) ([]Effect, error) {
	b.t.Helper()
	out := b.step(KeyFrameIn{Ref: 5, Origin: fromAbove, Target: channel})
	reply, ok := find1[Reply](out)
	if !ok || reply.Ref != 5 {
		b.t.Fatalf("not answered: %v", out)
	}
	return out, reply.Err
}

// keyOrders counts who was asked for a key frame: our own encoders, and the lower.
func keyOrders(out []Effect) (own, passed int) {
	for _, fx := range out {
		switch fx.(type) {
		case WantKeyFrame:
			own++
		case AskKeyFrame:
			passed++
		}
	}
	return own, passed
}

func TestKeyFrameIsAskedForWhereTheCameraIs(t *testing.T) {
	b := stocked(t, func(c *Config) { c.Peers[0].Share = []Code{Code(camA), Code(camOwn)} })
	for name, tc := range map[string]struct {
		channel     NodeID
		want        error
		own, passed int
	}{
		"ours":         {camOwn, nil, 1, 0},
		"a lower's":    {camA, nil, 0, 1},
		"not shared":   {camB, ErrNoChannel, 0, 0},
		"unknown":      {"33010200001320009999", ErrNoChannel, 0, 0},
		"region":       {"330102", ErrNoChannel, 0, 0},
		"the platform": {NodeID(self), ErrNoChannel, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := b.asksKey(tc.channel)
			if own, passed := keyOrders(out); !errors.Is(err, tc.want) || own != tc.own || passed != tc.passed {
				t.Errorf("%v, %d own, %d passed on; want %v, %d, %d", err, own, passed, tc.want, tc.own, tc.passed)
			}
		})
	}
	b.p.stepLower(b.p.lowers[below], downDue{})
	b.pass(10 * time.Minute) // the lower is silent
	b.step(KeepaliveIn{Ref: 9, Origin: fromAbove})
	if out, err := b.asksKey(camA); err == nil || len(out) != 1 {
		t.Errorf("of a lower that is offline: %v, %v", err, out)
	}
}

// TestChannelIsAskedForAKeyFrameOnceInTwoSeconds: by however many; who comes too soon is
// served when the time has come.
func TestChannelIsAskedForAKeyFrameOnceInTwoSeconds(t *testing.T) {
	b := stocked(t, nil)
	b.flow(t, 1, b.receive(t, b.invite(1, camA, Live, "A:0")))
	leg := b.p.calls.senders[1].from.leg
	if _, passed := keyOrders(b.step(KeyFrameWanted{leg})); passed != 1 {
		t.Fatalf("asked %d times", passed)
	}
	for range 10 {
		out, _ := b.asksKey(camA)
		if _, passed := keyOrders(append(out, b.step(KeyFrameWanted{leg})...)); passed != 0 {
			t.Error("asked again at once")
		}
	}
	if own, _ := keyOrders(b.step(KeyFrameIn{Ref: 6, Origin: fromAbove, Target: camOwn})); own != 1 {
		t.Error("another channel waits for this one")
	}
	out := b.pass(keyFrameEvery - time.Millisecond)
	if _, passed := keyOrders(out); passed != 0 {
		t.Errorf("too soon: %v", out)
	}
	out = b.pass(time.Millisecond)
	if own, passed := keyOrders(out); own != 0 || passed != 1 {
		t.Errorf("after two seconds %d own, %d passed on: %v", own, passed, out)
	}
	b.pass(keyFrameEvery)
	if len(b.p.keys) != 0 {
		t.Errorf("remembered for ever: %v", b.p.keys)
	}
}

// TestOrderForAKeyFrameNamesTheChannelAsItsOwnerDoes: and nobody waits for its answer.
func TestOrderForAKeyFrameNamesTheChannelAsItsOwnerDoes(t *testing.T) {
	b := stocked(t, nil)
	b.flow(t, 1, b.receive(t, b.invite(1, camA, Live, "A:0")))
	r := b.p.calls.senders[1].from
	order, _ := find1[AskKeyFrame](b.step(KeyFrameWanted{r.leg}))
	if order.Channel != r.below || order.Peer.Code != below || order.SN == 0 {
		t.Errorf("%+v", order)
	}
	b.step(Stop{})
	for _, fx := range b.pass(time.Minute) {
		if r, ok := fx.(Register); ok {
			b.step(Answered{Tag: r.Tag, Status: 200})
		}
	}
	if _, passed := keyOrders(b.step(KeyFrameWanted{r.leg})); passed != 0 {
		t.Error("asked after the end")
	}
}

// TestNoKeyFrameOfARecordingIsAskedFor.
func TestNoKeyFrameOfARecordingIsAskedFor(t *testing.T) {
	b := stocked(t, nil)
	b.flow(t, 1, b.receive(t, b.invite(1, camA, Playback, "")))
	if out := b.step(KeyFrameWanted{b.p.calls.senders[1].from.leg}); len(out) != 0 {
		t.Errorf("%v", out)
	}
	if out := b.step(KeyFrameWanted{999}); len(out) != 0 {
		t.Errorf("of a leg that is gone: %v", out)
	}
}
