package sip

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
)

func liveInvite(tag domain.Tag) domain.Invite {
	return domain.Invite{Tag: tag, Peer: lowerRef(), Channel: camera, Kind: domain.Live, Profile: 1, Stream: string(camera) + ":01",
		Offer: domain.Endpoint{Host: "10.0.0.11", Port: 30000, SSRC: 100000001}}
}

// call has the city invite and returns what both saw so far.
func (w *world) call(fx domain.Invite) (domain.InviteIn, domain.Invite) {
	fx.Tag = w.up.nextTag()
	w.up.Send(fx)
	return expect[domain.InviteIn](w.down), fx
}

var answerEndpoint = domain.Endpoint{Host: "10.0.0.21", Port: 31000, SSRC: 102000001}

// agree is call, answered and acknowledged.
func (w *world) agree(t *testing.T, fx domain.Invite) (domain.Dialog, domain.Tag) {
	t.Helper()
	in, fx := w.call(fx)
	w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint})
	if a := expect[domain.Answered](w.up); a.Status != 200 {
		t.Fatalf("%+v", a)
	}
	if ack := expect[domain.AckIn](w.down); ack.Dialog != in.Dialog {
		t.Fatalf("ACK of %d", ack.Dialog)
	}
	return in.Dialog, fx.Tag
}

func TestLiveCallFromInviteToBye(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			in, fx := w.call(liveInvite(0))
			want := domain.InviteIn{Dialog: in.Dialog, Origin: in.Origin, Channel: camera, Kind: domain.Live, Profile: 1,
				Offer: fx.Offer, Stream: fx.Stream}
			if diff := cmp.Diff(want, in); diff != "" || !in.Origin.Proved || in.Origin.From != city {
				t.Error(diff, in.Origin)
			}
			w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint})
			a := expect[domain.Answered](w.up)
			if diff := cmp.Diff(domain.Answered{Tag: fx.Tag, Status: 200, Reason: "OK", Answer: answerEndpoint}, a); diff != "" {
				t.Error(diff)
			}
			expect[domain.AckIn](w.down)
			bye := w.up.answer(func(tag domain.Tag) domain.Effect {
				return domain.Bye{Tag: tag, Dialog: domain.Dialog(fx.Tag), Reason: `nobody "watches"`}
			})
			if gone := expect[domain.ByeIn](w.down); bye.Status != 200 || gone.Dialog != in.Dialog || gone.Reason != `nobody "watches"` {
				t.Errorf("%+v %+v", bye, gone)
			}
			if len(w.up.calls.byCallID)+len(w.down.calls.byCallID) != 0 {
				t.Error("a call is left")
			}
		})
	})
}

func TestLowerEndsTheCall(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			dialog, tag := w.agree(t, liveInvite(0))
			bye := w.down.answer(func(t domain.Tag) domain.Effect { return domain.Bye{Tag: t, Dialog: dialog, Reason: "media lost"} })
			if in := expect[domain.ByeIn](w.up); bye.Status != 200 || in.Dialog != domain.Dialog(tag) || in.Reason != "media lost" {
				t.Errorf("%+v %+v", bye, in)
			}
			again := w.up.answer(func(t domain.Tag) domain.Effect { return domain.Bye{Tag: t, Dialog: domain.Dialog(tag)} })
			if again.Status != 481 {
				t.Errorf("second BYE: %+v", again)
			}
		})
	})
}

func TestPlaybackCarriesItsRangeAndItsEnd(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		from := time.Unix(1772323200, 0).UTC()
		fx := liveInvite(0)
		fx.Kind, fx.Profile, fx.Range, fx.Speed, fx.Deadline = domain.Download, 0, domain.Range{From: from, To: from.Add(time.Hour)}, 4,
			time.Now().Add(20*time.Second)
		fx.Offer = domain.Endpoint{Host: "10.0.0.11", Port: 30010, Transport: domain.MediaTCPPassive, SSRC: 1100000031}
		in, fx := w.call(fx)
		if in.Kind != domain.Download || in.Range != fx.Range || in.Speed != 4 || in.Offer.Transport != domain.MediaTCPPassive ||
			!in.Deadline.Equal(fx.Deadline) {
			t.Errorf("%+v", in)
		}
		w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: domain.Endpoint{Host: "10.0.0.21", SSRC: 1102000007,
			Transport: domain.MediaTCPPassive, Size: 7340032}})
		a := expect[domain.Answered](w.up)
		if a.Answer.Size != 7340032 || a.Answer.Transport != domain.MediaTCPPassive || a.Answer.SSRC != 1102000007 {
			t.Errorf("%+v", a)
		}
		expect[domain.AckIn](w.down)
		end := w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendMediaStatus{Tag: tag, Dialog: in.Dialog, Channel: camera}
		})
		if ms := expect[domain.MediaStatusIn](w.up); end.Status != 200 || ms.Dialog != domain.Dialog(fx.Tag) || ms.Channel != camera || ms.Origin.From != fx.Peer.Code {
			t.Errorf("%+v %+v", end, ms)
		}
	})
}

func TestElementaryOfferListsItsFormats(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		tracks := []domain.TrackInfo{{Name: "H265", PayloadType: 100, ClockRate: 90000, Channels: 1, Parameters: "sprop-vps=QAEM"},
			{Name: "MPEG4-GENERIC", PayloadType: 104, ClockRate: 16000, Channels: 2}}
		for _, first := range []bool{true, false} {
			fx := liveInvite(0)
			fx.Offer.Elementary, fx.Offer.Tracks = first, tracks
			in, _ := w.call(fx)
			if diff := cmp.Diff(fx.Offer, in.Offer); diff != "" {
				t.Error(diff)
			}
			answer := answerEndpoint
			answer.Elementary, answer.Tracks = true, tracks[:1]
			w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answer})
			if diff := cmp.Diff(answer, expect[domain.Answered](w.up).Answer); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestRefusedCallNamesTheLevelBelow(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		for _, tc := range []struct {
			err  error
			want domain.Answered
		}{
			{domain.ErrNoChannel, domain.Answered{Status: 404, Level: district, Reason: "Not Found"}},
			{domain.ErrOffline, domain.Answered{Status: 480, Level: district, Reason: "Temporarily Unavailable"}},
			{&domain.Refused{Level: other, Status: 486, Reason: "no decoder"}, domain.Answered{Status: 486, Level: other, Reason: "no decoder"}},
			{&domain.Refused{Level: other, Reason: "silent"}, domain.Answered{Status: 408, Level: other, Reason: "silent"}},
		} {
			in, fx := w.call(liveInvite(0))
			w.down.Answer(domain.RefuseInvite{Dialog: in.Dialog, Err: tc.err})
			tc.want.Tag = fx.Tag
			if diff := cmp.Diff(tc.want, expect[domain.Answered](w.up)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestCancelBeforeTheAnswer(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			in, fx := w.call(liveInvite(0))
			w.up.Send(domain.Cancel{Invite: fx.Tag})
			if c := expect[domain.CancelIn](w.down); c.Dialog != in.Dialog {
				t.Errorf("%+v", c)
			}
			w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint}) // too late: nothing
			if a := expect[domain.Answered](w.up); a.Status != 487 {
				t.Errorf("%+v", a)
			}
			time.Sleep(time.Minute)
			quiet[domain.Answered](w.up)
			quiet[domain.AckIn](w.down)
		})
	})
}

func TestCancelThatCrossesThe200(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		in, fx := w.call(liveInvite(0))
		w.net.setLoss(func(from, _ addr, data []byte) bool { return bytes.HasPrefix(data, []byte("CANCEL")) })
		w.up.Send(domain.Cancel{Invite: fx.Tag})
		synctest.Wait()
		w.net.setLoss(nil)
		w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint})
		if a := expect[domain.Answered](w.up); a.Status != 200 {
			t.Errorf("%+v", a)
		}
		expect[domain.AckIn](w.down)
		bye := w.up.answer(func(tag domain.Tag) domain.Effect { return domain.Bye{Tag: tag, Dialog: domain.Dialog(fx.Tag)} })
		expect[domain.ByeIn](w.down)
		if bye.Status != 200 {
			t.Errorf("%+v", bye)
		}
	})
}

func TestDeadlineGivesTheCallUp(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		fx := liveInvite(0)
		fx.Deadline = time.Now().Add(20 * time.Second)
		began := time.Now()
		w.call(fx)
		if a := expect[domain.Answered](w.up); a.Status != 487 || time.Since(began) != 20*time.Second {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
		expect[domain.CancelIn](w.down)
	})
}

func TestLostAnswerAndLostAckAreRepaired(t *testing.T) {
	for name, prefix := range map[string]string{"200": "SIP/2.0 200", "ACK": "ACK ", "INVITE": "INVITE "} {
		t.Run(name, func(t *testing.T) {
			joined(t, "udp", func(t *testing.T, w *world) {
				lost := 0
				w.net.setLoss(func(_, _ addr, data []byte) bool {
					if lost < 3 && bytes.HasPrefix(data, []byte(prefix)) {
						lost++
						return true
					}
					return false
				})
				w.agree(t, liveInvite(0))
				time.Sleep(time.Minute)
				if lost != 3 {
					t.Errorf("only %d lost", lost)
				}
				quiet[domain.InviteIn](w.down)
				quiet[domain.AckIn](w.down)
			})
		})
	}
}

func TestCallThatIsNeverAcknowledgedEnds(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		in, _ := w.call(liveInvite(0))
		answers := 0
		w.net.setLoss(func(from, _ addr, data []byte) bool {
			if bytes.HasPrefix(data, []byte("SIP/2.0 200")) && bytes.Contains(data, []byte("INVITE")) {
				answers++
			}
			return bytes.HasPrefix(data, []byte("ACK "))
		})
		began := time.Now()
		w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint})
		if bye := expect[domain.ByeIn](w.down); bye.Dialog != in.Dialog || time.Since(began) != 32*time.Second {
			t.Errorf("%+v after %v", bye, time.Since(began))
		}
		if expect[domain.ByeIn](w.up); answers < 10 || answers > 12 { // 0.5, 1, 2, then every 4 s
			t.Errorf("%d answers", answers)
		}
	})
}

func TestReinviteGetsTheSameAnswer(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		_, tag := w.agree(t, liveInvite(0))
		c := w.up.calls.get(domain.Dialog(tag))
		req := w.up.request(c.draft("INVITE"), writeOffer(session{owner: city}, liveInvite(0).Offer), "application/sdp")
		tx, err := w.up.wires.tx.Request(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		res := <-tx.Responses() // no 100 came before it
		if res.StatusCode != 200 || !strings.Contains(string(res.Body()), "y=0102000001") {
			t.Errorf("%v", res)
		}
		tx.Terminate()
		quiet[domain.InviteIn](w.down)
		w.up.acknowledge(c)
	})
}

func TestHeadersCannotBeInjected(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		evil := "x\r\nX-Evil: 1\r\n\r\nbody\"\\"
		seen := 0
		w.net.setLoss(func(_, _ addr, data []byte) bool {
			if bytes.Contains(data, []byte("\nX-Evil")) {
				seen++
			}
			return false
		})
		fx := liveInvite(0)
		fx.Stream, fx.Offer.Host = evil, "10.0.0.11\r\nX-Evil: 1"
		fx.Offer.Tracks = []domain.TrackInfo{{Name: "H264\r\nX-Evil: 1", PayloadType: 98, Parameters: evil}}
		w.up.Send(fx)
		expect[domain.Answered](w.up) // the host is none
		in, fx2 := w.call(liveInvite(0))
		w.down.Answer(domain.RefuseInvite{Dialog: in.Dialog, Err: &domain.Refused{Level: other, Status: 486, Reason: evil}})
		if a := expect[domain.Answered](w.up); a.Tag != fx2.Tag || strings.ContainsAny(a.Reason, "\r\n") {
			t.Errorf("%+v", a)
		}
		dialog, _ := w.agree(t, liveInvite(0))
		w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Bye{Tag: tag, Dialog: dialog, Reason: evil} })
		expect[domain.ByeIn](w.up)
		if seen > 0 {
			t.Errorf("%d messages with the header", seen)
		}
	})
}

func TestManyCallsAtOnce(t *testing.T) {
	joined(t, "tcp", func(t *testing.T, w *world) {
		const n = 100
		w.down.script(func(s *station, ev domain.Event) {
			if in, ok := ev.(domain.InviteIn); ok {
				s.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: domain.Endpoint{Host: "10.0.0.21", Port: 31000, SSRC: in.Offer.SSRC}})
			}
		})
		for i := range n {
			fx := liveInvite(domain.Tag(1000 + i))
			fx.Offer.SSRC = uint32(1000 + i)
			w.up.Send(fx)
		}
		for range n {
			a := expect[domain.Answered](w.up)
			if a.Status != 200 || a.Answer.SSRC != uint32(a.Tag) {
				t.Fatalf("%+v", a)
			}
		}
		for range n {
			expect[domain.AckIn](w.down)
		}
	})
}
