package rtp

import (
	"testing"

	"github.com/pion/rtcp"

	"districtgateway/media/mediatest/cost"
)

// feedbacks also seed the fuzzer.
func feedbacks(t testing.TB) map[string]struct {
	bytes []byte
	want  bool
} {
	write := func(list ...rtcp.Packet) []byte {
		b, err := rtcp.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	report := &rtcp.ReceiverReport{SSRC: 1}
	name := rtcp.NewCNAMESourceDescription(1, "player")
	pli, fir := &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2}, &rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 2}}}
	whole := write(report, name, pli)
	return map[string]struct {
		bytes []byte
		want  bool
	}{
		"PLI":             {write(pli), true},
		"FIR":             {write(fir), true},
		"PLI in compound": {whole, true},
		"FIR in compound": {write(report, name, fir), true},
		"cut short":       {whole[:len(whole)-1], false},
		"a report":        {write(report, name), false},
		"bandwidth":       {write(&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e6, SSRCs: []uint32{2}}), false},
		"loss":            {write(&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2, Nacks: []rtcp.NackPair{{PacketID: 1}}}), false},
		"no RTCP":         {[]byte("GET / HTTP/1.1\r\n"), false},
		"PLI of nothing":  {[]byte{0x81, 206, 0, 0}, false},
		"empty":           {nil, false},
	}
}

func TestKeyFrameIsWantedByPLIAndFIR(t *testing.T) {
	for name, tc := range feedbacks(t) {
		if got := WantsKey(tc.bytes); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// FuzzWantsKey reads any datagram: nothing panics, and it ends.
func FuzzWantsKey(f *testing.F) {
	for _, tc := range feedbacks(f) {
		f.Add(tc.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cost.Bound(t, func() { WantsKey(b) })
	})
}
