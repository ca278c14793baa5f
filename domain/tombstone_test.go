package domain_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

// upperState is how the city is with the province.
func (l *levels) upperState() domain.LinkState { return l.city.Link(provinceID, domain.Upper).State }

// left checks that the city has left the province, on both sides.
func (l *levels) left(t *testing.T, tk *domaintest.Ticket) {
	t.Helper()
	link, held := l.city.Link(provinceID, domain.Upper), l.province.Link(cityID, domain.Lower)
	if tk.Answers != 1 || tk.Err != nil || link.State != domain.LinkLeft || len(l.city.Tombstones()) != 1 {
		t.Errorf("ticket %+v, link %+v, tombstones %+v: want left", tk, link, l.city.Tombstones())
	}
	if _, known := l.province.Core().Owner(gate); known || held.State != domain.LinkIdle {
		t.Errorf("the province holds %+v, and its channels: %v", held, known)
	}
}

func TestUpperThatWasLeftIsNotRegisteredWithAgain(t *testing.T) {
	l := online(t, newLevels(1))
	tk := l.city.LeaveUpper(provinceID, false, 0)
	l.Run(time.Second)
	l.left(t, tk)
	grave := l.city.Tombstones()[0]
	if grave.Peer != provinceID || grave.Address == "" || l.Now.Sub(grave.Left) > time.Second || grave.Reason != "the upper agreed" {
		t.Errorf("%+v", grave)
	}
	l.city.Crash()
	l.city.Start()
	l.Run(2 * time.Hour)
	if n := l.city.Count["Register"]; n != 0 || l.upperState() != domain.LinkLeft {
		t.Errorf("after a restart it registered %d times, %v", n, l.upperState())
	}
	if again := l.city.LeaveUpper(provinceID, false, 0); again.Answers != 1 || again.Err != nil {
		t.Errorf("leaving what was left: %+v", again)
	}
	back := l.city.JoinUpper(provinceID)
	l.Run(20 * time.Second)
	if back.Answers != 1 || back.Err != nil || len(l.city.Tombstones()) != 0 || !l.settled() {
		t.Errorf("%+v, tombstones %+v, %+v", back, l.city.Tombstones(), l.city.Core().Links())
	}
	checkNothingLeft(t, l.Network)
}

// TestRefusedLeaveIsTriedUntilItIsGranted: what the upper still receives goes on.
func TestRefusedLeaveIsTriedUntilItIsGranted(t *testing.T) {
	l := online(t, newLevels(2))
	l.Run(20 * time.Second)
	watched := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	tk := l.city.LeaveUpper(provinceID, false, 0)
	l.Run(70 * time.Second)
	if link := l.city.Link(provinceID, domain.Upper); !watched.Open || tk.Answers != 0 || link.State != domain.LinkLeaving || link.Reason != "leaving: 486 busy" {
		t.Errorf("watched %+v, ticket %+v, link %+v", watched, tk, link)
	}
	if n := l.city.Count["Register"]; n != 1+3 {
		t.Errorf("%d REGISTERs, want one to come and three to leave", n)
	}
	l.province.Leave(watched)
	l.Run(25 * time.Second)
	l.left(t, tk)
	checkNothingLeft(t, l.Network)
}

func TestLeavingEndsWithThePatience(t *testing.T) {
	l := online(t, newLevels(3))
	l.Run(20 * time.Second)
	watched := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	start := l.Now
	tk := l.city.LeaveUpper(provinceID, false, 100*time.Second)
	l.Run(10 * time.Minute)
	var refused *domain.Refused
	if !errors.As(tk.Err, &refused) || refused.Level != provinceID || refused.Status != 486 || tk.Answers != 1 {
		t.Errorf("%+v: want refused by the province", tk)
	}
	if took := tk.At.Sub(start); took < 100*time.Second || took > 101*time.Second {
		t.Errorf("given up after %v", took)
	}
	link := l.city.Link(provinceID, domain.Upper)
	if !watched.Open || link.State != domain.LinkOnline || link.Reason != "not left: 486 busy" || len(l.city.Tombstones()) != 0 {
		t.Errorf("watched %+v, link %+v", watched, link)
	}
	l.province.Leave(watched)
	l.Run(3 * time.Hour) // with the refreshes that were due before
	if link, held := l.city.Link(provinceID, domain.Upper), l.province.Link(cityID, domain.Lower); link.Since.After(start) || held.Since.After(start) {
		t.Errorf("the link did not last: %+v, %+v", link, held)
	}
	checkNothingLeft(t, l.Network)
}

func TestForcedLeaveEndsTheSessions(t *testing.T) {
	for _, reached := range []bool{true, false} {
		t.Run(fmt.Sprintf("reached %v", reached), func(t *testing.T) {
			l := online(t, newLevels(4))
			l.Run(20 * time.Second)
			watched := l.province.Watch(gate, domain.Live, domain.Range{})
			l.Run(2 * time.Second)
			if !reached {
				l.Cut = func(a, b domain.Code) bool { return a == provinceID || b == provinceID }
			}
			tk := l.city.LeaveUpper(provinceID, true, 0)
			l.Run(40 * time.Second)
			link := l.city.Link(provinceID, domain.Upper)
			want := map[bool]string{true: "the upper agreed", false: "by force, not confirmed: no answer"}[reached]
			if tk.Answers != 1 || tk.Err != nil || link.State != domain.LinkLeft || link.Reason != want || len(l.city.Core().Sessions()) != 0 {
				t.Errorf("%+v, %+v", tk, link)
			}
			if reached && watched.Open {
				t.Error("the picture goes on")
			}
			l.Cut = nil
			l.Run(10 * time.Minute)
			l.left(t, tk) // an upper that did not hear it asked, and was told
			l.province.Leave(watched)
			l.Run(time.Minute)
			checkNothingLeft(t, l.Network)
		})
	}
}

func TestJoiningEndsALeaveThatIsUnderWay(t *testing.T) {
	l := online(t, newLevels(5))
	l.Run(20 * time.Second)
	watched := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	tk := l.city.LeaveUpper(provinceID, false, 0)
	l.Run(40 * time.Second)
	back := l.city.JoinUpper(provinceID)
	l.province.Leave(watched)
	l.Run(10 * time.Minute)
	if !errors.Is(tk.Err, domain.ErrGone) || tk.Answers != 1 || back.Answers != 1 || back.Err != nil || !l.settled() {
		t.Errorf("%+v, %+v, %v", tk, back, l.upperState())
	}
	checkNothingLeft(t, l.Network)
}

func TestOnlyAConfiguredUpperIsLeftAndJoined(t *testing.T) {
	l := online(t, newLevels(6))
	for name, tk := range map[string]*domaintest.Ticket{
		"leave a lower": l.city.LeaveUpper(districtID, true, 0), "leave a stranger": l.city.LeaveUpper(secondID, true, 0),
		"join a lower": l.city.JoinUpper(districtID), "join a stranger": l.city.JoinUpper(secondID)} {
		if tk.Answers != 1 || !errors.Is(tk.Err, domain.ErrNoUpper) {
			t.Errorf("%s: %+v", name, tk)
		}
	}
	if tk := l.city.JoinUpper(provinceID); tk.Answers != 1 || tk.Err != nil {
		t.Errorf("joining where we are: %+v", tk)
	}
	l.city.Step(domain.Stop{})
	if tk := l.city.LeaveUpper(provinceID, true, 0); !errors.Is(tk.Err, domain.ErrGone) {
		t.Errorf("while going down: %+v", tk)
	}
}

// TestLeaveEndsThoughAnyOneMessageIsLost loses each message of a leave, wholly: it
// succeeds all the same, or is refused naming the upper, and both sides agree.
func TestLeaveEndsThoughAnyOneMessageIsLost(t *testing.T) {
	retried := 0
	for k := 1; ; k++ {
		l := online(t, newLevels(7))
		l.Run(20 * time.Second)
		from := l.Messages
		l.Drop = func(message int) bool { return message == from+k }
		tk := l.city.LeaveUpper(provinceID, false, 0)
		tries := l.city.Count["Register"]
		l.Run(2 * time.Minute)
		l.left(t, tk)
		if l.city.Count["Register"] > tries {
			retried++
		}
		checkNothingLeft(t, l.Network)
		if l.Messages < from+k || k > 20 {
			break
		}
	}
	if retried != 2 { // the request, and its answer
		t.Errorf("%d tries more: the faults were not injected", retried)
	}
}
