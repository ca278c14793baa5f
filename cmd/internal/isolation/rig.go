package isolation

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"districtgateway/cmd/internal/counter"
	"districtgateway/media"
	"districtgateway/media/mediatest"
	"districtgateway/media/mirror"
	"districtgateway/media/relay"
	"districtgateway/media/rtsp"
	"districtgateway/storage"
)

// A Config is what a rig is made of.
type Config struct {
	Picture   int           // bytes of a picture, headers left out
	Every     time.Duration // from picture to picture
	Group     int           // pictures from key picture to key picture
	Ring      int           // bytes
	SlowLimit time.Duration // see media.StreamConfig; 0: as the gateway
	Dir       string        // of a new volume
	Spawn     storage.SpawnFunc
}

// The one user, and channel.
const (
	user     = "witness"
	password = "correct horse"
	channel  = "cam"
)

// A Rig is a stream and its consumers, running.
type Rig struct {
	Stream    *media.Stream
	Volume    *storage.Volume
	Witnesses []*Witness

	cfg      Config
	source   *mediatest.Source
	players  *rtsp.Server
	ports    *relay.Ports
	recorder *storage.Recorder
	hung     atomic.Pointer[chan struct{}] // the disk waits until it is closed; nil: it does not
	pulse    pulse

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Start starts a rig and returns once every witness has pictures. The caller owes it
// a Close.
func Start(ctx context.Context, cfg Config) (*Rig, error) {
	r := &Rig{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(ctx)
	err := r.start()
	if err == nil {
		err = r.await("every witness has pictures", func() bool {
			for _, w := range r.Witnesses {
				if w.Tally().Pictures == 0 {
					return false
				}
			}
			return r.recorder.SinkStats().Bytes > 0
		})
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	for _, w := range r.Witnesses {
		w.Take()
	}
	return r, nil
}

// Close ends everything.
func (r *Rig) Close() {
	r.release()
	r.cancel()
	r.running.Wait()
}

// limit bounds every wait of a rig.
const limit = 30 * time.Second

// await polls until done.
func (r *Rig) await(what string, done func() bool) error {
	for late := time.Now().Add(limit); !done(); {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
		if time.Now().After(late) {
			return fmt.Errorf("waited in vain: %s", what)
		}
	}
	return nil
}

// start starts the parts.
func (r *Rig) start() error {
	r.source = mediatest.NewSource(media.Opened{Tracks: []media.Track{{
		Codec: media.H264, ClockRate: 90000, PayloadType: 98, Parameters: mediatest.Parameters(media.H264),
	}}})
	r.Stream = media.NewStream(media.StreamConfig{
		Name: channel, Memory: mirror.New, RingBytes: r.cfg.Ring, SlowLimit: r.cfg.SlowLimit,
	}, r.source.Open)
	r.run(r.Stream.Run)
	if err := errors.Join(r.startVolume(), r.startServer(), r.openPorts()); err != nil {
		return err
	}
	r.running.Go(r.film)
	r.running.Go(func() { r.pulse.feel(r.ctx) })
	ready, cancel := context.WithTimeout(r.ctx, limit)
	defer cancel()
	if err := r.Stream.WaitReady(ready); err != nil {
		return err
	}
	for _, udp := range []bool{false, true} {
		r.Witnesses = append(r.Witnesses, r.watch(r.ctx, names["rtsp"][udp], player(r.server(), udp)))
		open, err := r.uplink(r.ctx, uplink{name: "witness", udp: udp})
		if err != nil {
			return err
		}
		r.Witnesses = append(r.Witnesses, r.watch(r.ctx, names["relay"][udp], open))
	}
	return r.Stream.Attach(r.recorder)
}

// run runs a component until the rig is closed.
func (r *Rig) run(f func(context.Context) error) {
	r.running.Go(func() { _ = f(r.ctx) }) // an end before that shows itself
}

// onTheirWay bounds the pictures that the stream has yet to take, as a socket would:
// if the machine stands still for a second, they must not come all at once.
const onTheirWay = 4

// film pushes pictures in real time: one that is late is followed by the next at
// once, unless it is very late.
func (r *Rig) film() {
	p := &mediatest.Packetizer{PayloadType: 98, SSRC: 7}
	began := time.Now()
	under := make(chan struct{}, onTheirWay)
	for n := uint64(0); ; n++ {
		select {
		case under <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		due := began.Add(time.Duration(n+1) * r.cfg.Every)
		if late := time.Since(due); late > onTheirWay*r.cfg.Every {
			began = began.Add(late)
			due = due.Add(late)
		}
		key := n%uint64(r.cfg.Group) == 0
		nals := [][]byte{nil}
		if key {
			nals = append(nals, mediatest.Parameters(media.H264)...)
		}
		nals = append(nals, mediatest.Slice(media.H264, key, r.cfg.Picture, byte(n)))
		nals[0] = counter.AppendSEI(nil, false, n, time.Now())
		r.source.Push(0, p.Video(media.H264, uint32(n)*uint32(media.TicksOf(r.cfg.Every)), nals...)...)
		r.source.Do(func(*media.Stream) { <-under })
		select {
		case <-time.After(time.Until(due)):
		case <-r.ctx.Done():
			return
		}
	}
}

// Watch waits until each witness has seen so many more pictures.
func (r *Rig) Watch(pictures int) error {
	from := make([]int, len(r.Witnesses))
	for i, w := range r.Witnesses {
		from[i] = w.Tally().Pictures
	}
	return r.await("the witnesses see more", func() bool {
		for i, w := range r.Witnesses {
			if w.Tally().Pictures < from[i]+pictures {
				return false
			}
		}
		return true
	})
}

// startVolume makes a volume and its recorder.
func (r *Rig) startVolume() (err error) {
	r.Volume, err = storage.OpenVolume(r.ctx, storage.VolumeConfig{
		Dir: r.cfg.Dir, Owner: "rig", Create: true, MinFree: 1, Spawn: r.cfg.Spawn, Hang: r.wait,
	})
	if err != nil {
		return err
	}
	r.run(r.Volume.Run)
	r.recorder, err = storage.NewRecorder(r.Volume, storage.RecorderConfig{Channel: channel})
	return err
}

// wait is where the disk hangs.
func (r *Rig) wait() {
	if c := r.hung.Load(); c != nil {
		select {
		case <-*c:
		case <-r.ctx.Done():
		}
	}
}

// release lets the disk go on.
func (r *Rig) release() {
	if c := r.hung.Swap(nil); c != nil {
		close(*c)
	}
}

// HA1 is that of the one user; see [rtsp.Users].
func (r *Rig) HA1(name, algorithm string) (string, bool) {
	a1 := []byte(user + ":District Gateway:" + password)
	if algorithm == "SHA-256" {
		sum := sha256.Sum256(a1)
		return hex.EncodeToString(sum[:]), name == user
	}
	sum := md5.Sum(a1)
	return hex.EncodeToString(sum[:]), name == user
}

// startServer starts the server for players.
func (r *Rig) startServer() (err error) {
	r.players, err = rtsp.NewServer(rtsp.ServerConfig{
		Listen: "127.0.0.1:0", Users: r,
		Streams: func(context.Context, string, string) (*media.Stream, func(), error) { return r.Stream, func() {}, nil },
	})
	if err != nil {
		return err
	}
	r.run(r.players.Run)
	_, err = r.players.Addr(r.ctx)
	return err
}

// server returns where players connect to.
func (r *Rig) server() netip.AddrPort {
	addr, _ := r.players.Addr(r.ctx) // it is bound by now
	return addr
}

// openPorts chooses a range for media between domains.
func (r *Rig) openPorts() (err error) {
	first := uint16(22000 + rand.N(40)*200)
	r.ports, err = relay.NewPorts(netip.MustParseAddr("127.0.0.1"), first, first+199)
	return err
}

// names name the kinds of consumers, those over UDP under true.
var names = map[string]map[bool]string{
	"rtsp":  {false: "rtsp tcp", true: "rtsp udp"},
	"relay": {false: "relay tcp", true: "relay udp"},
}

// player opens the stream as a player does that connects to server.
func player(server netip.AddrPort, udp bool) media.Opener {
	cfg := rtsp.Config{URL: "rtsp://" + server.String() + "/" + channel, User: user, Password: password}
	if udp {
		cfg.Transport = rtsp.UDP
	}
	return func(ctx context.Context) (media.Opened, error) {
		return rtsp.Open(ctx, cfg)
	}
}

// An uplink is a sender to be.
type uplink struct {
	name string
	udp  bool
	via  func(netip.AddrPort) (netip.AddrPort, error) // what stands before the far end; nil: nothing
}

// uplink connects a sender, which is attached, and returns what opens its far end.
// That ends with ctx.
func (r *Rig) uplink(ctx context.Context, u uplink) (open media.Opener, err error) {
	transport := relay.TCPPassive
	if u.udp {
		transport = relay.UDP
	}
	far, err := relay.OpenReceiver(relay.ReceiverConfig{Ports: r.ports, Transport: transport})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { far.Close() })
	cfg := relay.SenderConfig{Ports: r.ports, Transport: transport, Remote: far.Local(), SSRC: 5, Name: u.name}
	if u.via != nil {
		if cfg.Remote, err = u.via(far.Local()); err != nil {
			return nil, err
		}
	}
	s, err := relay.OpenSender(cfg)
	if err != nil {
		return nil, err
	}
	far.Connect(relay.Remote{Addr: s.Local(), SSRC: 5})
	r.running.Go(func() {
		if s.Connect(r.ctx) != nil || r.Stream.Attach(s) != nil {
			s.Close(nil)
		}
	})
	return far.Open, nil
}
