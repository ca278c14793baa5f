package rtsp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
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

// TestPlayerThatLostSomethingHasTheEncoderAsked: its PLI reaches the source, by TCP and UDP.
func TestPlayerThatLostSomethingHasTheEncoderAsked(t *testing.T) {
	for _, protocol := range []gortsplib.Protocol{gortsplib.ProtocolTCP, gortsplib.ProtocolUDP} {
		t.Run(protocol.String(), func(t *testing.T) {
			t.Parallel()
			f := videoFeed(media.H264, false)
			h := newHouse(t, ServerConfig{}, channels{"cam1": f.src.Open})
			f.push(10)
			u, err := base.ParseURL(strings.Replace(h.url, "rtsp://", "rtsp://wang:right@", 1))
			if err != nil {
				t.Fatal(err)
			}
			c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &protocol}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			desc, _, err := c.Describe(u)
			if err == nil {
				err = c.SetupAll(desc.BaseURL, desc.Medias)
			}
			if err == nil {
				_, err = c.Play(nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, _, asked := f.src.Counts(); asked != 0 {
				t.Errorf("asked %d times before", asked)
			}
			until(t, "the encoder is asked", func() bool {
				f.push(1)
				if err := c.WritePacketRTCP(desc.Medias[0], &rtcp.PictureLossIndication{SenderSSRC: 1}); err != nil {
					t.Error(err)
				}
				_, _, asked := f.src.Counts()
				return asked > 0
			})
		})
	}
}
