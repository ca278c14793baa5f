package sip

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
)

func TestRegistrationIsGrantedAndTellsWhatBothCan(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		inWorld(t, transport, func(t *testing.T, w *world) {
			a := w.down.registerAt(city)
			in := expect[domain.RegisterIn](w.up)
			if a.Status != 200 || a.Expires != time.Hour || a.Version != domain.Version2022 ||
				a.Caps != domain.CapPush|domain.CapElementary {
				t.Errorf("answered %+v", a)
			}
			want := domain.RegisterIn{Ref: in.Ref, Origin: domain.Origin{From: district, Address: in.Origin.Address, Proved: true},
				Expires: time.Hour, Name: "上城区", Instance: "run-1", Run: w.down.enrol[city].callID, Version: domain.Version2022,
				Caps: domain.CapPush | domain.CapElementary}
			if diff := cmp.Diff(want, in); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(in.Origin.Address, transport+":10.0.0.2:") {
				t.Errorf("address %s", in.Origin.Address)
			}
			if c := w.up.Stats().Challenged; c != 1 {
				t.Errorf("%d challenges", c)
			}
		})
	})
}

func TestRefreshKeepsTheRegistration(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		id := w.down.enrol[city].callID
		if a := w.down.registerAt(city); a.Status != 200 || w.down.enrol[city].callID != id || w.down.enrol[city].cseq != 4 {
			t.Errorf("%+v, Call-ID %s then %s, CSeq %d", a, id, w.down.enrol[city].callID, w.down.enrol[city].cseq)
		}
	})
}

func TestWrongPasswordAndUnknownIDAreForbidden(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"password": func(c *Config) { c.Peers[0].Password = "wrong" },
		"id":       func(c *Config) { c.Self = "33019900002000000001" },
		"user":     func(c *Config) { c.Peers[0].User = "somebody" },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, "udp", func(t *testing.T, w *world) {
				cfg := districtConfig(netipAt("10.0.0.9:5060"), w.upAt, "udp")
				change(&cfg)
				net := w.net.sockets(cfg.Listen.Addr())
				s := newStation(t, cfg, &net)
				defer s.stop()
				if a := s.registerAt(city); a.Status != 403 || a.Level != city {
					t.Errorf("%+v", a)
				}
				quiet[domain.RegisterIn](w.up)
			})
		})
	}
}

func TestTooManyWrongPasswordsLockThatIDOut(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		who := culprit{w.lowAt.Addr(), district}
		for range failureBurst {
			w.up.gate.failures.allow(time.Now(), who)
		}
		if a := w.down.registerAt(city); a.Status != 403 {
			t.Errorf("%+v", a)
		}
		time.Sleep(10 * time.Second)
		if a := w.down.registerAt(city); a.Status != 200 {
			t.Errorf("after a pause: %+v", a)
		}
	})
}

func TestRefusedDeregistrationNamesTheWait(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		w.up.script(func(s *station, ev domain.Event) {
			in, ok := ev.(domain.RegisterIn)
			if ok {
				s.Answer(domain.ReplyRegister{Ref: in.Ref, Err: domain.ErrBusy, RetryAfter: 30 * time.Second})
			}
		})
		a := w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.Register{Tag: tag, Peer: city, Leaving: true, Force: true}
		})
		in := expect[domain.RegisterIn](w.up)
		if a.Status != 486 || a.RetryAfter != 30*time.Second || !in.Leaving || !in.Force || in.Expires != 0 {
			t.Errorf("%+v %+v", a, in)
		}
	})
}

func TestDeregisteredPeerIsNotReached(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		a := w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Register{Tag: tag, Peer: city} })
		if a.Status != 200 || a.Expires != 0 {
			t.Errorf("%+v", a)
		}
		a = w.up.answer(func(tag domain.Tag) domain.Effect { return domain.Probe{Tag: tag, Peer: lowerRef()} })
		if a.Status != 0 || a.Level != district || a.Reason == "" {
			t.Errorf("%+v", a)
		}
	})
}

func TestHeartbeatsGoBothWays(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			a := w.down.answer(func(tag domain.Tag) domain.Effect {
				return domain.Keepalive{Tag: tag, Peer: upperRef(), Fault: true, Faulty: []domain.NodeID{domain.NodeID(camera)}}
			})
			in := expect[domain.KeepaliveIn](w.up)
			if a.Status != 200 || !in.Fault || !in.Origin.Proved || in.Origin.From != district || len(in.Faulty) != 1 {
				t.Errorf("%+v %+v", a, in)
			}
			a = w.up.answer(func(tag domain.Tag) domain.Effect { return domain.Keepalive{Tag: tag, Peer: lowerRef()} })
			if in := expect[domain.KeepaliveIn](w.down); a.Status != 200 || in.Origin.From != city || !in.Origin.Proved {
				t.Errorf("%+v %+v", a, in)
			}
			a = w.up.answer(func(tag domain.Tag) domain.Effect { return domain.Probe{Tag: tag, Peer: lowerRef()} })
			if in := expect[domain.OptionsIn](w.down); a.Status != 200 || in.Origin.From != city {
				t.Errorf("%+v %+v", a, in)
			}
		})
	})
}

func TestSilentPeerIsATimeoutWithoutStatus(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		w.up.stop()
		began := time.Now()
		a := w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Keepalive{Tag: tag, Peer: upperRef()} })
		if took := time.Since(began); a.Status != 0 || a.Level != city || a.Reason != domain.ErrTimeout.Error() || took != 32*time.Second {
			t.Errorf("%+v after %v", a, took)
		}
	})
}

func TestRequestIsRepeatedOverANewConnection(t *testing.T) {
	joined(t, "tcp", func(t *testing.T, w *world) {
		w.up.script(func(*station, domain.Event) {}) // never answers
		tag := w.down.nextTag()
		w.down.Send(domain.Keepalive{Tag: tag, Peer: upperRef()})
		expect[domain.KeepaliveIn](w.up)
		w.up.script(agreeable)
		began := time.Now()
		for s := range w.up.wires.streams.open {
			s.Close()
			break
		}
		if a := expect[domain.Answered](w.down); a.Tag != tag || a.Status != 200 || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
		if a := w.down.registerAt(city); a.Status != 200 {
			t.Errorf("after redial: %+v", a)
		}
		if n := len(w.up.wires.streams.open); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestConnectionLostForGoodFailsAtOnce(t *testing.T) {
	joined(t, "tcp", func(t *testing.T, w *world) {
		w.up.script(func(*station, domain.Event) {})
		w.down.Send(domain.Keepalive{Tag: w.down.nextTag(), Peer: upperRef()})
		expect[domain.KeepaliveIn](w.up)
		began := time.Now()
		w.up.stop()
		if a := expect[domain.Answered](w.down); a.Status != 0 || a.Level != city || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
	})
}

func TestLowerWithoutItsConnectionIsNotDialled(t *testing.T) {
	joined(t, "tcp", func(t *testing.T, w *world) {
		for s := range w.up.wires.streams.open {
			s.Close()
			break
		}
		began := time.Now()
		a := w.up.answer(func(tag domain.Tag) domain.Effect { return domain.Probe{Tag: tag, Peer: lowerRef()} })
		if a.Status != 0 || a.Reason != errNoConn.Error() || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
	})
}

func TestQueriesAndTheirAnswers(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) { joined(t, transport, queries) })
}

func queries(t *testing.T, w *world) {
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	span := domain.Range{From: from, To: from.Add(6 * time.Hour)}
	for kind := domain.QueryCatalog; kind <= domain.QueryRecords; kind++ {
		want := domain.QueryIn{Kind: kind, SN: 700 + int(kind), Target: domain.NodeID(camera)}
		if kind == domain.QueryRecords {
			want.Range = span
		}
		a := w.up.answer(func(tag domain.Tag) domain.Effect {
			return domain.Query{Tag: tag, Peer: lowerRef(), Kind: kind, SN: want.SN, Target: want.Target, Range: span}
		})
		in := expect[domain.QueryIn](w.down)
		want.Ref, want.Origin = in.Ref, in.Origin
		if diff := cmp.Diff(want, in); diff != "" || a.Status != 200 || !in.Origin.Proved || in.Origin.From != city {
			t.Error(diff, a, in)
		}
	}
	info := domain.DeviceInfo{ID: domain.NodeID(district), Name: "上城区平台", Maker: "M", Model: "X", Firmware: "1.4", Channels: 12, OK: true}
	w.down.answer(func(tag domain.Tag) domain.Effect {
		return domain.SendInfo{Tag: tag, Peer: upperRef(), SN: 701, Info: info}
	})
	if in := expect[domain.DeviceInfoIn](w.up); in.SN != 701 || in.Info != info {
		t.Errorf("%+v", in)
	}
	state := domain.DeviceState{ID: domain.NodeID(camera), OK: true, Online: true, Healthy: true, Recording: true, Clock: from}
	w.down.answer(func(tag domain.Tag) domain.Effect {
		return domain.SendState{Tag: tag, Peer: upperRef(), SN: 702, State: state}
	})
	if in := expect[domain.DeviceStatusIn](w.up); in.SN != 702 || in.State != state {
		t.Errorf("%+v", in)
	}
	records := []domain.Recording{
		{Channel: camera, Range: span, Bytes: 187000000, Kind: domain.RecordAlarm, Path: "/rec/0800"},
		{Channel: camera, Range: domain.Range{From: span.To, To: span.To.Add(time.Hour)}},
	}
	a := w.down.answer(func(tag domain.Tag) domain.Effect {
		return domain.SendRecords{Tag: tag, Peer: upperRef(), SN: 703, Channel: camera, Name: "东门", Sum: 9, Records: records}
	})
	in := expect[domain.RecordsIn](w.up)
	if diff := cmp.Diff(records, in.Records); diff != "" || in.Sum != 9 || in.SN != 703 || in.Channel != camera || a.Status != 200 {
		t.Error(diff, a, in)
	}
}

// manyItems are channels with names that are longer on the wire than in ASCII.
func manyItems(n int) []domain.Item {
	items := make([]domain.Item, n)
	for i := range items {
		items[i] = domain.Item{ID: domain.NodeID(fmt.Sprintf("3301020000132%07d", i)), Name: fmt.Sprintf("上城区解放路第%d号摄像机", i),
			Parent: domain.NodeID(district), Region: "330102", Status: domain.Status(i % 2), Maker: "示范", Model: "DC-200",
			Address: "北门", Host: "192.0.2.30", PTZ: uint8(i % 4), Streams: 2, Group: "33010200002150000001"}
	}
	return items
}

func TestCatalogueOfThousandArrivesWhole(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			items := manyItems(1000)
			largest := 0
			w.net.setLoss(func(_, _ addr, data []byte) bool {
				largest = max(largest, len(data))
				return false
			})
			a := w.down.answer(func(tag domain.Tag) domain.Effect {
				return domain.SendCatalog{Tag: tag, Peer: upperRef(), SN: 248, Target: domain.NodeID(district), Items: items}
			})
			if a.Status != 200 {
				t.Fatalf("%+v", a)
			}
			var got []domain.Item
			for len(got) < len(items) {
				page := expect[domain.CatalogIn](w.up)
				if page.Sum != 1000 || page.SN != 248 || page.Notify {
					t.Fatalf("sum %d, SN %d", page.Sum, page.SN)
				}
				got = append(got, page.Items...)
			}
			if diff := cmp.Diff(items, got); diff != "" {
				t.Error(diff)
			}
			if largest > maxUDPMessage {
				t.Errorf("message of %d bytes over UDP", largest)
			}
		})
	})
}

func TestEmptyCatalogueIsOnePage(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendCatalog{Tag: tag, Peer: upperRef(), SN: 5, Target: "330109"}
		})
		if in := expect[domain.CatalogIn](w.up); in.Sum != 0 || len(in.Items) != 0 || in.SN != 5 {
			t.Errorf("%+v", in)
		}
	})
}

func TestPagesStopAtTheFirstRefusal(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		pages := 0
		w.up.script(func(s *station, ev domain.Event) {
			in, ok := ev.(domain.CatalogIn)
			if !ok {
				return
			}
			if pages++; pages == 3 {
				s.Answer(domain.Reply{Ref: in.Ref, Err: domain.ErrDenied})
			} else {
				s.Answer(domain.Reply{Ref: in.Ref})
			}
		})
		a := w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendCatalog{Tag: tag, Peer: upperRef(), SN: 5, Target: domain.NodeID(district), Items: manyItems(50)}
		})
		if a.Status != 403 || a.Level != city || pages != 3 {
			t.Errorf("%+v after %d pages", a, pages)
		}
	})
}

func TestChangesArePushed(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		items := append(manyItems(6), domain.Item{ID: "33010200001320009999"})
		events := []domain.ItemEvent{domain.ItemOn, domain.ItemOff, domain.ItemVideoLost, domain.ItemDefect, domain.ItemAdded,
			domain.ItemUpdated, domain.ItemDeleted}
		a := w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendChanges{Tag: tag, Peer: upperRef(), Target: domain.NodeID(district), Items: items, Events: events}
		})
		var ids []domain.NodeID
		var got []domain.ItemEvent
		for len(got) < len(events) {
			in := expect[domain.CatalogIn](w.up)
			if !in.Notify || in.Sum != len(in.Items) {
				t.Fatalf("%+v", in)
			}
			got = append(got, in.Events...)
			for _, it := range in.Items {
				ids = append(ids, it.ID)
			}
		}
		if diff := cmp.Diff(events, got); diff != "" || a.Status != 200 || ids[6] != items[6].ID {
			t.Error(diff, a, ids)
		}
	})
}

func TestLossOnTheWayIsRepaired(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		n := 0
		w.net.setLoss(func(_, _ addr, _ []byte) bool { n++; return n%3 == 0 })
		items := manyItems(60)
		a := w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendCatalog{Tag: tag, Peer: upperRef(), SN: 9, Target: domain.NodeID(district), Items: items}
		})
		seen := 0
		for seen < len(items) {
			seen += len(expect[domain.CatalogIn](w.up).Items)
		}
		if a.Status != 200 || seen != len(items) {
			t.Errorf("%+v, %d items: a repeated page counted twice", a, seen)
		}
		quiet[domain.CatalogIn](w.up)
	})
}

func TestRefusalNamesTheLevel(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		deep := &domain.Refused{Level: other, Status: 486, Reason: "no free decoder"}
		w.up.script(func(s *station, ev domain.Event) {
			if in, ok := ev.(domain.KeepaliveIn); ok {
				s.Answer(domain.Reply{Ref: in.Ref, Err: fmt.Errorf("forward: %w", deep)})
			}
		})
		a := w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Keepalive{Tag: tag, Peer: upperRef()} })
		if a.Status != 486 || a.Level != other || a.Reason != "no free decoder" {
			t.Errorf("%+v", a)
		}
	})
}

func TestProcessorWithoutAnAnswerIsAnInternalError(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		w.up.script(func(*station, domain.Event) {})
		began := time.Now()
		a := w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Keepalive{Tag: tag, Peer: upperRef()} })
		if a.Status != 500 || time.Since(began) != decisionWait {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
		late := expect[domain.KeepaliveIn](w.up)
		w.up.Answer(domain.Reply{Ref: late.Ref}) // does nothing
	})
}

func TestProcessorWithoutRoomIsUnavailable(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		w.up.cfg.Post = func(domain.Event) bool { return false }
		a := w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Keepalive{Tag: tag, Peer: upperRef()} })
		if a.Status != 503 || w.up.Stats().Refused != 1 {
			t.Errorf("%+v", a)
		}
	})
}

func TestRestoredLowerIsKnownWithoutRegistering(t *testing.T) {
	inWorld(t, "udp", func(t *testing.T, w *world) {
		cfg := cityConfig(netipAt("10.0.0.5:5060"))
		cfg.Links = []domain.Link{{Peer: district, Role: domain.Lower, Address: "udp:10.0.0.2:5060",
			Expires: time.Now().Add(time.Hour), Version: domain.Version2022}}
		net := w.net.sockets(cfg.Listen.Addr())
		s := newStation(t, cfg, &net)
		defer s.stop()
		// The district does not know this city's host; its 403 shows that it was reached.
		if a := s.answer(func(tag domain.Tag) domain.Effect { return domain.Keepalive{Tag: tag, Peer: lowerRef()} }); a.Status != 403 {
			t.Errorf("%+v", a)
		}
	})
}

func TestNothingIsSentBeforeOrAfterRun(t *testing.T) {
	var got []domain.Event
	tr, err := New(Config{Self: city, Listen: netipAt("127.0.0.1:0"), Post: func(ev domain.Event) bool { got = append(got, ev); return true }})
	if err != nil {
		t.Fatal(err)
	}
	tr.Send(domain.Probe{Tag: 7, Peer: lowerRef()})
	tr.Send(domain.AskPTZ{Tag: 8, Peer: lowerRef(), Channel: camera})
	if len(got) != 2 || got[0].(domain.Answered).Tag != 7 || got[0].(domain.Answered).Status != 0 || got[1].(domain.Answered).Tag != 8 {
		t.Errorf("%+v", got)
	}
}

func TestConfigFaultsAreAllNamed(t *testing.T) {
	_, err := New(Config{Self: "1", MaxTransactions: -1, Peers: []Peer{{Code: "2", Transport: "sctp"}, {Code: city, Role: domain.Upper}}})
	var paths []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			fe, _ := errors.AsType[*domain.FieldError](e)
			paths = append(paths, fe.Path)
		}
	}
	want := []string{"Self", "Listen", "Post", "MaxTransactions", "Peers[0].Code", "Peers[0].Role", "Peers[0].Transport", "Peers[1].Address"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}
