package domain_test

import (
	"errors"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

var morning = domain.Range{From: time.Date(2026, 2, 28, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC)}

func TestPlaybackEndsOnEveryLevelWhenAllWasSent(t *testing.T) {
	l := online(t, newLevels(1))
	first := l.province.Watch(gate, domain.Playback, morning)
	second := l.province.Watch(gate, domain.Playback, morning)
	l.Run(2 * time.Second)
	if !first.Open || !second.Open || first.Source == second.Source {
		t.Fatalf("first %+v, second %+v: want two streams", first, second)
	}
	l.Run(15 * time.Second)
	if first.Ends != 1 || first.Err != nil || second.Ends != 1 {
		t.Errorf("first %+v, second %+v: want ended, all sent", first, second)
	}
	if got := l.city.Count["SendMediaStatus"]; got != 2 {
		t.Errorf("city told %d times that all was sent, want 2", got)
	}
	checkNothingLeft(t, l.Network)
}

func TestPlaybackEndsThoughAnyOneMessageIsLost(t *testing.T) {
	for k := 1; ; k++ {
		l := online(t, newLevels(2))
		from := l.Messages
		l.Drop = func(message int) bool { return message == from+k }
		tk := l.province.Watch(gate, domain.Playback, morning)
		l.Run(3 * time.Minute)
		if l.Messages < from+k {
			break
		}
		if tk.Answers != 1 || tk.Open {
			t.Errorf("message %d lost: %+v", k, tk)
		}
		for _, wrong := range l.Check() {
			t.Errorf("message %d lost: %s", k, wrong)
		}
	}
}

// TestViewerLeavesAtAnyMoment leaves after every 5 ms of the opening, so in every
// state of every level.
func TestViewerLeavesAtAnyMoment(t *testing.T) {
	for _, kind := range []domain.Kind{domain.Live, domain.Playback, domain.Download} {
		for after := time.Duration(0); after < 400*time.Millisecond; after += 5 * time.Millisecond {
			l := online(t, newLevels(3))
			tk := l.province.Watch(gate, kind, morning)
			l.Run(after)
			l.province.Leave(tk)
			l.Run(40 * time.Second)
			for _, wrong := range l.Check() {
				t.Errorf("%s left after %v: %s", kind, after, wrong)
			}
		}
	}
}

func rows(n int) []domain.Recording {
	all := make([]domain.Recording, n)
	for i := range all {
		from := morning.From.Add(time.Duration(i) * time.Minute)
		all[i] = domain.Recording{Channel: gate, Range: domain.Range{From: from, To: from.Add(time.Minute)}, Path: "/r", Bytes: 1}
	}
	return all
}

func TestThousandRecordingsComeThroughThreeLevels(t *testing.T) {
	l := newLevels(4)
	l.Faults = domaintest.Faults{Loss: 0.05, Dup: 0.1, Reorder: 0.2}
	online(t, l)
	l.district.Archive = func(fx domain.FindRecords) ([]domain.Recording, error) {
		if fx.Channel != gate || fx.Range != morning {
			t.Errorf("asked for %+v", fx)
		}
		return rows(1000), nil
	}
	tk := l.province.Records(gate, morning)
	l.Run(2 * time.Minute)
	if tk.Answers != 1 || len(tk.Records) != 1000 || tk.Partial || tk.Err != nil {
		t.Fatalf("%d answers, %d records, partial %v, %v", tk.Answers, len(tk.Records), tk.Partial, tk.Err)
	}
	for i, r := range tk.Records {
		if r.Channel != gate || i > 0 && !tk.Records[i-1].Range.From.Before(r.Range.From) {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	checkNothingLeft(t, l.Network)
}

func TestNoRecordingIsASuccess(t *testing.T) {
	l := online(t, newLevels(5))
	tk := l.province.Records(gate, morning)
	l.Run(time.Second)
	if tk.Answers != 1 || tk.Err != nil || len(tk.Records) != 0 || tk.Partial {
		t.Errorf("%+v", tk)
	}
}

func TestRecordQueryEndsThoughAnyOneMessageIsLost(t *testing.T) {
	whole, partial, denied := 0, 0, 0
	for k := 1; ; k++ {
		l := online(t, newLevels(6))
		l.district.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return rows(60), nil }
		from := l.Messages
		l.Drop = func(message int) bool { return message == from+k }
		tk := l.province.Records(gate, morning)
		l.Run(2 * time.Minute)
		if l.Messages < from+k {
			break
		}
		switch {
		case tk.Answers != 1:
			t.Errorf("message %d lost: answered %d times", k, tk.Answers)
		case tk.Err != nil:
			if denied++; !namesLevel(tk.Err) {
				t.Errorf("message %d lost: %v names no level", k, tk.Err)
			}
		case tk.Partial:
			partial++
		case len(tk.Records) != 60:
			t.Errorf("message %d lost: %d records called complete", k, len(tk.Records))
		default:
			whole++
		}
	}
	if whole == 0 || partial == 0 || denied == 0 {
		t.Errorf("%d whole, %d partial, %d denied: the faults were not injected", whole, partial, denied)
	}
}

// One volume of two does not answer: what the other has is told, and that it is not all.
func TestHalfAnArchiveIsToldAsHalf(t *testing.T) {
	l := online(t, newLevels(7))
	half := []domain.Recording{{Channel: gate, Range: morning}}
	l.district.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return half, errors.New("volume gone") }
	for where, node := range map[string]*domaintest.Node{"own": l.district, "two levels up": l.province} {
		tk := node.Records(gate, morning)
		l.Run(30 * time.Second)
		if tk.Answers != 1 || tk.Err != nil || len(tk.Records) != 1 || !tk.Partial {
			t.Errorf("%s: %d answers, %v, %d recordings, partial %v", where, tk.Answers, tk.Err, len(tk.Records), tk.Partial)
		}
	}
}

func TestRecordQueryOfAnArchiveThatFails(t *testing.T) {
	l := online(t, newLevels(7))
	l.district.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return nil, errors.New("volume gone") }
	own, above := l.district.Records(gate, morning), l.province.Records(gate, morning)
	unknown := l.province.Records("33010200001320009999", morning)
	l.Run(30 * time.Second)
	if own.Err == nil || above.Err == nil || !errors.Is(unknown.Err, domain.ErrNoChannel) {
		t.Errorf("own %v, above %v, unknown %v", own.Err, above.Err, unknown.Err)
	}
}
