package main

import (
	"os"
	"slices"
	"testing"
	"time"

	"districtgateway/cmd/internal/bench/peer"
	"districtgateway/cmd/internal/bench/traffic"
	"districtgateway/cmd/internal/config"
)

func TestMedianIsTheMiddleOrTheMeanOfTwo(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{{[]float64{7}, 7}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("median of %v = %v, want %v", tc.values, got, tc.want)
		}
	}
}

// costing returns a cell that cost so many CPU seconds a gigabit.
func costing(cost float64, lost string) cell {
	return cell{busy: time.Duration(cost * float64(time.Second)), bytes: 1e9 / 8, lost: lost}
}

func TestRatiosAreTakenRoundByRoundAndVoidOnesLeftOut(t *testing.T) {
	peer := []cell{costing(4, ""), costing(9, ""), costing(3, "1 lost"), costing(8, "")}
	ours := []cell{costing(2, ""), costing(3, ""), costing(1, ""), costing(1, "1 lost")}
	list, void := ratios(peer, ours)
	if !slices.Equal(list, []float64{2, 3}) || void != 2 {
		t.Errorf("ratios %v, %d void", list, void)
	}
}

func TestABarOfRatiosIsKeptByTheMedianOfMostRounds(t *testing.T) {
	for name, tc := range map[string]struct {
		list []float64
		void int
		want Verdict
	}{
		"reached":           {[]float64{1, 3, 4}, 0, Kept},
		"at the bar":        {[]float64{3}, 0, Kept},
		"below":             {[]float64{2, 2, 9}, 0, Missed},
		"one round is void": {[]float64{4, 4}, 1, Kept},
		"half are void":     {[]float64{4, 4}, 2, Void},
		"all are void":      {nil, 5, Void},
	} {
		if got := judgeRatios(tc.list, tc.void, 3); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestACellIsVoidUnlessEverythingArrived(t *testing.T) {
	work := task{sources: 2, readers: 3}
	good := account{sent: traffic.Sent{Playing: 2, Bytes: 1000}, got: traffic.Receipt{Readers: 6, Totals: traffic.Totals{Bytes: 3000, Packets: 3, Pictures: 3}}}
	for name, tc := range map[string]struct {
		change func(*task, *account)
		void   bool
	}{
		"everything":               {func(*task, *account) {}, false},
		"a packet lost":            {func(_ *task, a *account) { a.got.Lost = 1 }, true},
		"a packet twice":           {func(_ *task, a *account) { a.got.Twice = 1 }, true},
		"a picture missing":        {func(_ *task, a *account) { a.got.Missing = 1 }, true},
		"a picture damaged":        {func(_ *task, a *account) { a.got.Damaged = 1 }, true},
		"a tenth less than sent":   {func(_ *task, a *account) { a.got.Bytes = 2700 }, true},
		"a tenth more than sent":   {func(_ *task, a *account) { a.got.Bytes = 3300 }, true},
		"a source that is not fed": {func(_ *task, a *account) { a.sent.Playing = 1 }, true},
		"a reader that left":       {func(_ *task, a *account) { a.got.Readers = 5 }, true},
		"a reader that failed":     {func(_ *task, a *account) { a.got.Ended = "reset" }, true},
		"a source that is late":    {func(_ *task, a *account) { a.sent.Late = 2 * time.Second }, true},
		"all recorded":             {func(w *task, a *account) { w.record, a.recorded = true, 900 }, false},
		"half recorded":            {func(w *task, a *account) { w.record, a.recorded = true, 500 }, true},
	} {
		var c cell
		w, after := work, good
		tc.change(&w, &after)
		c.settle(w, account{}, after)
		if (c.lost != "") != tc.void {
			t.Errorf("%s: void for %q", name, c.lost)
		}
	}
}

func TestACellCostsWhatReadersOrElseSourcesMakeOfIt(t *testing.T) {
	after := account{busy: time.Second, sent: traffic.Sent{Playing: 1, Bytes: 125e6}, got: traffic.Receipt{Readers: 2, Totals: traffic.Totals{Bytes: 250e6}}}
	var relayed, recorded cell
	relayed.settle(task{sources: 1, readers: 2}, account{}, after)
	recorded.settle(task{sources: 1}, account{}, after)
	if relayed.cost() != 0.5 || recorded.cost() != 1 {
		t.Errorf("relayed %v, recorded %v CPU-s/Gbit", relayed.cost(), recorded.cost())
	}
}

func TestTheGatewaysOwnJobIsAValidConfiguration(t *testing.T) {
	j := peer.Job{Dir: t.TempDir(), Host: "127.80.1.2", Sources: []string{"rtsp://127.80.1.1:1/a/0", "rtsp://127.80.1.1:1/a/1"}, Record: true}
	args, err := ours{"[[upper]]\nid = \"33010000002000000001\"\naddress = \"127.80.1.3:5060\"\n"}.Prepare(j)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		t.Fatal(err)
	}
	f, err := config.Parse(text)
	if err != nil || len(f.Encoders) != 2 || len(f.Volumes) != 1 || len(f.Uppers) != 1 {
		t.Errorf("%+v: %v", f, err)
	}
}

func TestWhoIsPushedToTakesPartInFanOutOnlyAndHasItsBar(t *testing.T) {
	known := map[string]bool{}
	for _, c := range peer.All() {
		known[c.Name()] = true
	}
	for _, w := range tasks() {
		for name := range w.bars {
			if !known[name] {
				t.Errorf("%s has a bar for %q, which is no peer", w.name, name)
			}
		}
		pushed, in := w.bars[peer.ZLMPushed]
		if in != (w.name == "fan-out") || in && pushed != w.bars["ZLMediaKit"] {
			t.Errorf("%s: %v, bar %v", w.name, in, pushed)
		}
	}
}
