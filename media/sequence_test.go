package media

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// run pushes packets with the given sequence numbers, one a millisecond, and
// returns what comes out, with a gap as its negative length.
func runSequencer(q *sequencer, seqs []int) (out []int, verdicts []verdict) {
	take := func(seq uint16) {
		if gap := q.takeGap(); gap > 0 {
			out = append(out, -int(gap))
		}
		out = append(out, int(seq))
	}
	drain := func(giveUp bool, now time.Duration) {
		for {
			p, ok := q.pop(giveUp, now)
			if !ok {
				return
			}
			take(p.Seq)
		}
	}
	var push func(p arrival, now time.Duration)
	push = func(p arrival, now time.Duration) {
		v := q.push(p, now)
		verdicts = append(verdicts, v)
		switch v {
		case inOrder:
			take(p.Seq)
			drain(false, now)
		case kept:
			drain(false, now)
		case tooFar:
			drain(true, now)
			q.skipTo(p.Seq)
			push(p, now)
		case restarted:
			drain(true, now)
			if first, had := q.restart(p); had {
				push(first, now)
			}
			push(p, now)
		}
	}
	for i, seq := range seqs {
		push(arrival{Packet: Packet{Seq: uint16(seq)}, ssrc: 1}, time.Duration(i)*time.Millisecond)
	}
	return out, verdicts
}

func TestSequencer(t *testing.T) {
	for name, tc := range map[string]struct {
		window   int
		in, want []int
	}{
		"in order":                       {4, []int{1, 2, 3}, []int{1, 2, 3}},
		"across the wrap":                {4, []int{65534, 65535, 0, 1}, []int{65534, 65535, 0, 1}},
		"swapped":                        {4, []int{1, 3, 2, 4}, []int{1, 2, 3, 4}},
		"swapped across the wrap":        {4, []int{65534, 0, 65535, 1}, []int{65534, 65535, 0, 1}},
		"early by the window":            {4, []int{1, 3, 4, 5, 6, 2, 7}, []int{1, 2, 3, 4, 5, 6, 7}},
		"given up beyond the window":     {4, []int{1, 3, 4, 5, 6, 7, 2, 8}, []int{1, -1, 3, 4, 5, 6, 7, 8}},
		"doubled":                        {4, []int{1, 1, 2, 3, 3, 2}, []int{1, 2, 3}},
		"doubled while waiting":          {4, []int{1, 3, 3, 2}, []int{1, 2, 3}},
		"far ahead":                      {4, []int{1, 2, 100, 101}, []int{1, 2, -97, 100, 101}},
		"far ahead with some kept":       {4, []int{1, 3, 100}, []int{1, -1, 3, -96, 100}},
		"ordered transport: gap at once": {0, []int{1, 3, 4}, []int{1, -1, 3, 4}},
		"ordered transport: doubled":     {0, []int{1, 1, 2}, []int{1, 2}},
		"sender begins anew":             {4, []int{10000, 10001, 50, 51, 52}, []int{10000, 10001, 50, 51, 52}},
		"one stray":                      {4, []int{10000, 50, 10001, 10002}, []int{10000, 10001, 10002}},
		"begins anew while one is kept":  {4, []int{10000, 10002, 50, 51}, []int{10000, -1, 10002, 50, 51}},
	} {
		t.Run(name, func(t *testing.T) {
			q := newSequencer(tc.window)
			got, verdicts := runSequencer(&q, tc.in)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %v (verdicts %v), want %v", got, verdicts, tc.want)
			}
		})
	}
}

// Every packet comes out once and in order, however they are shuffled within the
// window.
func TestSequencerRestoresAnyOrderWithinTheWindow(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := make([]int, 0, 600)
		for i := 0; i < 600; i += 16 { // shuffled in blocks of the window
			block := make([]int, 16)
			for j := range block {
				block[j] = int(uint16(65000 + i + j))
			}
			if i > 0 { // the very first packet starts the flow
				r.Shuffle(len(block), func(a, b int) { block[a], block[b] = block[b], block[a] })
			}
			in = append(in, block...)
		}
		q := newSequencer(16)
		got, _ := runSequencer(&q, in)
		for i, seq := range got {
			if seq != int(uint16(65000+i)) {
				t.Fatalf("seed %d: position %d holds %d", seed, i, seq)
			}
		}
		if len(got) != len(in) {
			t.Fatalf("seed %d: %d packets came out of %d", seed, len(got), len(in))
		}
	}
}

func TestSequencerTellsLateFromDuplicate(t *testing.T) {
	q := newSequencer(2)
	_, v := runSequencer(&q, []int{1, 3, 4, 5, 2, 3})
	want := []verdict{inOrder, kept, kept, kept, tooLate, duplicate}
	if !slices.Equal(v, want) {
		t.Errorf("verdicts %v, want %v", v, want)
	}
}

func TestSequencerBelievesAnotherSSRC(t *testing.T) {
	other := func(seq uint16) arrival { return arrival{Packet: Packet{Seq: seq}, ssrc: 2} }
	t.Run("after two packets in a row", func(t *testing.T) {
		q := newSequencer(4)
		runSequencer(&q, []int{1, 2})
		if v := q.push(other(70), 0); v != stray {
			t.Fatalf("first packet: %v", v)
		}
		if v := q.push(other(71), 0); v != restarted {
			t.Fatalf("second packet: %v", v)
		}
	})
	t.Run("at once after a silence", func(t *testing.T) {
		q := newSequencer(4)
		runSequencer(&q, []int{1, 2})
		if v := q.push(other(70), 2*time.Second); v != restarted {
			t.Fatalf("first packet: %v", v)
		}
		if first, had := q.restart(other(70)); had || first.Seq != 70 {
			t.Errorf("restart = %v, %t", first, had)
		}
	})
	t.Run("not a lone one", func(t *testing.T) {
		q := newSequencer(4)
		runSequencer(&q, []int{1, 2})
		q.push(other(70), 0)
		q.push(arrival{Packet: Packet{Seq: 3}, ssrc: 1}, 0)
		if v := q.push(other(71), 0); v != stray {
			t.Errorf("verdict %v, want stray", v)
		}
	})
}
