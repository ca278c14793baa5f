package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/icholy/digest"

	"districtgateway/cmd/encodersim/encodertest"
	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media/onvif"
	"districtgateway/media/webrtc"
)

// staff is an account of each role: the user is called as the role.
func staff(t *testing.T) *account.Book {
	t.Helper()
	book, err := account.NewBook(forgetful{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []account.Role{account.Viewer, account.Operator, account.Admin} {
		if err := book.Add(role.String(), role, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	return book
}

// refused reads a refusal: zero of what was obeyed.
func refused(t *testing.T, err error) (r webrtc.Refusal) {
	t.Helper()
	if e := (*webrtc.Refusal)(nil); errors.As(err, &e) {
		return *e
	}
	if err != nil {
		t.Errorf("no refusal: %v", err)
	}
	return r
}

func TestRolesDecideWhoMovesCameras(t *testing.T) {
	book := staff(t)
	for user, want := range map[string][]domain.PTZAsked{
		"viewer":   nil,
		"operator": {{Ticket: 1, User: "operator", Channel: camera1, Command: domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 255}}}},
		"admin":    {{Ticket: 1, User: "admin", Channel: camera1, Command: domain.PTZ{Pan: domain.Axis{Dir: domain.Left, Speed: 255}}, Rank: adminRank}},
		"nobody":   nil,
	} {
		h := newHelm(func(_ int, in domain.PTZAsked) (domain.Effect, time.Duration) {
			return domain.Done{Ticket: in.Ticket}, 0
		})
		moves := func(context.Context, domain.Code) (domain.Item, error) { return domain.Item{PTZ: 1}, nil }
		w := &wheel{h.users, book, moves}
		got := refused(t, w.Move(t.Context(), webrtc.Move{User: user, Channel: string(camera1), Command: webrtc.Command{Action: webrtc.ActMove, Pan: -100}}))
		may := refused(t, w.May(t.Context(), user, string(camera1)))
		if d := cmp.Diff(want, h.asked); d != "" {
			t.Errorf("%s asks (-want +got):\n%s", user, d)
		}
		denied := webrtc.Refusal{Status: http.StatusForbidden, Reason: "not permitted: only operators and admins move cameras"}
		if want != nil {
			denied = webrtc.Refusal{}
		}
		if got != denied || may != denied {
			t.Errorf("%s: moves %+v, may %+v, want %+v", user, got, may, denied)
		}
	}
}

func TestBrowsersAreToldWhyACameraDoesNotMove(t *testing.T) {
	book := staff(t)
	move := webrtc.Command{Action: webrtc.ActMove, Pan: -100}
	for name, tc := range map[string]struct {
		answer  func(int, domain.PTZAsked) (domain.Effect, time.Duration)
		channel string
		command webrtc.Command
		want    webrtc.Refusal
	}{
		"held": {except(0, fmt.Errorf("%w: li, for 8s more", domain.ErrHeld)), string(camera1), move,
			webrtc.Refusal{Status: 409, Reason: "another moves the camera: li, for 8s more"}},
		"fixed":   {except(0, domain.ErrUnable), string(camera1), move, webrtc.Refusal{Status: 501, Reason: "camera cannot do that"}},
		"offline": {except(0, domain.ErrOffline), string(camera1), move, webrtc.Refusal{Status: 409, Reason: "channel is offline"}},
		"below": {except(0, &domain.Refused{Level: districtCode, Status: 403, Reason: "Held"}), string(camera1), move,
			webrtc.Refusal{Status: 502, Reason: districtCode + ": 403 Held"}},
		"silent":        {silent, string(camera1), move, webrtc.Refusal{Status: 504, Reason: "no answer in time"}},
		"not known":     {except(0, domain.ErrNoChannel), string(camera1), move, webrtc.Refusal{Status: 404, Reason: "no such channel"}},
		"no channel":    {obeys, "gate", move, webrtc.Refusal{Status: 404}},
		"too fast":      {obeys, string(camera1), webrtc.Command{Action: webrtc.ActMove, Pan: 101}, webrtc.Refusal{Status: 400, Reason: "pan=101: want -100 to 100"}},
		"nowhere":       {obeys, string(camera1), webrtc.Command{Action: webrtc.ActLens}, webrtc.Refusal{Status: 400, Reason: "lens: want focus or iris"}},
		"stop, obeyed":  {obeys, string(camera1), webrtc.Command{Action: webrtc.ActStop}, webrtc.Refusal{}},
		"lens stands":   {obeys, string(camera1), webrtc.Command{Action: webrtc.ActLensStop}, webrtc.Refusal{}},
		"preset, kept":  {obeys, string(camera1), webrtc.Command{Action: webrtc.ActPresetSet, Number: 9}, webrtc.Refusal{}},
		"preset, gone":  {obeys, string(camera1), webrtc.Command{Action: webrtc.ActPreset, Number: 255}, webrtc.Refusal{}},
		"preset, which": {obeys, string(camera1), webrtc.Command{Action: webrtc.ActPreset}, webrtc.Refusal{Status: 400, Reason: "number=0: want 1 to 255"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHelm(tc.answer)
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
				defer cancel()
				w := &wheel{users: h.users, accounts: book}
				got := refused(t, w.Move(ctx, webrtc.Move{User: "operator", Channel: tc.channel, Command: tc.command}))
				if tc.channel == "gate" {
					got.Reason = "" // a sentence on codes
				}
				if got != tc.want {
					t.Errorf("%+v, want %+v", got, tc.want)
				}
				if asked := len(h.asked) > 0; asked == (tc.want.Status == 400 || tc.channel == "gate") {
					t.Errorf("asked %v", h.log)
				}
				if len(h.users.waiting) > 0 {
					t.Errorf("%d wait for ever", len(h.users.waiting))
				}
			})
		})
	}
}

func TestPadIsShownForCamerasThatMove(t *testing.T) {
	for name, tc := range map[string]struct {
		item domain.Item
		err  error
		want int
	}{
		"a dome": {domain.Item{PTZ: 1}, nil, 0}, "a bullet that moves": {domain.Item{PTZ: 4}, nil, 0}, "fixed": {domain.Item{PTZ: 3}, nil, 501},
		"does not say": {domain.Item{}, nil, 501}, "not known": {domain.Item{}, domain.ErrNoChannel, 404}, "no answer": {domain.Item{PTZ: 1}, context.DeadlineExceeded, 504},
	} {
		w := &wheel{accounts: staff(t), item: func(_ context.Context, code domain.Code) (domain.Item, error) {
			if code != camera1 {
				t.Errorf("asked for %s", code)
			}
			return tc.item, tc.err
		}}
		if got := refused(t, w.May(t.Context(), "operator", string(camera1))); got.Status != tc.want {
			t.Errorf("%s: %+v, want %d", name, got, tc.want)
		}
		if got := refused(t, w.May(t.Context(), "operator", "gate")); got.Status != 404 {
			t.Errorf("%s: no channel: %+v", name, got)
		}
	}
}

// anyPort has the server for browsers listen where nobody does.
func anyPort(f *config.File) { f.WebRTC.Listen, f.WebRTC.Media = "127.0.0.1:0", "127.0.0.1:0" }

// A surfer is a browser without a page.
type surfer struct {
	t      *testing.T
	client *http.Client
	at     string // of the camera
}

func surf(t *testing.T, user, at string) *surfer {
	tr := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return &surfer{t, &http.Client{Transport: &digest.Transport{Username: user, Password: "correct horse", Transport: tr}}, at}
}

// says sends a command, or asks whether there is one to be sent, and returns the answer.
func (s *surfer) says(command string) (int, string) {
	s.t.Helper()
	method := http.MethodPost
	if command == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.at, strings.NewReader(command))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestBrowserMovesACamera: through the whole daemon, to an encoder that really moves,
// and that nobody tells to stop.
func TestBrowserMovesACamera(t *testing.T) {
	sim := encodertest.Start(t, nil)
	r := launch(t, stateDir(t), districtCode, fmt.Sprintf("[rtsp]\nlisten = \"\"\n[webrtc]\nlisten = \"127.0.0.1:1\"\nmedia = \"127.0.0.1:1\"\n"+
		"[record]\nenabled = false\n[[encoder]]\nid = %q\nonvif = %q\nuser = %q\npassword = %q\n", camera1, sim.ONVIF(), encodertest.User, encodertest.Password),
		anyPort)
	defer r.stop()
	for _, role := range []account.Role{account.Viewer, account.Operator, account.Admin} {
		if err := r.accounts.Add(role.String(), role, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	found := r.cameras.judge(t.Context(), onvif.Found{XAddrs: []string{sim.ONVIF()}})
	if r.cameras.settle(&found); found.verdict != "in service" {
		t.Fatal(found.verdict)
	}
	at, err := r.webrtc.server.Addr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := "http://" + at.String() + "/" + string(camera1) + "/ptz"
	viewer, operator, admin := surf(t, "viewer", path), surf(t, "operator", path), surf(t, "admin", path)
	await(t, "the camera is known to move", func() bool {
		it, err := r.control.item(t.Context(), camera1)
		return err == nil && it.PTZ == 1 && it.Status == domain.StatusOn
	})
	if code, text := operator.says(""); code != http.StatusNoContent {
		t.Errorf("may an operator? %d %s", code, text)
	}
	const left = `{"action":"move","pan":-20}`
	if code, text := viewer.says(left); code != http.StatusForbidden {
		t.Errorf("a viewer: %d %s", code, text)
	}
	before := sim.State().PTZ.Pan
	if code, text := operator.says(left); code != http.StatusNoContent {
		t.Errorf("an operator: %d %s", code, text)
	}
	await(t, "it has moved, and stands by itself", func() bool { at := sim.State().PTZ; return at.Pan < before && !at.Moving })
	if code, text := admin.says(left); code != http.StatusNoContent {
		t.Errorf("an admin: %d %s", code, text)
	}
	if code, text := operator.says(left); code != http.StatusConflict || !strings.HasPrefix(text, "another moves the camera: admin, for ") {
		t.Errorf("an operator, of whom it was taken: %d %s", code, text)
	}
	if code, text := admin.says(`{"action":"stop"}`); code != http.StatusNoContent || sim.State().PTZ.Moving {
		t.Errorf("stop: %d %s, %+v", code, text, sim.State().PTZ)
	}
	var done api.PTZDone
	err = r.client.Post(t.Context(), api.PathPTZ+string(camera1), []byte(`{"action":"stop","user":"guard"}`), &done)
	if err == nil || !strings.Contains(err.Error(), "admin, for ") {
		t.Errorf("by gatewayctl meanwhile: %v", err)
	}
}
