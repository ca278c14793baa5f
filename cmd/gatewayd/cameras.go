package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
	"districtgateway/media"
	"districtgateway/media/digest"
	"districtgateway/media/onvif"
	"districtgateway/media/rtsp"
)

// statusEvery is how often the state of the encoders is looked at: a change is to
// be known two levels up within 2 s (PUSH-707).
const statusEvery = 500 * time.Millisecond

// cameras keeps the gateway's own encoders in service: it finds them, gives them
// codes, opens their streams, has them recorded and tells the domain how they are.
type cameras struct {
	file   config.File
	self   domain.Code
	hub    *media.Hub
	memory *memory
	store  *boltstore.Store
	record func(*camera) (recording, error) // nil: nothing is recorded here
	post   func(domain.Event) bool
	log    *slog.Logger

	kick chan struct{} // asks for a round of discovery now

	mu       sync.Mutex
	inv      *inventory
	services map[domain.Code]*service
	known    map[string]found // what the last round of discovery found, by endpoint
}

// A service is one camera in service. Its fields are guarded by cameras.mu.
type service struct {
	cancel   context.CancelFunc
	stream   *media.Stream // main stream, while it is recorded
	problem  error         // why the encoder cannot be used
	since    time.Time     // of online
	online   bool
	seen     time.Time // last sign of life outside of a stream
	streams  uint8     // profiles it offers
	recorder media.Sink
}

// newCameras completes what the caller has set.
func newCameras(c *cameras) *cameras {
	c.inv = newInventory(c.self)
	c.services = map[domain.Code]*service{}
	c.known = map[string]found{}
	c.kick = make(chan struct{}, 1)
	return c
}

// load fills the inventory from the state file and the configuration. Settings
// made by hand win over what was learned.
func (cs *cameras) load() error {
	err := boltstore.LoadEncoders(cs.store, func(code domain.Code, c camera) {
		c.Code = code
		cs.inv.cameras[code] = &c
	})
	if err != nil {
		return err
	}
	for _, e := range cs.file.Encoders {
		if err := cs.enter(e); err != nil {
			return err
		}
	}
	return nil
}

// enter puts one configured encoder into the inventory.
func (cs *cameras) enter(e config.Encoder) error {
	known := cs.inv.cameras[domain.Code(e.ID)]
	if known == nil {
		known = cs.inv.find(e.Identity, e.ONVIF)
	}
	if known == nil && e.RTSP != "" {
		for _, c := range cs.inv.list() {
			if c.RTSP == e.RTSP {
				known = c
			}
		}
	}
	if known == nil {
		c, err := cs.inv.add(camera{Code: domain.Code(e.ID), Name: e.Name, Identity: e.Identity,
			Address: e.ONVIF, RTSP: e.RTSP, SubRTSP: e.SubRTSP, Since: time.Now()})
		if err == nil {
			cs.store.SaveEncoder(c.Code, *c)
		}
		return err
	}
	if e.Name != "" {
		known.Name = e.Name
	}
	known.RTSP, known.SubRTSP = e.RTSP, e.SubRTSP
	if e.ONVIF != "" {
		known.Address = e.ONVIF
	}
	cs.store.SaveEncoder(known.Code, *known)
	return nil
}

// Run keeps the encoders in service until ctx ends.
func (cs *cameras) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	if cs.file.Discovery.Enabled {
		wg.Go(func() { supervise(ctx, cs.log.With("part", "discovery"), cs.discoverForEver) })
	}
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	var told, items []domain.Item
	for {
		cs.startMissing(ctx, &wg)
		if items = cs.appendItems(items[:0]); !slices.Equal(items, told) {
			if cs.post(domain.DevicesChanged{Items: slices.Clone(items), Removed: removed(told, items)}) {
				told, items = items, told
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func removed(old, now []domain.Item) (gone []domain.NodeID) {
	for _, o := range old {
		if !slices.ContainsFunc(now, func(n domain.Item) bool { return n.ID == o.ID }) {
			gone = append(gone, o.ID)
		}
	}
	return gone
}

// startMissing starts a service for each camera that has none, and ends those
// whose camera has gone.
func (cs *cameras) startMissing(ctx context.Context, wg *sync.WaitGroup) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for code, s := range cs.services {
		if cs.inv.cameras[code] == nil {
			s.cancel()
			delete(cs.services, code)
		}
	}
	for code := range cs.inv.cameras {
		if cs.services[code] != nil {
			continue
		}
		own, cancel := context.WithCancel(ctx)
		cs.services[code] = &service{cancel: cancel, since: time.Now()}
		wg.Go(func() {
			supervise(own, cs.log.With("channel", code), func(ctx context.Context) error { return cs.serve(ctx, code) })
		})
	}
}

// serve keeps one camera's main stream recorded.
func (cs *cameras) serve(ctx context.Context, code domain.Code) error {
	c := cs.camera(code)
	if cs.record == nil || !cs.records(c) {
		cs.watchOver(ctx, code)
		return nil
	}
	s, release, err := cs.live(code, 0)
	if err != nil {
		return err
	}
	defer release()
	cs.update(code, func(sv *service) { sv.stream = s })
	defer cs.update(code, func(sv *service) { sv.stream, sv.recorder = nil, nil })
	for err == nil && ctx.Err() == nil {
		err = cs.recordOn(ctx, &c, s)
	}
	if errors.Is(err, media.ErrMemory) { // the stream was refused before the encoder was asked
		cs.update(code, func(sv *service) { sv.problem = err })
	}
	return err
}

// watchOver keeps looking whether an encoder that is not recorded answers.
func (cs *cameras) watchOver(ctx context.Context, code domain.Code) {
	tick := time.NewTicker(cs.file.Discovery.Every)
	defer tick.Stop()
	for {
		if cs.answers(ctx, cs.camera(code)) {
			cs.update(code, func(s *service) { s.seen = time.Now() })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// answers reports whether an encoder takes connections at its address.
func (cs *cameras) answers(ctx context.Context, c camera) bool {
	address, port := c.Address, "80"
	if c.RTSP != "" {
		address, port = c.RTSP, "554"
	}
	host := hostOf(address)
	if host == "" {
		return false
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, port)
	}
	d := net.Dialer{Timeout: 3 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// settings returns the camera's table in the configuration, or nil.
func (cs *cameras) settings(c camera) *config.Encoder {
	for i, e := range cs.file.Encoders {
		switch {
		case e.ID != "" && e.ID == string(c.Code),
			sameIdentity(e.Identity, c.Identity),
			e.RTSP != "" && e.RTSP == c.RTSP,
			e.ONVIF != "" && sameHost(e.ONVIF, c.Address):
			return &cs.file.Encoders[i]
		}
	}
	return nil
}

// credentials returns the user and password for a camera.
func (cs *cameras) credentials(c camera) (string, digest.Secret) {
	user, password := cs.file.Discovery.User, cs.file.Discovery.Password
	if e := cs.settings(c); e != nil && e.User != "" {
		user, password = e.User, e.Password
	}
	return user, digest.Secret(password)
}

func (cs *cameras) camera(code domain.Code) camera {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.inv.cameras[code]; c != nil {
		return *c
	}
	return camera{Code: code}
}

func (cs *cameras) update(code domain.Code, f func(*service)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if s := cs.services[code]; s != nil {
		f(s)
	}
}

// profileNames are the names of streams by number, as in a=streamnumber.
var profileNames = [...]string{"main", "sub"}

// live joins the stream of a channel, or starts it; see sources.
func (cs *cameras) live(code domain.Code, profile uint8) (*media.Stream, func(), error) {
	cs.mu.Lock()
	known := cs.inv.cameras[code] != nil
	cs.mu.Unlock()
	if !known {
		return nil, nil, domain.ErrNoChannel
	}
	if int(profile) >= len(profileNames) {
		return nil, nil, fmt.Errorf("stream number %d: %w", profile, domain.ErrMedia)
	}
	key := media.Key{Channel: string(code), Profile: profileNames[profile]}
	purpose := media.ForViewing
	if profile == 0 && cs.record != nil && cs.records(cs.camera(code)) {
		purpose = media.ForRecording
	}
	cfg := cs.memory.stream(key.Channel+"/"+key.Profile, purpose, true)
	cfg.Log = cs.log
	s, release := cs.hub.Acquire(key, cfg, func(ctx context.Context) (media.Opened, error) {
		o, err := cs.open(ctx, code, profile)
		cs.update(code, func(s *service) { s.problem = err })
		return o, err
	})
	return s, release, nil
}

// askKey wants a key frame on each stream of a channel that runs.
func (cs *cameras) askKey(code domain.Code) {
	for _, name := range profileNames {
		if s, running := cs.hub.Lookup(media.Key{Channel: string(code), Profile: name}); running {
			s.AskKey()
		}
	}
}

// open connects to an encoder's stream.
func (cs *cameras) open(ctx context.Context, code domain.Code, profile uint8) (media.Opened, error) {
	c := cs.camera(code)
	user, password := cs.credentials(c)
	url := c.RTSP
	if url != "" && profile == 1 && c.SubRTSP != "" {
		url = c.SubRTSP
	}
	cfg := rtsp.Config{URL: url, User: user, Password: password, Log: cs.log}
	if url == "" {
		var err error
		if cfg.URL, cfg.KeyFrame, err = cs.ask(ctx, c, profile); err != nil {
			cs.lookAgain()
			return media.Opened{}, err
		}
	}
	if e := cs.settings(c); e != nil {
		cfg.Transport, cfg.Basic = transports[e.Transport], e.Basic
	}
	return rtsp.Open(ctx, cfg)
}

// transports are the words of [config.Encoder].Transport; TCP without one.
var transports = map[string]rtsp.Transport{"udp": rtsp.UDP, "multicast": rtsp.Multicast}

// errMoved reports that another encoder answers where this one was.
var errMoved = errors.New("another encoder answers at its address")

// ask asks an encoder for the address of a stream, after making sure that it is
// the one we mean: addresses move, and footage must not end up under another's code.
// keyFrame asks for a key frame of that stream.
func (cs *cameras) ask(ctx context.Context, c camera, profile uint8) (url string, keyFrame func(context.Context) error, err error) {
	if c.Address == "" {
		return "", nil, fmt.Errorf("%w: not found on the network yet", domain.ErrOffline)
	}
	user, password := cs.credentials(c)
	cfg := onvif.Config{Address: c.Address, User: user, Password: password, Insecure: true}
	client, err := onvif.New(cfg)
	if err != nil {
		return "", nil, err
	}
	defer client.Close()
	d, err := client.Identify(ctx)
	if err != nil {
		return "", nil, err
	}
	base, n := splitSource(c.Identity)
	if base != "" && !sameIdentity(base, d.Key()) {
		return "", nil, fmt.Errorf("%s: %w", c.Address, errMoved)
	}
	if n >= len(d.Channels) {
		return "", nil, fmt.Errorf("video source %d: %w", n+1, media.ErrNoTracks)
	}
	p := d.Channels[n].Main
	if profile == 1 && d.Channels[n].Sub.Token != "" {
		p = d.Channels[n].Sub
	}
	cs.update(c.Code, func(s *service) { s.streams = streamsOf(d.Channels[n]) })
	url, err = cs.streamURI(ctx, client, p, c)
	return url, syncPoint(cfg, p), err
}

// streamURI asks where a profile is taken. Some encoders have an address of its own for
// multicast, and some none at all: then any will do, to ask for TCP.
func (cs *cameras) streamURI(ctx context.Context, client *onvif.Client, p onvif.Profile, c camera) (string, error) {
	if e := cs.settings(c); e != nil && transports[e.Transport] == rtsp.Multicast {
		url, err := client.StreamURI(ctx, p, onvif.Multicast)
		if _, refused := errors.AsType[*onvif.Fault](err); !refused {
			return url, err
		}
	}
	return client.StreamURI(ctx, p, onvif.TCP)
}

// syncPoint returns what asks an encoder for a key frame of a profile. It is asked
// rarely: no connection is kept for it.
func syncPoint(cfg onvif.Config, p onvif.Profile) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := onvif.New(cfg)
		if err != nil {
			return err
		}
		defer client.Close()
		return client.KeyFrame(ctx, p)
	}
}

func streamsOf(c onvif.Channel) uint8 {
	if c.Sub.Token != "" {
		return 2
	}
	return 1
}

// lookAgain asks for a round of discovery soon.
func (cs *cameras) lookAgain() {
	select {
	case cs.kick <- struct{}{}:
	default:
	}
}

// appendItems appends the cameras as the domain wants them, by code, and notes
// changes of state. It is called twice a second: whoever has memory for it gives that.
func (cs *cameras) appendItems(items []domain.Item) []domain.Item {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	now := time.Now()
	for _, c := range cs.inv.cameras {
		it := domain.Item{
			ID: domain.NodeID(c.Code), Name: c.Name, Parent: domain.NodeID(cs.self), Region: domain.NodeID(cs.file.Server.Region),
			Maker: c.Maker, Model: c.Model, Host: hostOf(cmp.Or(c.Address, c.RTSP)), PTZ: 3, Streams: 1,
		}
		if c.PTZ {
			it.PTZ = 1
		}
		if s := cs.services[c.Code]; s != nil {
			if on := s.alive(now, cs.file.Discovery.Every); on != s.online {
				s.online, s.since = on, now
			}
			if s.online {
				it.Status = domain.StatusOn
			}
			it.Streams = max(1, s.streams)
			if c.SubRTSP != "" {
				it.Streams = 2
			}
		}
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b domain.Item) int { return cmp.Compare(a.ID, b.ID) })
	return items
}

// alive tells whether a camera works: while it is recorded, whether its stream
// does; otherwise whether it was heard of lately.
func (s *service) alive(now time.Time, every time.Duration) bool {
	if s.stream != nil {
		return s.stream.State().Connected
	}
	return now.Sub(s.seen) < 3*every
}
