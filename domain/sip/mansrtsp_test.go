package sip

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	stack "github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
)

// rtspCases are commands as they come, and what they mean; they also seed FuzzMANSRTSP.
var rtspCases = map[string]struct {
	in    string
	want  domain.Command
	cseq  uint32
	field string // of the error
}{
	"speed as in the standard": {"PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: 2.0\r\n\r\n", domain.Command{Scale: 2}, 4, ""},
	"six decimals of WVP":      {"PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: 2.000000\r\n", domain.Command{Scale: 2}, 4, ""},
	"backwards":                {"PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: -1\r\nRange: npt=600-120\r\n\r\n", domain.Command{Scale: -1, Seek: true, From: 10 * time.Minute, To: 2 * time.Minute}, 4, ""},
	"pause":                    {"PAUSE RTSP/1.0\r\nCSeq: 5\r\nPauseTime: now\r\n\r\n", domain.Command{Verb: domain.CommandPause}, 5, ""},
	"pause of few words":       {"pause RTSP/1.0\nCSeq:5\nScale: 3", domain.Command{Verb: domain.CommandPause}, 5, ""},
	"go on":                    {"PLAY RTSP/1.0\r\nCSeq: 6\r\nRange: npt=now-\r\n\r\n", domain.Command{Now: true}, 6, ""},
	"go on, without a dash":    {"PLAY MANSRTSP/1.0\r\nCSeq: 6\r\nrange : NPT = Now\r\n\r\n", domain.Command{Now: true}, 6, ""},
	"seek":                     {"PLAY RTSP/1.0\r\nCSeq: 7\r\nRange: npt=125-\r\n\r\n", domain.Command{Seek: true, From: 125 * time.Second}, 7, ""},
	"seek in decimals":         {"PLAY RTSP/1.0\r\nRange: npt=0.5-3600\r\n", domain.Command{Seek: true, From: 500 * time.Millisecond, To: time.Hour}, 0, ""},
	"seek in hours":            {"PLAY RTSP/1.0\r\nRange: npt=1:02:03.5-\r\n", domain.Command{Seek: true, From: time.Hour + 2*time.Minute + 3500*time.Millisecond}, 0, ""},
	"with a URI":               {"PLAY rtsp://192.0.2.1/x RTSP/1.0\r\nCSeq: 1\r\nSession: 4\r\n\r\n", domain.Command{}, 1, ""},
	"stop":                     {"TEARDOWN RTSP/1.0\r\nCSeq: 8\r\n\r\n", domain.Command{Verb: domain.CommandStop}, 8, ""},
	"blank lines before":       {"\r\n\r\nPAUSE RTSP/1.0\r\n", domain.Command{Verb: domain.CommandPause}, 0, ""},

	"empty":             {"", domain.Command{}, 0, "MANSRTSP"},
	"blank":             {"\r\n \r\n", domain.Command{}, 0, "MANSRTSP"},
	"no version":        {"PLAY\r\n", domain.Command{}, 0, "request line"},
	"other protocol":    {"PLAY sip:x SIP/2.0\r\n", domain.Command{}, 0, "request line"},
	"other method":      {"RECORD RTSP/1.0\r\n", domain.Command{}, 0, "method"},
	"CSeq too large":    {"PLAY RTSP/1.0\r\nCSeq: 4294967296\r\n", domain.Command{}, 0, "CSeq"},
	"no speed":          {"PLAY RTSP/1.0\r\nScale: 0\r\n", domain.Command{}, 0, "Scale"},
	"speed of nothing":  {"PLAY RTSP/1.0\r\nScale: nan\r\n", domain.Command{}, 0, "Scale"},
	"speed without end": {"PLAY RTSP/1.0\r\nScale: +Inf\r\n", domain.Command{}, 0, "Scale"},
	"tiny speed":        {"PLAY RTSP/1.0\r\nScale: 1e-300\r\n", domain.Command{}, 0, "Scale"},
	"pause later":       {"PAUSE RTSP/1.0\r\nPauseTime: 30\r\n", domain.Command{}, 0, "PauseTime"},
	"before the start":  {"PLAY RTSP/1.0\r\nRange: npt=-5\r\n", domain.Command{}, 0, "Range"},
	"by the clock":      {"PLAY RTSP/1.0\r\nRange: clock=20260301T080000Z-\r\n", domain.Command{}, 0, "Range"},
	"for ever":          {"PLAY RTSP/1.0\r\nRange: npt=1e300-\r\n", domain.Command{}, 0, "Range"},
	"nowhere":           {"PLAY RTSP/1.0\r\nRange: npt=nan-\r\n", domain.Command{}, 0, "Range"},
	"too many hours":    {"PLAY RTSP/1.0\r\nRange: npt=300000000:0:0-\r\n", domain.Command{}, 0, "Range"},
	"too many lines":    {"PLAY RTSP/1.0\r\n" + strings.Repeat("X: 1\r\n", 100), domain.Command{}, 0, "MANSRTSP"},
	"too large":         {strings.Repeat("x", maxRTSP+1), domain.Command{}, 0, "MANSRTSP"},
}

func TestCommandsAreRead(t *testing.T) {
	for name, tc := range rtspCases {
		t.Run(name, func(t *testing.T) {
			c, cseq, err := parseMANSRTSP([]byte(tc.in))
			field := ""
			if se, ok := errors.AsType[*SyntaxError](err); ok {
				field = se.Field
			}
			if field != tc.field || field == "" && (err != nil || c != tc.want || cseq != tc.cseq) {
				t.Errorf("%+v %d %v", c, cseq, err)
			}
		})
	}
}

func TestCommandsAreWrittenAsInTheStandard(t *testing.T) {
	for want, c := range map[string]domain.Command{
		"PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: 2.0\r\n\r\n":                        {Scale: 2},
		"PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: 0.25\r\nRange: npt=now-\r\n\r\n":    {Scale: 0.25, Now: true},
		"PLAY RTSP/1.0\r\nCSeq: 4\r\nRange: npt=now-\r\n\r\n":                   {Now: true},
		"PLAY RTSP/1.0\r\nCSeq: 4\r\nRange: npt=125-\r\n\r\n":                   {Seek: true, From: 125 * time.Second},
		"PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: -1.0\r\nRange: npt=600-120\r\n\r\n": {Scale: -1, Seek: true, From: 10 * time.Minute, To: 2 * time.Minute},
		"PLAY RTSP/1.0\r\nCSeq: 4\r\n\r\n":                                      {},
		"PAUSE RTSP/1.0\r\nCSeq: 4\r\nPauseTime: now\r\n\r\n":                   {Verb: domain.CommandPause},
		"TEARDOWN RTSP/1.0\r\nCSeq: 4\r\n\r\n":                                  {Verb: domain.CommandStop},
	} {
		if got := string(writeMANSRTSP(c, 4)); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}

func FuzzMANSRTSP(f *testing.F) {
	for _, tc := range rtspCases {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, cseq, err := parseMANSRTSP(in)
		if err != nil {
			if se, ok := errors.AsType[*SyntaxError](err); !ok || se.Offset < 0 || se.Offset > len(in) {
				t.Fatalf("error %v", err)
			}
			return
		}
		if c.From < 0 || c.To < 0 || c.Scale != c.Scale {
			t.Errorf("%+v", c)
		}
		again, n, err := parseMANSRTSP(writeMANSRTSP(c, cseq))
		if err != nil || again != c || n != cseq {
			t.Errorf("%+v is %+v %v", c, again, err)
		}
	})
}

// playback is a playback that was agreed, at the city and at the district.
func (w *world) playback(t *testing.T, kind domain.Kind) (domain.Dialog, *call) {
	t.Helper()
	fx := liveInvite(0)
	if fx.Kind = kind; kind != domain.Live {
		fx.Range = domain.Range{From: time.Unix(1772323200, 0), To: time.Unix(1772326800, 0)}
	}
	dialog, tag := w.agree(t, fx)
	return dialog, w.up.calls.get(domain.Dialog(tag))
}

// TestCommandTravelsInTheDialogAndItsRefusalBack: the command, its deadline, and the
// level and the words of a refusal.
func TestCommandTravelsInTheDialogAndItsRefusalBack(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport string) {
		joined(t, transport, func(t *testing.T, w *world) {
			dialog, c := w.playback(t, domain.Playback)
			deep := &domain.Refused{Level: other, Status: 488, Reason: "Control Not Possible"}
			for _, tc := range []struct {
				command domain.Command
				err     error
				want    domain.Answered
			}{
				{domain.Command{Scale: 0.5, Seek: true, From: time.Minute}, nil, domain.Answered{Status: 200, Reason: "OK"}},
				{domain.Command{Verb: domain.CommandPause}, deep, domain.Answered{Status: 488, Level: other, Reason: "Control Not Possible"}},
				{domain.Command{Now: true}, domain.ErrNoRecording, domain.Answered{Status: 404, Level: district, Reason: "No Recording"}},
			} {
				tag, until := w.up.nextTag(), time.Now().Add(12*time.Second)
				w.up.Send(domain.Control{Tag: tag, Dialog: c.dialog, Command: tc.command, Deadline: until})
				in := expect[domain.ControlIn](w.down)
				if in.Dialog != dialog || in.Command != tc.command || !in.Deadline.Equal(until) {
					t.Errorf("%+v", in)
				}
				time.Sleep(9 * time.Second) // it may have to go down far
				w.down.Answer(domain.Reply{Ref: in.Ref, Err: tc.err})
				tc.want.Tag = tag
				if diff := cmp.Diff(tc.want, expect[domain.Answered](w.up)); diff != "" {
					t.Error(diff)
				}
			}
		})
	})
}

// TestAnswerToACommandIsTheStandards looks at it as a foreign upper does.
func TestAnswerToACommandIsTheStandards(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		w.down.script(func(s *station, ev domain.Event) {
			if in, ok := ev.(domain.ControlIn); ok {
				s.Answer(domain.Reply{Ref: in.Ref})
			}
			agreeable(s, ev)
		})
		_, c := w.playback(t, domain.Playback)
		res, err := w.up.exchange(t.Context(), w.up.request(c.draft(stack.INFO), []byte("PAUSE RTSP/1.0\r\nCSeq: 5\r\nPauseTime: now\r\n\r\n"), mansrtspType))
		if err != nil || res.StatusCode != 200 || string(res.Body()) != "RTSP/1.0 200 OK\r\nCSeq: 5\r\n\r\n" ||
			header(res, "Content-Type") != mansrtspType {
			t.Errorf("%v %v", res, err)
		}
		in := expect[domain.ControlIn](w.down)
		if !in.Deadline.IsZero() {
			t.Errorf("%+v", in)
		}
	})
}

// TestInfoIsRefusedByKind: what is no command, and where none can be.
func TestInfoIsRefusedByKind(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		const play = "PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: 2.0\r\n\r\n"
		info := func(from *station, c *call, kind, body string) int {
			t.Helper()
			res, err := from.exchange(t.Context(), from.request(c.draft(stack.INFO), []byte(body), kind))
			if err != nil {
				t.Fatal(err)
			}
			return res.StatusCode
		}
		for _, kind := range []domain.Kind{domain.Live, domain.Download} {
			if _, c := w.playback(t, kind); info(w.up, c, mansrtspType, play) != 405 {
				t.Errorf("%v: want 405", kind)
			}
		}
		dialog, c := w.playback(t, domain.Playback)
		if got := info(w.down, w.down.calls.get(dialog), mansrtspType, play); got != 405 {
			t.Errorf("from the side that sends: %d, want 405", got)
		}
		if got := info(w.up, c, "application/dtmf-relay", "Signal=5"); got != 415 {
			t.Errorf("of another type: %d, want 415", got)
		}
		if got := info(w.up, c, mansrtspType, "PLAY RTSP/1.0\r\nScale: fast\r\n\r\n"); got != 400 {
			t.Errorf("no speed: %d, want 400", got)
		}
		unknown := &call{local: address{user: city, tag: "x"}, remote: address{user: camera}, callID: "none", way: c.way}
		if got := info(w.up, unknown, mansrtspType, play); got != 481 {
			t.Errorf("in no dialog: %d, want 481", got)
		}
		asked, _ := w.call(liveInvite(0)) // not answered yet
		c = w.down.calls.get(asked.Dialog)
		early := &call{local: c.remote, remote: c.local, callID: c.callID, way: w.up.calls.find(c.callID).way}
		if got := info(w.up, early, mansrtspType, play); got != 481 {
			t.Errorf("before the answer: %d, want 481", got)
		}
		quiet[domain.ControlIn](w.down)
	})
}

// TestLostCommandIsRepeatedAndObeyedOnce: and so is one whose answer was lost.
func TestLostCommandIsRepeatedAndObeyedOnce(t *testing.T) {
	for name, prefix := range map[string]string{"command": "INFO ", "answer": "SIP/2.0 200"} {
		t.Run(name, func(t *testing.T) {
			joined(t, "udp", func(t *testing.T, w *world) {
				w.down.script(func(s *station, ev domain.Event) {
					if in, ok := ev.(domain.ControlIn); ok {
						s.Answer(domain.Reply{Ref: in.Ref})
					}
				})
				_, c := w.playback(t, domain.Playback)
				lost := 0
				w.net.setLoss(func(_, _ addr, data []byte) bool {
					if lost < 3 && bytes.HasPrefix(data, []byte(prefix)) {
						lost++
						return true
					}
					return false
				})
				a := w.up.answer(func(tag domain.Tag) domain.Effect {
					return domain.Control{Tag: tag, Dialog: c.dialog, Command: domain.Command{Verb: domain.CommandPause}}
				})
				synctest.Wait()
				if expect[domain.ControlIn](w.down); a.Status != 200 || lost != 3 {
					t.Errorf("%+v, %d lost", a, lost)
				}
				quiet[domain.ControlIn](w.down)
			})
		})
	}
}

func TestCommandInADialogThatEndedIsGone(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		dialog, c := w.playback(t, domain.Playback)
		w.down.answer(func(tag domain.Tag) domain.Effect { return domain.Bye{Tag: tag, Dialog: dialog} })
		a := w.up.answer(func(tag domain.Tag) domain.Effect { return domain.Control{Tag: tag, Dialog: c.dialog} })
		if a.Status != 481 {
			t.Errorf("%+v", a)
		}
	})
}
