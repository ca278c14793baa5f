package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/ps"
	"districtgateway/media/relay"
	"districtgateway/media/rtsp"
)

// TestEncoderThatSendsByItselfIsAChannel: on while it sends, off after its silence, on
// again at its first packet, and it can be watched.
func TestEncoderThatSendsByItselfIsAChannel(t *testing.T) {
	dir := stateDir(t)
	port, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := port.LocalAddr()
	port.Close()
	file := filepath.Join(dir, "gate.sdp")
	sdp := fmt.Sprintf("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=gate\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video %d RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
		to.(*net.UDPAddr).Port)
	if err := os.WriteFile(file, []byte(sdp), 0o600); err != nil {
		t.Fatal(err)
	}
	g := launch(t, dir, districtCode, fmt.Sprintf("[[encoder]]\nid = %q\nname = \"gate\"\nsdp = %q\nfrom = \"127.0.0.1\"\n", camera1, file))
	defer g.stop()
	c, err := net.Dial("udp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, n := &mediatest.Packetizer{PayloadType: 96, SSRC: 1}, 0
	send := func() {
		for _, b := range p.Video(media.H264, uint32(n)*3600, mediatest.Picture(media.H264, n%10 == 0, 3000, byte(n))...) {
			c.Write(b) // refused until the port is open
		}
		n++
	}
	online := func(want bool) func() bool {
		return func() bool { return g.channel(camera1).Online == want }
	}
	if g.channel(camera1).Online {
		t.Error("on before it sent anything")
	}
	await(t, "it is on", func() bool { send(); return online(true)() })
	s, release, err := g.cameras.live(domain.Code(camera1), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	await(t, "its picture can be watched, whichever profile is wanted", func() bool { send(); return s.Stats().KeyUnits > 1 })
	var encoders []api.Encoder
	if err := g.client.Get(t.Context(), api.PathEncoders, nil, &encoders); err != nil || len(encoders) != 1 || encoders[0].Address != file || encoders[0].Problem != "" {
		t.Errorf("%+v, %v", encoders, err)
	}
	silent := time.Now()
	await(t, "it is off", online(false))
	if d := time.Since(silent); d < 9*time.Second {
		t.Errorf("off after %s of silence", d)
	}
	await(t, "it is on again", func() bool { send(); return online(true)() })
}

// TestProgramStreamThatIsPushedIsReceived: RTP that carries MP2P, as lowers and some
// encoders send it.
func TestProgramStreamThatIsPushedIsReceived(t *testing.T) {
	b := newBox(t)
	port, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := port.LocalAddr().(*net.UDPAddr).AddrPort()
	port.Close()
	for _, name := range []string{"MP2P", "PS"} {
		sdp := fmt.Sprintf("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video %d RTP/AVP 96 98\r\na=rtpmap:98 H264/90000\r\na=rtpmap:96 %s/90000\r\n",
			to.Port(), name)
		s := media.NewStream(media.StreamConfig{Once: true}, func(ctx context.Context) (media.Opened, error) {
			return rtsp.Push(ctx, rtsp.PushConfig{SDP: []byte(sdp), Unpacker: func() media.Unpacker { return ps.NewUnpacker() }})
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Run(ctx) })
		sender, err := relay.OpenSender(relay.SenderConfig{Ports: b.legs.ports, Transport: relay.UDP, Remote: to, SSRC: 7})
		if err != nil {
			t.Fatal(err)
		}
		if err := sender.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		if err := b.studio.stream.Attach(sender); err != nil {
			t.Fatal(err)
		}
		await(t, name+" is read", func() bool { b.studio.pictures(); return s.Stats().KeyUnits > 3 && len(s.State().Tracks) == 1 })
		if st := s.State(); st.Carriage != media.CarriagePS || st.Tracks[0].Codec != media.H264 {
			t.Errorf("%s: %+v", name, st)
		}
		b.studio.stream.Detach(sender)
		cancel()
		wg.Wait()
	}
}
