package sip

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
)

var left128 = domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 0x80}}

const dome domain.NodeID = "33010300001320000001"

// cameraCommands are commands that move a camera, with headers of the district, and what
// the processor is told; they seed FuzzInbound. Where the status is not 200 it is told
// nothing.
var cameraCommands = map[string]struct {
	head, body, status string
	want               domain.PTZIn
}{
	"as the standard has it": {"", ptzBody("<PTZCmd>A50F010280000037</PTZCmd>"), "200 OK", domain.PTZIn{Command: left128}},
	"stop":                   {"", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{}},
	"with the name of a preset": {"", ptzBody("<PTZCmd>A50F01820005003C</PTZCmd><PTZCmdParams><PresetName>door</PresetName></PTZCmdParams>"), "200 OK",
		domain.PTZIn{Command: domain.PTZ{Action: domain.PresetCall, Number: 5}}},
	"as WVP has it": {"", ptzBody("<PTZCmd>A50F010280000037</PTZCmd>\r\n<Info>\r\n<ControlPriority>5</ControlPriority>\r\n</Info>\r\n"), "200 OK",
		domain.PTZIn{Command: left128, Rank: 5}},
	"lower case": {"", strings.ToLower(ptzBody("<PTZCmd>A50F010280000037</PTZCmd><Info><ControlPriority>7</ControlPriority></Info>")), "200 OK",
		domain.PTZIn{Command: left128, Rank: 7}},
	"blanks around":          {"", ptzBody("<PTZCmd>\r\n  A50F010280000037\t</PTZCmd>"), "200 OK", domain.PTZIn{Command: left128}},
	"wrong sum":              {"", ptzBody("<PTZCmd>A50F010280000038</PTZCmd>"), "200 OK", domain.PTZIn{Command: left128}},
	"wrong combination code": {"", ptzBody("<PTZCmd>A500010280000028</PTZCmd>"), "200 OK", domain.PTZIn{Command: left128}},
	"both wrong":             {"", ptzBody("<PTZCmd>A500010280000099</PTZCmd>"), "400 byte 14, PTZCmd: want ", domain.PTZIn{}},
	"short":                  {"", ptzBody("<PTZCmd>A50F0102800037</PTZCmd>"), "400 byte 14, PTZCmd: want ", domain.PTZIn{}},
	"empty":                  {"", ptzBody("<PTZCmd></PTZCmd>"), "400 byte 0, PTZCmd: want ", domain.PTZIn{}},
	"no hexadecimal":         {"", ptzBody("<PTZCmd>A50F01028000003G</PTZCmd>"), "400 byte 14, PTZCmd: want ", domain.PTZIn{}},
	"left and right":         {"", ptzBody("<PTZCmd>A50F010380000038</PTZCmd>"), "400 byte 6, PTZCmd: want ", domain.PTZIn{}},
	"channel of 19 digits":   {"", strings.Replace(ptzBody("<PTZCmd>A50F010280000037</PTZCmd>"), "0001<", "001<", 1), "400 DeviceID: want ", domain.PTZIn{}},
	"SN that is none":        {"", strings.Replace(ptzBody("<PTZCmd>A50F010280000037</PTZCmd>"), "405", "x", 1), "400 SN: want ", domain.PTZIn{}},
	"priority above all":     {"", ptzBody("<PTZCmd>A50F010280000037</PTZCmd><Info><ControlPriority>256</ControlPriority></Info>"), "200 OK", domain.PTZIn{Command: left128, Rank: 255}},
	"priority below all":     {"", ptzBody("<PTZCmd>A50F010280000037</PTZCmd><Info><ControlPriority>-1</ControlPriority></Info>"), "200 OK", domain.PTZIn{Command: left128}},
	"priority in words":      {"", ptzBody("<PTZCmd>A50F010280000037</PTZCmd><Info><ControlPriority>high</ControlPriority></Info>"), "200 OK", domain.PTZIn{Command: left128}},
	"who asked":              {"X-District-Asker: " + deskParty.ID + "\r\n", ptzBody("<PTZCmd>A50F010280000037</PTZCmd>"), "200 OK", domain.PTZIn{Command: left128, Asker: deskParty.ID}},
	"who asked, at length": {"X-District-Asker: " + strings.Repeat("x", 65) + "\r\n", ptzBody("<PTZCmd>A50F010280000037</PTZCmd>"), "200 OK",
		domain.PTZIn{Command: left128, Asker: strings.Repeat("x", 64)}},
	"who asked, spoilt":  {"X-District-Asker: a\tb\x01\r\n", ptzBody("<PTZCmd>A50F010280000037</PTZCmd>"), "200 OK", domain.PTZIn{Command: left128, Asker: "a b"}},
	"held":               {"X-District-Hold: 30\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{Hold: 30 * time.Second}},
	"held too long":      {"x-district-hold: 601\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{Hold: 10 * time.Minute}},
	"held for ever":      {"X-District-Hold: 99999999999999999999999\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{Hold: 10 * time.Minute}},
	"let go":             {"X-District-Hold: -1\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{Hold: -time.Second}},
	"held, below all":    {"X-District-Hold: -2\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{}},
	"held, in parts":     {"X-District-Hold: 1.5\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{}},
	"held, in words":     {"X-District-Hold: long\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{}},
	"held for no time":   {"X-District-Hold: 0\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{}},
	"held, nothing said": {"X-District-Hold:\r\n", ptzBody("<PTZCmd>A50F0100000000B5</PTZCmd>"), "200 OK", domain.PTZIn{}},
}

func ptzBody(order string) string {
	return `<?xml version="1.0" encoding="GB18030"?><Control><CmdType>DeviceControl</CmdType><SN>405</SN><DeviceID>` + string(dome) +
		"</DeviceID>" + order + "</Control>"
}

// TestCameraCommandsAreRead: what moves a camera is told to the processor, or refused
// with the field that is wrong; no message answers it (GB/T 28181-2022 A.2.3.1).
func TestCameraCommandsAreRead(t *testing.T) {
	for name, tc := range cameraCommands {
		t.Run(name, func(t *testing.T) {
			withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
				p.enrol()
				if got := p.status(keepaliveText("", tc.head, tc.body)); !strings.HasPrefix(got, tc.status) {
					t.Fatalf("%q, want %q", got, tc.status)
				}
				if tc.status == "200 OK" {
					in := expect[domain.PTZIn](w.up)
					tc.want.Ref, tc.want.Target = in.Ref, dome
					tc.want.Origin = domain.Origin{From: other, Address: "udp:10.0.0.7:5060", Proved: true}
					if diff := cmp.Diff(tc.want, in); diff != "" {
						t.Error(diff)
					}
				}
				time.Sleep(time.Minute)
				quiet[domain.PTZIn](w.up)
				if n := len(p.sock.in); n != 0 {
					t.Errorf("%d messages came back: %q", n, (<-p.sock.in).data)
				}
			})
		})
	}
}

// TestKeyFrameBesideACameraCommandThatSaysNothing: templates have all elements.
func TestKeyFrameBesideACameraCommandThatSaysNothing(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		got := p.status(keepaliveText("", "", ptzBody("<PTZCmd></PTZCmd><IFrameCmd>Send</IFrameCmd>")))
		if in := expect[domain.KeyFrameIn](w.up); got != "200 OK" || in.Target != dome {
			t.Errorf("%s, %+v", got, in)
		}
	})
}

// TestSuspectCommandsAreNotedNowAndThen: once in 10 s for each peer, and never for
// somebody who only says who he is.
func TestSuspectCommandsAreNotedNowAndThen(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		p.enrol()
		var log bytes.Buffer
		w.up.log = slog.New(slog.NewTextHandler(&log, nil))
		suspect := keepaliveText("", "", cameraCommands["wrong sum"].body)
		notes := func(want int) {
			t.Helper()
			if got := strings.Count(log.String(), "camera command had a wrong sum"); got != want {
				t.Errorf("%d notes, want %d:\n%s", got, want, log.String())
			}
		}
		p.say(keepaliveText("", "", cameraCommands["as the standard has it"].body))
		notes(0)
		p.say(strings.Replace(suspect, "sip:33010300002000000001@", "sip:33010200002000000001@", 1))
		notes(0)
		for range 5 {
			p.say(suspect)
		}
		notes(1)
		for _, want := range []string{"peer=" + string(other), "channel=" + string(dome), "reason=A50F010280000038"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %s in %s", want, log.String())
			}
		}
		time.Sleep(10 * time.Second)
		p.say(suspect)
		notes(2)
	})
}

// TestCameraCommandOfAStranger: of an unknown host it ends at the gate; of a known one
// under another's id the processor is told that nothing is proved.
func TestCameraCommandOfAStranger(t *testing.T) {
	withRaw(t, func(t *testing.T, w *world, p *rawPeer) {
		msg := keepaliveText("", "", cameraCommands["as the standard has it"].body)
		if got := p.status(msg); got != "403 Forbidden" {
			t.Error(got)
		}
		quiet[domain.PTZIn](w.up)
		if s := w.up.Stats(); s.Received != 0 || s.Strangers != 1 || s.Serving != 0 {
			t.Errorf("%+v", s)
		}
		p.enrol()
		p.say(strings.Replace(msg, "sip:33010300002000000001@", "sip:33010200002000000001@", 1))
		if in := expect[domain.PTZIn](w.up); in.Origin.Proved || in.Origin.From != district {
			t.Errorf("%+v", in)
		}
	})
}

// TestCameraCommandTravels: every field, over both transports.
func TestCameraCommandTravels(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			for _, fx := range []domain.AskPTZ{
				{},
				{Command: left128, Rank: 255},
				{Command: domain.PTZ{Action: domain.CruiseDwell, Number: 3, Value: 300}, Asker: deskParty.ID},
				{Command: domain.PTZ{Action: domain.PTZLens, Iris: domain.Axis{Dir: domain.IrisOpen, Speed: 9}}, Asker: string(city) + "/王", Hold: 10 * time.Minute},
				{Hold: -1},
			} {
				fx.Peer, fx.Channel, fx.SN = lowerRef(), camera, 77
				a := w.up.answer(func(tag domain.Tag) domain.Effect { fx.Tag = tag; return fx })
				in := expect[domain.PTZIn](w.down)
				want := domain.PTZIn{Ref: in.Ref, Origin: in.Origin, Target: domain.NodeID(camera), Command: fx.Command, Rank: fx.Rank,
					Asker: fx.Asker, Hold: fx.Hold}
				if fx.Hold < 0 {
					want.Hold = -time.Second
				}
				if diff := cmp.Diff(want, in); diff != "" || a.Status != 200 || in.Origin.From != city || !in.Origin.Proved {
					t.Error(diff, a, in.Origin)
				}
			}
		})
	})
}

// TestCameraOfALowerThatIsNotThereIsNotMoved: nothing is sent, and that is told at once.
func TestCameraOfALowerThatIsNotThereIsNotMoved(t *testing.T) {
	inWorld(t, "udp", func(t *testing.T, w *world) {
		began := time.Now()
		a := w.up.answer(func(tag domain.Tag) domain.Effect { return domain.AskPTZ{Tag: tag, Peer: lowerRef(), Channel: camera} })
		if a.Status != 0 || a.Level != district || a.Reason != errUnknown.Error() || time.Since(began) != 0 {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
	})
}

// TestCameraCommandOnTheWire looks at what is written, for each edition. What the
// processor does not set is not there: a standard peer sees nothing of the district.
func TestCameraCommandOnTheWire(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		var sent string
		w.net.setLoss(func(_, _ addr, data []byte) bool {
			if bytes.HasPrefix(data, []byte("MESSAGE")) {
				sent = string(data)
			}
			return false
		})
		for _, edition := range []domain.Version{domain.Version2011, domain.Version2016, domain.Version2022} {
			w.up.book.peers[lowerRef()].version = edition
			for _, tc := range []struct {
				fx         domain.AskPTZ
				has, lacks []string
			}{
				{domain.AskPTZ{Command: left128}, []string{"<PTZCmd>A50F010280000037</PTZCmd>\r\n</Control>", "<SN>77</SN>", "<DeviceID>" + string(camera) + "</DeviceID>",
					"Content-Type: Application/MANSCDP+xml\r\n"}, []string{"<Info>", "X-District"}},
				{domain.AskPTZ{Rank: 5}, []string{"<PTZCmd>A50F0100000000B5</PTZCmd>\r\n<Info>\r\n<ControlPriority>5</ControlPriority>\r\n</Info>\r\n</Control>"},
					[]string{"X-District"}},
				{domain.AskPTZ{Asker: "a\r\nX-Evil: 1", Hold: 1500 * time.Millisecond}, []string{"\r\nX-District-Asker: a  X-Evil: 1\r\n", "\r\nX-District-Hold: 2\r\n"},
					[]string{"\r\nX-Evil"}},
				{domain.AskPTZ{Hold: time.Hour}, []string{"\r\nX-District-Hold: 600\r\n"}, []string{"X-District-Asker"}},
				{domain.AskPTZ{Hold: -time.Minute}, []string{"\r\nX-District-Hold: -1\r\n"}, nil},
			} {
				tc.fx.Peer, tc.fx.Channel, tc.fx.SN = lowerRef(), camera, 77
				w.up.answer(func(tag domain.Tag) domain.Effect { tc.fx.Tag = tag; return tc.fx })
				for _, want := range tc.has {
					if !strings.Contains(sent, want) {
						t.Errorf("edition %d: no %q in\n%s", edition, want, sent)
					}
				}
				for _, not := range tc.lacks {
					if strings.Contains(sent, not) {
						t.Errorf("edition %d: %q in\n%s", edition, not, sent)
					}
				}
			}
		}
	})
}

// TestRefusalOfACameraCommandHasItsWords: there and back, with the level that refused.
func TestRefusalOfACameraCommandHasItsWords(t *testing.T) {
	held := "Held by 33000000002000000001-7, 12 s left"
	deep := &domain.Refused{Level: other, Status: 403, Reason: "Held by 王, 3 s left"}
	for name, tc := range map[string]struct {
		reply  domain.Reply
		status int
		words  string
		level  domain.Code
	}{
		"moved":               {domain.Reply{}, 200, "OK", ""},
		"held":                {domain.Reply{Err: domain.ErrHeld}, 403, "Camera Held", district},
		"held, in words":      {domain.Reply{Err: domain.ErrHeld, Reason: held}, 403, held, district},
		"unable":              {domain.Reply{Err: domain.ErrUnable}, 488, "Not Possible", district},
		"denied":              {domain.Reply{Err: domain.ErrDenied}, 403, "Forbidden", district},
		"below":               {domain.Reply{Err: fmt.Errorf("forward: %w", deep)}, 403, deep.Reason, other},
		"below, in our words": {domain.Reply{Err: deep, Reason: held}, 403, held, other},
		"below in silence":    {domain.Reply{Err: &domain.Refused{Level: other, Reason: domain.ErrTimeout.Error()}}, 408, domain.ErrTimeout.Error(), other},
	} {
		t.Run(name, func(t *testing.T) {
			joined(t, "udp", func(t *testing.T, w *world) {
				w.down.script(func(s *station, ev domain.Event) {
					if in, ok := ev.(domain.PTZIn); ok {
						tc.reply.Ref = in.Ref
						s.Answer(tc.reply)
					}
				})
				levels := 0
				w.net.setLoss(func(_, _ addr, data []byte) bool {
					levels += bytes.Count(data, []byte("\r\nX-District-Level: "+string(tc.level)+"\r\n"))
					return false
				})
				a := w.up.answer(func(tag domain.Tag) domain.Effect {
					return domain.AskPTZ{Tag: tag, Peer: lowerRef(), SN: 77, Channel: camera}
				})
				want := domain.Answered{Tag: a.Tag, Status: tc.status, Reason: tc.words, Level: tc.level}
				if diff := cmp.Diff(want, a); diff != "" || (levels == 1) != (tc.status != 200) {
					t.Errorf("%s, %d levels named", diff, levels)
				}
			})
		})
	}
}

// TestCameraCommandWaitsForTheOwner: the answer may take as long as a command to a
// playback, and what is repeated meanwhile is not told again.
func TestCameraCommandWaitsForTheOwner(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		for wait, status := range map[time.Duration]int{controlWait - time.Second: 488, controlWait + time.Second: 500} {
			joined(t, transport, func(t *testing.T, w *world) {
				w.down.script(func(*station, domain.Event) {})
				tag, began := w.up.nextTag(), time.Now()
				w.up.Send(domain.AskPTZ{Tag: tag, Peer: lowerRef(), SN: 77, Channel: camera})
				in := expect[domain.PTZIn](w.down)
				time.Sleep(wait)
				w.down.Answer(domain.Reply{Ref: in.Ref, Err: domain.ErrUnable})
				a := expect[domain.Answered](w.up)
				if took := time.Since(began); a.Tag != tag || a.Status != status || took != wait {
					t.Errorf("%v after %v", a, took)
				}
				quiet[domain.PTZIn](w.down)
			})
		}
	})
}
