package storage

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// openTestIndex opens an index of its own, in this process.
func openTestIndex(t *testing.T, dir string, limit int64) *index {
	t.Helper()
	h := hello{dir: dir, volume: VolumeID{1, 2, 3}, session: 9, indexBytes: limit}
	x, err := openIndex(h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestIndexAnswersLikeAMap does random things to an index and to a map.
func TestIndexAnswersLikeAMap(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	x := openTestIndex(t, dir, 48<<10)
	defer func() { x.close() }()
	model := map[string]map[int64]Segment{"a": {}, "b": {}}
	epoch := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC).UnixNano()
	for range 250 {
		ch := string(rune('a' + rnd.IntN(2)))
		switch n := rnd.IntN(10); {
		case n < 5:
			rows := randomRows(rnd, ch, epoch)
			if err := x.put(rows); err != nil {
				t.Fatal(err)
			}
			for _, s := range rows {
				model[ch][s.Start] = s
			}
		case n < 7:
			from := epoch + rnd.Int64N(int64(40*24*time.Hour))
			compareQuery(t, x, model[ch], query{channel: ch, from: from, to: from + rnd.Int64N(int64(3*time.Hour))})
		case n < 9:
			expireBoth(t, x, model, expiry{bytes: rnd.Int64N(1 << 20), limit: 5, cutoff: epoch + rnd.Int64N(int64(time.Hour))})
		default:
			if err := x.close(); err != nil {
				t.Fatal(err)
			}
			x = openTestIndex(t, dir, 48<<10)
		}
	}
	for ch := range model {
		compareQuery(t, x, model[ch], query{channel: ch, to: 1 << 62})
	}
	st, err := x.stats()
	var bytes, segments int64
	for _, rows := range model {
		for _, s := range rows {
			bytes += s.Bytes
			segments++
		}
	}
	if err != nil || st.bytes != bytes || st.segments != segments {
		t.Errorf("totals %+v, %v, want %d bytes in %d", st, err, bytes, segments)
	}
	parts := 0
	for _, m := range x.months {
		parts += len(m.parts)
	}
	if parts < 3 {
		t.Errorf("%d index files: the limit of size was not tried", parts)
	}
}

func randomRows(rnd *rand.Rand, ch string, epoch int64) []Segment {
	at := epoch + rnd.Int64N(40*24*60)*int64(time.Minute)
	var rows []Segment
	for range 1 + rnd.IntN(20) {
		s := Segment{
			Channel: ch, Start: at, End: at + rnd.Int64N(int64(time.Minute)), Duration: media.Ticks(rnd.Int64N(1 << 30)),
			Bytes: rnd.Int64N(1 << 16), CRC: rnd.Uint32(), Frames: rnd.Uint32(), Keys: rnd.Uint32(),
			Kind: KindAlarm, Cause: Cause(rnd.IntN(int(causes))), Codecs: [4]media.Codec{media.H265, media.AAC},
		}
		if rnd.IntN(4) == 0 {
			s.Before = []Gap{{at - rnd.Int64N(1e12), at, CauseNetwork}}
		}
		rows = append(rows, s)
		at += int64(time.Minute)
	}
	return rows
}

// compareQuery asks both, all pages.
func compareQuery(t *testing.T, x *index, model map[int64]Segment, q query) {
	t.Helper()
	var got []Segment
	for page := q; ; {
		rows, more, err := x.query(page)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rows...)
		if !more {
			break
		}
		page.after = rows[len(rows)-1].Start
	}
	got = within(got, q.from, q.to)
	var want []Segment
	for _, s := range model {
		if s.Start < q.to && s.End > q.from {
			want = append(want, s)
		}
	}
	slices.SortFunc(want, func(a, b Segment) int { return cmp.Compare(a.Start, b.Start) })
	if d := gocmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
		t.Fatalf("query %+v: %s", q, d)
	}
}

// expireBoth marks and purges, and checks that the oldest went.
func expireBoth(t *testing.T, x *index, model map[string]map[int64]Segment, e expiry) {
	t.Helper()
	rows, err := x.mark(e)
	if err != nil {
		t.Fatal(err)
	}
	freed := int64(0)
	for _, s := range rows {
		if s.End >= e.cutoff && freed >= e.bytes {
			t.Errorf("segment %d was deleted without need", s.Start)
		}
		freed += s.Bytes
		if _, ok := model[s.Channel][s.Start]; !ok {
			t.Errorf("segment %d is not known", s.Start)
		}
		delete(model[s.Channel], s.Start)
	}
	for more := true; more; {
		if more, err = x.purge(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMarkedSegmentsGoAfterACrash ends between marking and purging.
func TestMarkedSegmentsGoAfterACrash(t *testing.T) {
	dir := t.TempDir()
	x := openTestIndex(t, dir, 1<<20)
	rows := []Segment{{Channel: "a", Start: 1e18, End: 1e18 + 1, Bytes: 5}, {Channel: "a", Start: 2e18 / 2 * 1, End: 1e18 + 1, Bytes: 5}, {Channel: "a", Start: 1e18 + 5, End: 1e18 + 6, Bytes: 7}}
	if err := x.put(rows); err != nil {
		t.Fatal(err)
	}
	if _, err := x.mark(expiry{bytes: 1, limit: 1}); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := x.query(query{channel: "a", to: 1 << 62}); len(got) != 1 {
		t.Errorf("a marked segment is still found: %+v", got)
	}
	x.close()
	x = openTestIndex(t, dir, 1<<20)
	defer x.close()
	if len(x.marked) != 1 {
		t.Fatalf("marked after restart: %+v", x.marked)
	}
	if _, err := x.purge(); err != nil {
		t.Fatal(err)
	}
	if st, err := x.stats(); err != nil || st.segments != 1 || st.bytes != 7 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestBusyIndexFileIsNotDamage opens a file that another process still has.
func TestBusyIndexFileIsNotDamage(t *testing.T) {
	dir := t.TempDir()
	x := openTestIndex(t, dir, 1<<20)
	defer x.close()
	if err := x.put([]Segment{{Channel: "a", Start: 1e18, End: 1e18 + 1}}); err != nil {
		t.Fatal(err)
	}
	if _, err := openIndex(x.hello, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("opened twice")
	}
	if found, _ := os.ReadDir(x.path("")); len(found) != 2 {
		t.Errorf("files %v: want the index and its state", found)
	}
}
