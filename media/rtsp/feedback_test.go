package rtsp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"

	"districtgateway/media"
)

// TestEncoderIsAskedForAKeyFrame: one that never makes one by itself does when it gets
// our feedback, and so can be watched; and it is asked in its own way, too.
func TestEncoderIsAskedForAKeyFrame(t *testing.T) {
	for _, udp := range []bool{false, true} {
		t.Run(fmt.Sprintf("udp=%t", udp), func(t *testing.T) {
			t.Parallel()
			srv, url := serve(t)
			srv.lazy = true
			prompted := make(chan struct{}, 16)
			cfg := config(url)
			cfg.Transport, cfg.KeyFrame = over(udp), func(ctx context.Context) error {
				prompted <- struct{}{}
				<-ctx.Done() // one that never answers keeps nobody
				return ctx.Err()
			}
			s := media.NewStream(media.StreamConfig{}, func(ctx context.Context) (media.Opened, error) { return Open(ctx, cfg) })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			wg.Go(func() { _ = s.Run(ctx) })
			wg.Go(func() { srv.play(ctx) })
			if err := s.WaitReady(ctx); err != nil {
				t.Fatal(err, s.State().Err)
			}
			<-prompted
			if st := s.Stats(); st.KeyUnits > 1 {
				t.Errorf("%d key frames: it was not lazy", st.KeyUnits)
			}
		})
	}
}

// TestFeedbackIsWhatTheEncoderTakes reads it back by a library that nobody here wrote.
func TestFeedbackIsWhatTheEncoderTakes(t *testing.T) {
	for name, tc := range map[string]struct {
		attrs []sdp.Attribute
		want  rtcp.Packet
	}{
		"says nothing": {nil, &rtcp.PictureLossIndication{SenderSSRC: 7, MediaSSRC: 9}},
		"takes PLI":    {[]sdp.Attribute{{Key: "rtcp-fb", Value: "96 nack pli"}}, &rtcp.PictureLossIndication{SenderSSRC: 7, MediaSSRC: 9}},
		"takes both": {[]sdp.Attribute{{Key: "rtcp-fb", Value: "96 ccm fir"}, {Key: "rtcp-fb", Value: "96 nack  PLI"}},
			&rtcp.PictureLossIndication{SenderSSRC: 7, MediaSSRC: 9}},
		"takes FIR": {[]sdp.Attribute{{Key: "rtcp-fb", Value: "* ccm fir"}},
			&rtcp.FullIntraRequest{SenderSSRC: 7, FIR: []rtcp.FIREntry{{SSRC: 9, SequenceNumber: 1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := flow{ssrc: 9, pleas: pleas{fir: fullIntra(tc.attrs)}}
			b := make([]byte, feedbackBytes)
			list, err := rtcp.Unmarshal(b[:f.feedback(b, 7, time.Now())])
			if err != nil || len(list) != 3 {
				t.Fatal(list, err)
			}
			if err := rtcp.CompoundPacket(list).Validate(); err != nil {
				t.Error(err)
			}
			if got, want := fmt.Sprint(list[2]), fmt.Sprint(tc.want); got != want {
				t.Errorf("asks by %s, want %s", got, want)
			}
		})
	}
}

// TestPrompterAsksOnceAtATime: a request that hangs is neither doubled nor left behind.
func TestPrompterAsksOnceAtATime(t *testing.T) {
	begun := make(chan struct{}, 8)
	p := newPrompter(func(ctx context.Context) error {
		begun <- struct{}{}
		<-ctx.Done()
		return errors.New("hangs")
	})
	for range 3 {
		if !p.prompt(func(err error) { t.Error(err) }) {
			t.Error("no way")
		}
	}
	<-begun
	p.close()
	if len(begun) != 0 || p.busy.Load() {
		t.Errorf("%d more, busy %v", len(begun), p.busy.Load())
	}
	if none := newPrompter(nil); none.prompt(nil) {
		t.Error("asked nobody")
	}
}
