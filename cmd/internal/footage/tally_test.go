package footage

import (
	"testing"
	"time"

	"districtgateway/cmd/internal/counter"
	"districtgateway/media"
)

func TestTallyNamesEachFault(t *testing.T) {
	for name, tc := range map[string]struct {
		numbers []uint64
		want    string
	}{
		"in order":            {[]uint64{5, 6, 7}, "3 pictures, 0 lost, 0 duplicated, 0 reordered"},
		"one lost":            {[]uint64{5, 7, 8}, "3 pictures, 1 lost, 0 duplicated, 0 reordered"},
		"one late":            {[]uint64{5, 7, 6, 8}, "4 pictures, 0 lost, 0 duplicated, 1 reordered"},
		"one twice":           {[]uint64{5, 6, 6, 7}, "4 pictures, 0 lost, 1 duplicated, 0 reordered"},
		"late, then again":    {[]uint64{5, 7, 6, 6}, "4 pictures, 0 lost, 1 duplicated, 1 reordered"},
		"before the first":    {[]uint64{5, 4, 6}, "3 pictures, 0 lost, 0 duplicated, 1 reordered"},
		"a jump to the limit": {[]uint64{0, 1 << 63}, "2 pictures, 1073741824 lost, 0 duplicated, 0 reordered"},
	} {
		t.Run(name, func(t *testing.T) {
			var got Tally
			for _, n := range tc.numbers {
				got.Number(n)
			}
			if got.String() != tc.want {
				t.Errorf("%s, want %s", &got, tc.want)
			}
			if clean := name == "in order"; got.Whole() != clean {
				t.Errorf("Whole() = %v", got.Whole())
			}
		})
	}
}

func TestTallyReadsTheMark(t *testing.T) {
	sent := time.Unix(1_700_000_000, 0)
	for _, codec := range []media.Codec{media.H264, media.H265} {
		s := Sample{Track: &Track{Codec: codec, lengthSize: 4}, Data: sized(counter.AppendSEI(nil, codec == media.H265, 9, sent))}
		var got Tally
		if err := got.Add(s, sent.Add(120*time.Millisecond)); err != nil || got.Pictures != 1 || got.Delay != 120*time.Millisecond {
			t.Errorf("%v: %s, delay %s, %v", codec, &got, got.Delay, err)
		}
		s.Data = sized([]byte{0x65, 1})
		if err := got.Add(s, sent); err != nil || got.Unnumbered != 1 || got.Whole() {
			t.Errorf("%v: %s, %v after a picture without a mark", codec, &got, err)
		}
	}
}
