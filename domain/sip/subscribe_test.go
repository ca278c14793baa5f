package sip

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
)

const catalogQuery = "<?xml version=\"1.0\" encoding=\"GB18030\"?>\r\n<Query><CmdType>Catalog</CmdType><SN>300</SN>" +
	"<DeviceID>33010000002000000001</DeviceID></Query>"

func rawSubscribe(head, body string) string {
	return "SUBSCRIBE sip:33010000002000000001@10.0.0.1:5060 SIP/2.0\r\n" + rawHead + "CSeq: 1 SUBSCRIBE\r\n" +
		"Contact: <sip:33010300002000000001@10.0.0.7:5060>\r\n" + head + "Content-Type: Application/MANSCDP+xml\r\n\r\n" + body
}

func rawNotify(state string) string {
	return "NOTIFY sip:33010000002000000001@10.0.0.1:5060 SIP/2.0\r\n" + rawHead + "CSeq: 1 NOTIFY\r\nEvent: Catalog;id=1\r\n" +
		"Subscription-State: " + state + "\r\n\r\n"
}

// subscribes are what uppers send, and the status they get; of the good ones, what is asked for.
var subscribes = map[string]struct {
	msg, want string
	target    domain.NodeID
	expires   time.Duration
}{
	"as the standard has it": {rawSubscribe("Event: Catalog;id=4711\r\nExpires: 600\r\n", catalogQuery), "200 OK", domain.NodeID(city), 10 * time.Minute},
	"without an id":          {rawSubscribe("Event: Catalog\r\nExpires: 3600\r\n", catalogQuery), "200 OK", domain.NodeID(city), time.Hour},
	"lower case":             {rawSubscribe("event: catalog ; id=1\r\nexpires: 60\r\n", catalogQuery), "200 OK", domain.NodeID(city), time.Minute},
	"compact":                {rawSubscribe("o: CATALOG\r\n", catalogQuery), "200 OK", domain.NodeID(city), 10 * time.Minute},
	"expires in the contact": {strings.Replace(rawSubscribe("Event: Catalog\r\n", catalogQuery), "5060>\r\nEvent", "5060>;expires=60\r\nEvent", 1), "200 OK", domain.NodeID(city), 10 * time.Minute},
	"without a body":         {rawSubscribe("Event: Catalog\r\n", ""), "200 OK", "", 10 * time.Minute},
	"cancels what is not":    {rawSubscribe("Event: Catalog\r\nExpires: 0\r\n", catalogQuery), "200 OK", domain.NodeID(city), 0},
	"a region":               {rawSubscribe("Event: Catalog\r\n", strings.Replace(catalogQuery, string(city), "330102", 1)), "200 OK", "330102", 10 * time.Minute},
	"position":               {rawSubscribe("Event: presence;id=88\r\nExpires: 600\r\n", strings.Replace(catalogQuery, "Catalog", "MobilePosition", 1)), "489 Bad Event", "", 0},
	"alarm as catalogue":     {rawSubscribe("Event: Catalog\r\n", strings.Replace(catalogQuery, "Catalog", "Alarm", 1)), "489 Bad Event", "", 0},
	"no event":               {rawSubscribe("Expires: 600\r\n", catalogQuery), "489 Bad Event", "", 0},
	"another event":          {rawSubscribe("Event: Catalogue\r\n", catalogQuery), "489 Bad Event", "", 0},
	"no time":                {rawSubscribe("Event: Catalog\r\nExpires: soon\r\n", catalogQuery), "400 Bad Request", "", 0},
	"no id":                  {rawSubscribe("Event: Catalog\r\n", strings.Replace(catalogQuery, string(city), "x", 1)), "400 Bad Request", "", 0},
	"no XML":                 {rawSubscribe("Event: Catalog\r\n", "PLAY RTSP/1.0\r\n"), "400 Bad Request", "", 0},
	"of no dialog": {strings.Replace(rawSubscribe("Event: Catalog\r\n", catalogQuery), "@3301000000>\r\nCall", "@3301000000>;tag=1\r\nCall", 1),
		"481 Call/Transaction Does Not Exist", "", 0},
}

func TestSubscribeForms(t *testing.T) {
	for name, tc := range subscribes {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
				p.enrol()
				res := p.say(tc.msg)
				if !strings.HasPrefix(res, "SIP/2.0 "+tc.want[:3]) {
					t.Fatalf("%q, want %q", res, tc.want)
				}
				if tc.want[0] != '2' {
					if strings.HasPrefix(tc.want, "489") && !strings.Contains(res, "\r\nAllow-Events: Catalog\r\n") {
						t.Error(res)
					}
					quiet[domain.SubscribeIn](w.up)
					return
				}
				in := expect[domain.SubscribeIn](w.up)
				if in.Target != tc.target || in.Expires != tc.expires || in.Again || in.Dialog == 0 || in.Origin.From != other || !in.Origin.Proved {
					t.Errorf("%+v", in)
				}
				for _, want := range []string{fmt.Sprintf("\r\nExpires: %d\r\n", int(tc.expires.Seconds())), "\r\nContact: <sip:33010000002000000001@10.0.0.1:5060>\r\n", ";tag="} {
					if !strings.Contains(res, want) {
						t.Errorf("no %q in\n%s", want, res)
					}
				}
				if known := w.up.subs.get(in.Dialog) != nil; known != (tc.expires > 0) {
					t.Errorf("dialog kept: %v", known)
				}
			})
		})
	}
}

var states = map[string]struct {
	header string
	ended  bool
	after  time.Duration
}{
	"active":          {"active;expires=598", false, 0},
	"terminated":      {"terminated", true, 0},
	"with its reason": {" Terminated ; reason=deactivated;retry-after= 90", true, 90 * time.Second},
	"absent":          {"", false, 0},
	"pending":         {"pending;reason=terminated", false, 0},
	"nonsense":        {"terminated;;=;retry-after=-1;retry-after", true, 0},
}

func TestSubscriptionStateForms(t *testing.T) {
	for name, tc := range states {
		if ended, after := subscriptionState(tc.header); ended != tc.ended || after != tc.after {
			t.Errorf("%s: %v, %v", name, ended, after)
		}
	}
}

// subscribed has the city subscribe at the district, and returns what both call it.
func (w *world) subscribed(t *testing.T) (ours, theirs domain.Dialog) {
	t.Helper()
	a := w.up.answer(func(tag domain.Tag) domain.Effect {
		return domain.Subscribe{Tag: tag, Peer: lowerRef(), Target: domain.NodeID(district), Expires: 10 * time.Minute}
	})
	in := expect[domain.SubscribeIn](w.down)
	if a.Status != 200 || a.Expires != 10*time.Minute || in.Again || in.Expires != 10*time.Minute || in.Target != domain.NodeID(district) ||
		in.Origin.From != city || !in.Origin.Proved {
		t.Fatalf("%+v %+v", a, in)
	}
	return domain.Dialog(a.Tag), in.Dialog
}

func (w *world) tell(dialog domain.Dialog, left time.Duration, items []domain.Item, what domain.ItemEvent) domain.Answered {
	events := make([]domain.ItemEvent, len(items))
	for i := range events {
		events[i] = what
	}
	return w.down.answer(func(tag domain.Tag) domain.Effect {
		return domain.SendChanges{Tag: tag, Peer: upperRef(), Target: domain.NodeID(district), Items: items, Events: events, Dialog: dialog, Left: left}
	})
}

func TestSubscriptionFromBeginningToEnd(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) { wholeSubscription(t, w) })
	})
}

func wholeSubscription(t *testing.T, w *world) {
	t.Helper()
	ours, theirs := w.subscribed(t)
	if a := w.tell(theirs, 10*time.Minute, nil, 0); a.Status != 200 {
		t.Errorf("a message that tells nothing: %+v", a)
	}
	items := manyItems(100)
	if a := w.tell(theirs, time.Minute, items, domain.ItemUpdated); a.Status != 200 {
		t.Errorf("%+v", a)
	}
	var got []domain.Item
	for len(got) < len(items) {
		in := expect[domain.CatalogIn](w.up)
		if !in.Notify || in.Origin.From != district || !in.Origin.Proved || in.Events[0] != domain.ItemUpdated {
			t.Fatalf("%+v", in)
		}
		got = append(got, in.Items...)
	}
	if diff := cmp.Diff(items, got); diff != "" {
		t.Error(diff)
	}
	a := w.up.answer(func(tag domain.Tag) domain.Effect {
		return domain.Subscribe{Tag: tag, Dialog: ours, Peer: lowerRef(), Target: domain.NodeID(district), Expires: time.Hour}
	})
	if in := expect[domain.SubscribeIn](w.down); a.Status != 200 || a.Expires != time.Hour || !in.Again || in.Dialog != theirs {
		t.Errorf("refresh: %+v %+v", a, in)
	}
	w.down.Send(domain.EndSubscription{Dialog: theirs, Reason: "timeout"})
	if over := expect[domain.SubscriptionOver](w.up); over != (domain.SubscriptionOver{Peer: district, Dialog: ours}) {
		t.Errorf("%+v", over)
	}
	if a := w.tell(theirs, time.Minute, items[:1], domain.ItemOff); a.Status != 481 {
		t.Errorf("after the end: %+v", a)
	}
	for _, s := range []*station{w.up, w.down} {
		if n := len(s.subs.byDialog) + len(s.subs.byCallID); n != 0 {
			t.Errorf("%d left", n)
		}
	}
}

// TestSubscriptionOnTheWire reads the messages: one dialog, CSeq growing, the event as the
// upper wrote it, GB18030, and no datagram too large.
func TestSubscriptionOnTheWire(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		var mu sync.Mutex
		var notices []string
		w.net.setLoss(func(from, _ addr, data []byte) bool {
			mu.Lock()
			defer mu.Unlock()
			if from == w.lowAt && strings.HasPrefix(string(data), "NOTIFY ") {
				notices = append(notices, string(data))
			}
			return false
		})
		ours, theirs := w.subscribed(t)
		s := w.down.subs.get(theirs)
		if got := w.up.subs.get(ours); got.remote.tag != s.local.tag || got.local.tag != s.remote.tag || got.callID != s.callID {
			t.Errorf("one end has %+v, the other %+v", got.remote, s.local)
		}
		w.tell(theirs, 598*time.Second, manyItems(20), domain.ItemAdded)
		w.tell(theirs, 500*time.Second, []domain.Item{{ID: domain.NodeID(camera)}}, domain.ItemOff)
		synctest.Wait()
		last := 0
		for i, n := range notices {
			var cseq int
			if _, rest, ok := strings.Cut(n, "\r\nCSeq: "); !ok {
				t.Error(n)
			} else if fmt.Sscan(rest, &cseq); cseq <= last {
				t.Errorf("CSeq %d after %d", cseq, last)
			}
			last = cseq
			for _, want := range []string{"Call-ID: " + s.callID + "\r\n", "Event: Catalog;id=", ";tag=" + s.local.tag + "\r\n", ";tag=" + s.remote.tag + "\r\n",
				"Subscription-State: active;expires=" + map[bool]string{true: "500", false: "598"}[i == len(notices)-1] + "\r\n",
				"Contact: <sip:33010200002000000001@10.0.0.2:5060>\r\n", `encoding="GB18030"`, "<Notify>"} {
				if !strings.Contains(n, want) {
					t.Errorf("no %q in\n%s", want, n)
				}
			}
			if len(n) > maxUDPMessage {
				t.Errorf("%d bytes", len(n))
			}
		}
		if len(notices) < 3 || !strings.Contains(notices[0], "<Event>ADD</Event>") || !strings.Contains(notices[len(notices)-1], "<Event>OFF</Event>") {
			t.Errorf("%d messages", len(notices))
		}
	})
}

// TestRefusedSubscriptionLeavesNothing: with the level that refused, as ever.
func TestRefusedSubscriptionLeavesNothing(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		for err, want := range map[error]int{domain.ErrDenied: 403, domain.ErrNoChannel: 404, domain.ErrNoDialog: 481} {
			w.down.script(func(s *station, ev domain.Event) {
				if in, ok := ev.(domain.SubscribeIn); ok {
					s.Answer(domain.ReplySubscribe{Ref: in.Ref, Err: err})
				}
			})
			a := w.up.answer(func(tag domain.Tag) domain.Effect {
				return domain.Subscribe{Tag: tag, Peer: lowerRef(), Target: domain.NodeID(district), Expires: 10 * time.Minute}
			})
			w.up.Send(domain.EndSubscription{Dialog: domain.Dialog(a.Tag)}) // as the processor does
			if a.Status != want || a.Level != district || len(w.up.subs.byDialog)+len(w.down.subs.byDialog) != 0 {
				t.Errorf("%v: %+v", err, a)
			}
		}
	})
}

// TestNoticeOutsideOfTheDialogIsTakenToo: also one that says that it ends what is not known.
func TestNoticeOutsideOfTheDialogIsTakenToo(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		body := "<Notify><CmdType>Catalog</CmdType><SN>5</SN><DeviceID>33010300002000000001</DeviceID><SumNum>1</SumNum><DeviceList Num=\" 1 \">" +
			"<Item><DeviceID>33010300001320000001</DeviceID><Event>VLOST</Event></Item></DeviceList></Notify>"
		for _, state := range []string{"active", "terminated"} {
			if got := p.status(rawNotify(state) + body); got != "200 OK" {
				t.Error(got)
			}
			if in := expect[domain.CatalogIn](w.up); !in.Notify || in.Events[0] != domain.ItemVideoLost || in.Items[0].ID != "33010300001320000001" {
				t.Errorf("%+v", in)
			}
		}
		quiet[domain.SubscriptionOver](w.up)
	})
}

func TestSubscriptionOnRealSockets(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		before := runtime.NumGoroutine()
		up, down := system(t, transport)
		wholeSubscription(t, &world{up: up, down: down})
		down.stop()
		up.stop()
		settled(t, before)
	})
}
