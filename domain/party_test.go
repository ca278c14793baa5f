package domain_test

import (
	"strings"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

// sessionOf returns the one session of a node with neighbours of a role.
func sessionOf(t *testing.T, n *domaintest.Node, role domain.Role) domain.SessionView {
	t.Helper()
	var found []domain.SessionView
	for _, s := range n.Core().Sessions() {
		if s.Peer.Role == role {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d sessions with a %s: %+v", n.Code, len(found), role, found)
	}
	return found[0]
}

func withEncoders(seed uint64) *levels {
	l := newLevels(seed)
	at := camera(gate, "gate")
	at.Host, at.Address = "192.168.1.64", "北门"
	l.district.Devices(at, camera(door, "door"))
	return l
}

// TestBothPartiesAreKnownOnEveryLevel: what the owner tells of the camera reaches the
// top through the middle, and what the top tells of the monitor reaches the owner.
func TestBothPartiesAreKnownOnEveryLevel(t *testing.T) {
	for _, kind := range []domain.Kind{domain.Live, domain.Playback} {
		l := online(t, withEncoders(1))
		tk := l.province.Watch(gate, kind, morning)
		l.Run(2 * time.Second)
		if !tk.Open {
			t.Fatalf("%+v", tk)
		}
		top, middle, owner := sessionOf(t, l.province, domain.Lower), sessionOf(t, l.city, domain.Lower), sessionOf(t, l.district, domain.Upper)
		gateAt := domain.Party{ID: string(gate), Host: "192.168.1.64", Place: "北门"}
		for _, s := range []domain.SessionView{top, middle, sessionOf(t, l.city, domain.Upper), owner} {
			if s.Camera != gateAt {
				t.Errorf("%s: camera %+v, want %+v", kind, s.Camera, gateAt)
			}
			if s.Monitor != top.Monitor {
				t.Errorf("%s: monitor %+v, want that of the province, %+v", kind, s.Monitor, top.Monitor)
			}
		}
		if m := top.Monitor; m.Server() != provinceID || !strings.HasPrefix(m.ID, string(provinceID)+"-") || m.Host == "" || m.Place != "domain 330000" {
			t.Errorf("%s: monitor %+v", kind, m)
		}
	}
}

// TestOwnersWordOnTheCameraWins: the encoder has moved, and the catalogues above do not
// know it yet.
func TestOwnersWordOnTheCameraWins(t *testing.T) {
	l := online(t, withEncoders(2))
	l.Run(10 * time.Second)
	l.Cut = func(a, b domain.Code) bool { return a == districtID && b == cityID }
	moved := camera(gate, "gate")
	moved.Host = "192.168.1.65"
	l.district.Devices(moved, camera(door, "door"))
	l.Run(100 * time.Millisecond)
	l.Cut = nil
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(400 * time.Millisecond)
	if got := sessionOf(t, l.province, domain.Lower).Camera.Host; !tk.Open || got != "192.168.1.65" {
		t.Errorf("open %v, camera at %s", tk.Open, got)
	}
}

// TestSharedSessionNamesWhoBeganIt: the second viewer joins what is there, and the first
// may leave.
func TestSharedSessionNamesWhoBeganIt(t *testing.T) {
	l := online(t, withEncoders(3))
	first := l.city.Watch(gate, domain.Live, domain.Range{})
	l.Run(time.Second)
	second := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(time.Second)
	l.city.Leave(first)
	l.Run(time.Second)
	if !second.Open {
		t.Fatalf("%+v", second)
	}
	if m := sessionOf(t, l.district, domain.Upper).Monitor; m.Server() != cityID {
		t.Errorf("the owner knows of %+v", m)
	}
	if m := sessionOf(t, l.city, domain.Upper).Monitor; m.Server() != provinceID {
		t.Errorf("the city sends to %+v", m)
	}
}

// TestStandardPeersSeeNoParties: nothing of them is sent to a peer that did not agree on
// it, nor believed of it; what the standard tells has to do.
func TestStandardPeersSeeNoParties(t *testing.T) {
	for name, pick := range map[string]func(l *levels) (upper, lower *domaintest.Node){
		"standard district": func(l *levels) (upper, lower *domaintest.Node) { return l.city, l.district },
		"standard city":     func(l *levels) (upper, lower *domaintest.Node) { return l.province, l.city },
	} {
		t.Run(name, func(t *testing.T) {
			l := withEncoders(4)
			upper, lower := pick(l)
			lower.Plain, upper.Keep, lower.Keep = true, true, true
			l.Start()
			l.Run(10 * time.Second)
			l.province.Step(domain.RefreshAsked{Peer: cityID}) // nobody may have pushed
			l.Run(10 * time.Second)
			tk := l.province.Watch(gate, domain.Live, domain.Range{})
			l.Run(2 * time.Second)
			if !tk.Open {
				t.Fatalf("%+v", tk)
			}
			asked, answered := 0, 0
			for _, fx := range upper.Effects {
				if fx, ok := fx.(domain.Invite); ok && fx.Monitor == (domain.Party{}) {
					asked++
				}
			}
			for _, fx := range lower.Effects {
				if fx, ok := fx.(domain.AnswerInvite); ok && fx.Camera == fx.Monitor && fx.Camera == (domain.Party{}) {
					answered++
				}
			}
			if asked != 1 || answered != 1 {
				t.Errorf("%d requests and %d answers without parties, want one each", asked, answered)
			}
			if got := sessionOf(t, l.province, domain.Lower).Camera; got.Host != "192.168.1.64" {
				t.Errorf("camera %+v: the catalogue knows better", got)
			}
			if m := sessionOf(t, lower, domain.Upper).Monitor; m.ID != string(upper.Code) || m.Host == "" {
				t.Errorf("monitor %+v: want the upper and where it receives", m)
			}
		})
	}
}

// TestPartiesOfAPeerThatDidNotAgreeAreNotBelieved: it may send the attributes all the same.
func TestPartiesOfAPeerThatDidNotAgreeAreNotBelieved(t *testing.T) {
	l := withEncoders(5)
	l.district.Plain = true
	online(t, l)
	l.district.Step(domain.InviteIn{Dialog: 1, Origin: domain.Origin{From: cityID, Proved: true}, Channel: gate,
		Offer: domain.Endpoint{Host: "10.0.0.2"}, Monitor: domain.Party{ID: string(secondID) + "-1"}})
	if m := sessionOf(t, l.district, domain.Upper).Monitor; m != (domain.Party{ID: string(cityID), Host: "10.0.0.2"}) {
		t.Errorf("%+v", m)
	}
}

func TestPartyIsChecked(t *testing.T) {
	id := string(gate)
	for name, tc := range map[string]struct{ id, host, place, field string }{
		"camera":           {id, "192.168.1.64", "北门", ""},
		"monitor":          {string(provinceID) + "-18446744073709551615", "2001:db8::1", "", ""},
		"host name":        {id, "cam-1.example", "", ""},
		"nothing but id":   {id, "", "", ""},
		"no code":          {"gate", "", "", "id"},
		"empty":            {"", "", "", "id"},
		"no number":        {id + "-", "", "", "id"},
		"number too large": {id + "-18446744073709551616", "", "", "id"},
		"number too long":  {id + "-" + strings.Repeat("0", 21), "", "", "id"},
		"two numbers":      {id + "-1-2", "", "", "id"},
		"zone":             {id, "fe80::1%a b", "", "host"},
		"blank in host":    {id, "a b", "", "host"},
		"host too long":    {id, strings.Repeat("a", 65), "", "host"},
		"mark for no host": {id, "-", "", "host"},
		"place too long":   {id, "", strings.Repeat("x", 129), "place"},
		"place of two":     {id, "", "a\nb", "place"},
		"no UTF-8":         {id, "", "\xff", "place"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := domain.ParseParty(tc.id, tc.host, tc.place)
			field := ""
			if pe, ok := err.(*domain.PartyError); ok {
				field = pe.Field
			}
			if field != tc.field || field == "" && p != (domain.Party{ID: tc.id, Host: tc.host, Place: tc.place}) {
				t.Errorf("%+v %v", p, err)
			}
		})
	}
}
