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

	kick   chan struct{} // asks for a round of discovery now
	ways   ways
	drives *drives // has those move that can

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
	if c.ways.buses == nil {
		c.ways.buses = &buses{log: c.log}
	}
	c.ways.heads = newHeads(c)
	c.drives = newDrives(&drives{way: c.way, leave: c.ways.heads.leave, post: c.post, log: c.log})
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
	if known == nil && e.RTSP+e.SDP != "" {
		for _, c := range cs.inv.list() {
			if c.RTSP == e.RTSP && c.SDP == e.SDP {
				known = c
			}
		}
	}
	if known == nil {
		c, err := cs.inv.add(camera{Code: domain.Code(e.ID), Name: e.Name, Identity: e.Identity,
			Address: e.ONVIF, RTSP: e.RTSP, SubRTSP: e.SubRTSP, SDP: e.SDP, Since: time.Now()})
		if err == nil {
			cs.store.SaveEncoder(c.Code, *c)
		}
		return err
	}
	if e.Name != "" {
		known.Name = e.Name
	}
	known.RTSP, known.SubRTSP, known.SDP = e.RTSP, e.SubRTSP, e.SDP
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
	wg.Go(func() { _ = cs.ways.buses.Run(ctx) })
	wg.Go(func() { _ = cs.drives.Run(ctx) })
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

// serve keeps one camera's main stream recorded, and that of an encoder that sends by
// itself received.
func (cs *cameras) serve(ctx context.Context, code domain.Code) error {
	c := cs.camera(code)
	recorded := cs.record != nil && cs.records(c)
	if !recorded && c.SDP == "" {
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
	if !recorded { // whether it sends shows where it sends to only
		<-ctx.Done()
	}
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
			e.SDP != "" && e.SDP == c.SDP,
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
	c, _ := cs.lookup(code)
	return c
}

// lookup returns a camera, and whether there is one with that code.
func (cs *cameras) lookup(code domain.Code) (camera, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.inv.cameras[code]; c != nil {
		return *c, true
	}
	return camera{Code: code}, false
}

// host returns the address of a channel's encoder; - if there is none.
func (cs *cameras) host(code domain.Code) string {
	c := cs.camera(code)
	return cmp.Or(hostOf(cmp.Or(c.RTSP, c.Address)), "-")
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
	if cs.oneStream(code) {
		profile = 0
	}
	key := media.Key{Channel: string(code), Profile: profileNames[profile]}
	purpose := media.ForViewing
	if profile == 0 && cs.record != nil && cs.records(cs.camera(code)) {
		purpose = media.ForRecording
	}
	cfg := cs.memory.stream(key.Channel+"/"+key.Profile, purpose, true)
	cfg.Log = cs.log
	if cs.camera(code).SDP != "" {
		cfg.MaxBackoff = time.Second // it is heard as long as its ports are open
	}
	s, release := cs.hub.Acquire(key, cfg, func(ctx context.Context) (media.Opened, error) {
		o, err := cs.open(ctx, code, profile)
		cs.update(code, func(s *service) { s.problem = err })
		return o, err
	})
	return s, release, nil
}

// oneStream reports whether a camera is known to have no sub stream: its main stream
// serves for that.
func (cs *cameras) oneStream(code domain.Code) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c, s := cs.inv.cameras[code], cs.services[code]
	switch {
	case c.SDP != "":
		return true
	case c.RTSP != "":
		return c.SubRTSP == ""
	}
	return s != nil && s.streams == 1
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
			Maker: c.Maker, Model: c.Model, Host: hostOf(cmp.Or(c.Address, c.RTSP)), PTZ: domain.PTZFixed, Streams: 1,
		}
		if c.PTZ || cs.dome(*c) != nil {
			it.PTZ = domain.PTZDome
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
