package domain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

const (
	provinceID = domain.Code("33000000002000000001")
	cityID     = domain.Code("33010000002000000001")
	districtID = domain.Code("33010200002000000001")
	secondID   = domain.Code("33010300002000000001") // another district of the city
	gate       = domain.Code("33010200001320000001") // a camera of the district
	door       = domain.Code("33010200001320000002")
)

func camera(id domain.Code, name string) domain.Item {
	return domain.Item{ID: domain.NodeID(id), Name: name, Status: domain.StatusOn, Maker: "Cam", Region: domain.NodeID(id[:6])}
}

// levels is a province, a city and a district with two cameras, all online.
type levels struct {
	*domaintest.Network
	province, city, district *domaintest.Node
}

func newLevels(seed uint64) *levels {
	n := domaintest.New(seed)
	l := &levels{n, n.Add(provinceID), n.Add(cityID), n.Add(districtID)}
	n.Join(l.city, l.province)
	n.Join(l.district, l.city)
	l.district.Devices(camera(gate, "gate"), camera(door, "door"))
	return l
}

// online starts the three levels and waits until the province knows the cameras.
func online(t *testing.T, l *levels) *levels {
	t.Helper()
	l.Start()
	for range 40 {
		if l.Run(time.Second); l.settled() {
			return l
		}
	}
	t.Fatalf("not online: %+v %v", l.province.Core().Links(), l.Violations)
	return nil
}

func (l *levels) settled() bool {
	owner, ok := l.province.Core().Owner(gate)
	return ok && owner.Code == cityID && l.province.Link(cityID, domain.Lower).State == domain.LinkOnline &&
		l.city.Link(districtID, domain.Lower).State == domain.LinkOnline &&
		l.district.Link(cityID, domain.Upper).State == domain.LinkOnline &&
		l.city.Link(provinceID, domain.Upper).State == domain.LinkOnline && l.on(gate)
}

func (l *levels) on(channel domain.Code) bool {
	for _, it := range l.province.Core().Catalog() {
		if it.ID == domain.NodeID(channel) {
			return it.Status == domain.StatusOn
		}
	}
	return false
}

func checkNothingLeft(t *testing.T, n *domaintest.Network) {
	t.Helper()
	for _, wrong := range n.Check() {
		t.Error(wrong)
	}
}

func TestPictureComesUpThreeLevelsAndGoesWithItsLastViewer(t *testing.T) {
	l := online(t, newLevels(1))
	first := l.province.Watch(gate, domain.Live, domain.Range{})
	second := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	if !first.Open || !second.Open || first.Source == 0 || first.Source != second.Source {
		t.Fatalf("first %+v, second %+v", first, second)
	}
	for _, n := range []*domaintest.Node{l.province, l.city, l.district} {
		if got := len(n.Core().Sessions()); got != map[domain.Code]int{provinceID: 1, cityID: 2, districtID: 1}[n.Code] {
			t.Errorf("%s has %d sessions: %+v", n.Code, got, n.Core().Sessions())
		}
	}
	l.province.Leave(first)
	l.Run(time.Second)
	if len(l.district.Core().Sessions()) != 1 {
		t.Error("the stream ended while somebody watched")
	}
	l.province.Leave(second)
	l.Run(time.Second)
	checkNothingLeft(t, l.Network)
}

func TestHundredViewersShareOneStreamOnEveryHop(t *testing.T) {
	l := online(t, newLevels(2))
	var tickets []*domaintest.Ticket
	for range 100 {
		tickets = append(tickets, l.province.Watch(gate, domain.Live, domain.Range{}))
		l.Run(7 * time.Millisecond)
	}
	l.Run(2 * time.Second)
	if p, c := l.province.Count["Invite"], l.city.Count["Invite"]; p != 1 || c != 1 {
		t.Errorf("province sent %d INVITEs and city %d, want 1 each", p, c)
	}
	for _, tk := range tickets {
		if !tk.Open {
			t.Errorf("ticket %+v not open", tk)
		}
		l.province.Leave(tk)
	}
	l.Run(time.Second)
	checkNothingLeft(t, l.Network)
}

// TestAnyOneMessageLost loses the k-th message completely, for every k of a live
// session with three levels: it works, or is refused naming a level, and nothing is left.
func TestAnyOneMessageLost(t *testing.T) {
	watched, refused := 0, 0
	for k := 1; ; k++ {
		l := online(t, newLevels(3))
		from := l.Messages
		l.Drop = func(message int) bool { return message == from+k }
		tk := l.province.Watch(gate, domain.Live, domain.Range{})
		start := l.Now
		for tk.Answers == 0 && l.Now.Sub(start) < 32*time.Second {
			l.Run(100 * time.Millisecond)
		}
		switch {
		case tk.Answers != 1:
			t.Fatalf("message %d lost: no answer in 32 s", k)
		case tk.Open:
			watched++
			l.Run(5 * time.Second)
		case !namesLevel(tk.Err):
			t.Errorf("message %d lost: refused without a level: %v", k, tk.Err)
		default:
			refused++
		}
		if l.Messages < from+k {
			break // fewer messages than k: all were tried
		}
		l.province.Leave(tk)
		l.Run(100 * time.Second)
		for _, wrong := range l.Check() {
			t.Errorf("message %d lost: %s", k, wrong)
		}
	}
	if watched == 0 || refused == 0 {
		t.Errorf("%d watched, %d refused: the faults were not injected", watched, refused)
	}
}

func namesLevel(err error) bool {
	return err != nil && (strings.Contains(err.Error(), string(cityID)) || strings.Contains(err.Error(), string(districtID)))
}

// TestMediaFaultOnAnyLevel fails or forgets each media step of each level.
func TestMediaFaultOnAnyLevel(t *testing.T) {
	for _, code := range []domain.Code{provinceID, cityID, districtID} {
		for _, step := range []string{"OpenReceiver", "ConnectReceiver", "OpenSender", "StartSender"} {
			for _, out := range []domaintest.Outcome{{Err: domain.ErrBusy}, {Never: true}, {Delay: 5 * time.Second}} {
				t.Run(fmt.Sprint(code[:6], step, out), func(t *testing.T) { mediaFault(t, code, step, out) })
			}
		}
	}
}

func mediaFault(t *testing.T, code domain.Code, step string, out domaintest.Outcome) {
	l := online(t, newLevels(4))
	hit := false
	l.Script = func(node domain.Code, fx domain.Effect) domaintest.Outcome {
		if node == code && strings.HasSuffix(fmt.Sprintf("%T", fx), step) {
			hit = true
			return out
		}
		return domaintest.Outcome{}
	}
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(32 * time.Second)
	needless := code == districtID && strings.HasSuffix(step, "Receiver") || code == provinceID && strings.HasSuffix(step, "Sender")
	if hit == needless {
		t.Errorf("fault injected: %v", hit)
	}
	if tk.Answers != 1 {
		t.Errorf("ticket %+v", tk)
	}
	if out.Err != nil && !needless && tk.Open {
		t.Error("open in spite of the fault")
	}
	if !tk.Open && code != provinceID && !namesLevel(tk.Err) {
		t.Errorf("refused without a level: %v", tk.Err)
	}
	l.province.Leave(tk)
	l.Run(100 * time.Second)
	checkNothingLeft(t, l.Network)
}

func TestRefusalNamesTheLevelAndTheCause(t *testing.T) {
	l := online(t, newLevels(5))
	l.Script = func(node domain.Code, fx domain.Effect) domaintest.Outcome {
		if _, ok := fx.(domain.OpenSender); ok && node == districtID {
			return domaintest.Outcome{Err: domain.ErrBusy}
		}
		return domaintest.Outcome{}
	}
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(5 * time.Second)
	var refused *domain.Refused
	if !errors.As(tk.Err, &refused) || refused.Level != districtID || refused.Status != 486 || refused.Reason != "busy" {
		t.Errorf("got %v, want %s: 486 busy", tk.Err, districtID)
	}
	checkNothingLeft(t, l.Network)
}

// TestKeyFrameIsAskedForThroughThreeLevels: who waits for one at the top has the
// encoder at the bottom asked, once for all who wait.
func TestKeyFrameIsAskedForThroughThreeLevels(t *testing.T) {
	l := online(t, newLevels(3))
	tk := l.province.Watch(gate, domain.Live, domain.Range{})
	l.Run(2 * time.Second)
	if !tk.Open {
		t.Fatalf("%+v", tk)
	}
	for range 5 {
		l.province.Step(domain.KeyFrameWanted{Leg: tk.Source})
	}
	l.Run(time.Second)
	if p, c, d := l.province.Count["AskKeyFrame"], l.city.Count["AskKeyFrame"], l.district.Count["WantKeyFrame"]; p != 1 || c != 1 || d != 1 {
		t.Errorf("asked %d times at the top, %d between, %d at the encoder", p, c, d)
	}
	l.Run(4 * time.Second)
	if d := l.district.Count["WantKeyFrame"]; d != 2 {
		t.Errorf("the encoder was asked %d times in all, want the second for who asked too soon", d)
	}
	l.province.Leave(tk)
	l.Run(time.Second)
	checkNothingLeft(t, l.Network)
}
