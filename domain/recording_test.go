package domain_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"districtgateway/domain"
	"districtgateway/domain/domaintest"
)

var everywhere = domain.RecordFilter{Indistinct: true}

// twice has the district know n recordings and the city 10 of the same hours.
func twice(l *levels, n int) {
	l.district.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return rows(n), nil }
	l.city.Archive = func(fx domain.FindRecords) ([]domain.Recording, error) { return rows(10), nil }
}

// TestIndistinctQueryMergesWhatEveryLevelHas: the owner alone answers an ordinary query,
// with the middle level's own recordings an indistinct one, under one total.
func TestIndistinctQueryMergesWhatEveryLevelHas(t *testing.T) {
	for _, tc := range []struct {
		filter domain.RecordFilter
		want   int
		owner  domain.Code
	}{{domain.RecordFilter{}, 40, districtID}, {everywhere, 50, provinceID}} {
		l := newLevels(1)
		l.Faults = domaintest.Faults{Loss: 0.05, Dup: 0.2, Reorder: 0.2}
		online(t, l)
		twice(l, 40)
		l.city.Keep = true
		tk := l.province.Filtered(gate, morning, tc.filter)
		l.Run(time.Minute)
		if tk.Answers != 1 || len(tk.Records) != tc.want || tk.Partial || tk.Err != nil || tk.Owner != tc.owner {
			t.Fatalf("%+v: %d answers, %d records, partial %v, %v, of %s", tc.filter, tk.Answers, len(tk.Records), tk.Partial, tk.Err, tk.Owner)
		}
		for i, r := range tk.Records {
			if i > 0 && r.Range.From.Before(tk.Records[i-1].Range.From) {
				t.Fatalf("record %d out of order", i)
			}
			if lies := domain.Code(r.Location); lies != districtID && lies != cityID || r.Recorder != r.Location {
				t.Errorf("record %d: %+v", i, r)
			}
		}
		for _, fx := range l.city.Effects {
			if fx, ok := fx.(domain.SendRecords); ok && fx.Sum != tc.want {
				t.Errorf("the city told a total of %d, want %d", fx.Sum, tc.want)
			}
		}
		checkNothingLeft(t, l.Network)
	}
}

// TestIndistinctQueryIsNeverCalledWholeWhenItIsNot loses each message in turn, and has
// the archive in the middle fail.
func TestIndistinctQueryIsNeverCalledWholeWhenItIsNot(t *testing.T) {
	whole, partial, denied := 0, 0, 0
	for k := 1; ; k++ {
		l := online(t, newLevels(2))
		twice(l, 60)
		from := l.Messages
		l.Drop = func(message int) bool { return message == from+k }
		tk := l.province.Filtered(gate, morning, everywhere)
		l.Run(2 * time.Minute)
		if l.Messages < from+k {
			break
		}
		switch {
		case tk.Answers != 1:
			t.Errorf("message %d lost: answered %d times", k, tk.Answers)
		case tk.Err != nil:
			denied++
		case tk.Partial:
			partial++
		case len(tk.Records) != 70:
			t.Errorf("message %d lost: %d records called complete", k, len(tk.Records))
		default:
			whole++
		}
		for _, wrong := range l.Check() {
			t.Errorf("message %d lost: %s", k, wrong)
		}
	}
	if whole == 0 || partial == 0 || denied == 0 {
		t.Errorf("%d whole, %d partial, %d denied: the faults were not injected", whole, partial, denied)
	}
	l := online(t, newLevels(3))
	twice(l, 60)
	l.city.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return nil, errors.New("volume gone") }
	tk := l.province.Filtered(gate, morning, everywhere)
	l.Run(time.Minute)
	if len(tk.Records) != 60 || !tk.Partial {
		t.Errorf("the city's archive failed: %d records, partial %v, %v", len(tk.Records), tk.Partial, tk.Err)
	}
}

func TestUserMayLeaveAMergedQueryAtAnyMoment(t *testing.T) {
	for after := time.Duration(0); after < 300*time.Millisecond; after += 5 * time.Millisecond {
		l := online(t, newLevels(4))
		twice(l, 40)
		tk := l.city.Filtered(gate, morning, everywhere)
		l.Run(after)
		l.city.Leave(tk)
		l.Run(40 * time.Second)
		for _, wrong := range l.Check() {
			t.Errorf("left after %v: %s", after, wrong)
		}
	}
}

// TestQueryNamesWhoAskedAndWhoAnswers: from the initiator down to the owner and back,
// and nothing of it to a standard peer.
func TestQueryNamesWhoAskedAndWhoAnswers(t *testing.T) {
	for _, plain := range []bool{false, true} {
		l := newLevels(5)
		l.district.Plain = plain
		online(t, l)
		l.district.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return rows(3), nil }
		l.district.Keep, l.city.Keep = true, true
		tk := l.province.Records(gate, morning)
		l.Run(10 * time.Second)
		asker, owner := fmt.Sprintf("%s-%d", provinceID, tk.ID), districtID
		if plain {
			asker, owner = "", ""
		}
		answers := 0
		for _, fx := range l.district.Effects {
			if fx, ok := fx.(domain.SendRecords); ok {
				if answers++; fx.Asker != asker || fx.Owner != owner {
					t.Errorf("plain %v: answer to %q of %q", plain, fx.Asker, fx.Owner)
				}
			}
		}
		for _, fx := range l.city.Effects {
			if fx, ok := fx.(domain.Query); ok && fx.Kind == domain.QueryRecords && fx.Asker != asker {
				t.Errorf("plain %v: asked for %q", plain, fx.Asker)
			}
		}
		if answers != 1 || tk.Owner != districtID || len(tk.Records) != 3 {
			t.Errorf("plain %v: %d answers, %+v", plain, answers, tk)
		}
	}
}

func TestRecordingsAreFiltered(t *testing.T) {
	all := rows(6)
	all[1].Kind, all[2].Kind = domain.RecordAlarm, domain.RecordManual
	l := online(t, newLevels(6))
	l.district.Archive = func(domain.FindRecords) ([]domain.Recording, error) { return all, nil }
	ask := func(f domain.RecordFilter) []domain.Recording {
		t.Helper()
		tk := l.province.Filtered(gate, morning, f)
		l.Run(5 * time.Second)
		if tk.Err != nil || tk.Partial {
			t.Errorf("%+v: %+v", f, tk)
		}
		return tk.Records
	}
	third := ask(domain.RecordFilter{})[2].Path
	if want := "33010200002000000001/33010200001320000001/20260228T000200Z-20260228T000300Z"; third != want {
		t.Errorf("address %s, want %s", third, want)
	}
	all[2].Range.To = all[2].Range.To.Add(20 * time.Second) // it has grown
	all[2].Range.From = all[2].Range.From.Add(10 * time.Second)
	all[3].Range.From = all[2].Range.To
	for name, tc := range map[string]struct {
		filter domain.RecordFilter
		want   int
	}{
		"all":                  {domain.RecordFilter{}, 6},
		"alarm":                {domain.RecordFilter{OneKind: true, Kind: domain.RecordAlarm}, 1},
		"scheduled":            {domain.RecordFilter{OneKind: true}, 4},
		"classified":           {domain.RecordFilter{Secret: true}, 0},
		"recorded here":        {domain.RecordFilter{Recorder: string(districtID)}, 6},
		"recorded elsewhere":   {domain.RecordFilter{Recorder: string(cityID)}, 0},
		"at its address":       {domain.RecordFilter{Path: third}, 1},
		"at another's address": {domain.RecordFilter{Path: string(cityID) + third[20:]}, 0},
		"of another channel":   {domain.RecordFilter{Path: string(districtID) + "/" + string(door) + third[41:]}, 0},
		"at no address":        {domain.RecordFilter{Path: third[:60]}, 0},
		"with a tail":          {domain.RecordFilter{Path: third + "/x"}, 0},
	} {
		if got := ask(tc.filter); len(got) != tc.want {
			t.Errorf("%s: %d, want %d: %+v", name, len(got), tc.want, got)
		}
	}
	checkNothingLeft(t, l.Network)
}
