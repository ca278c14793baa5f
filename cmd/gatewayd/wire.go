package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
	"districtgateway/domain/manscdp"
	"districtgateway/domain/sip"
	"districtgateway/media"
	"districtgateway/media/relay"
	"districtgateway/storage"
)

// A gateway is every component of the daemon, joined. This is the only place
// that knows them all.
type gateway struct {
	file    config.File
	log     *slog.Logger
	store   *boltstore.Store
	hub     *media.Hub
	memory  *memory
	volumes *volumes
	cameras *cameras
	legs    *legs
	users   *users
	sip     *sip.Transceiver
	loop    *domain.Loop
	control *control
	rtsp    *front
	webrtc  *front

	accounts *account.Book
}

// wire joins the components; it starts none.
func wire(ctx context.Context, file config.File, log *slog.Logger) (*gateway, error) {
	if err := os.MkdirAll(file.Server.State, 0o750); err != nil {
		return nil, err
	}
	g := &gateway{file: file, log: log, memory: newMemory(file.Media, availableMemory("/"))}
	var err error
	if g.store, err = boltstore.Open(boltstore.Config{Path: filepath.Join(file.Server.State, "state.db"), Log: part(log, "store"),
		Login: loginAt(file)}); err != nil {
		return nil, err
	}
	if g.accounts, err = loadAccounts(g.store, part(log, "users")); err != nil {
		return nil, err
	}
	instance, err := instanceID(file.Server.State)
	if err != nil {
		return nil, err
	}
	g.hub = media.NewHub(media.HubConfig{Linger: file.Media.Linger, Log: part(log, "media")})
	g.users = newUsers(g.post)
	self := domain.Code(file.Server.ID)
	g.volumes = newVolumes(&volumes{owner: self, configs: file.Volumes, post: g.post, log: part(log, "storage")})
	if err := g.wireCameras(self); err != nil {
		return nil, err
	}
	if err := g.cameras.load(); err != nil {
		return nil, err
	}
	if err := g.wireLegs(); err != nil {
		return nil, err
	}
	if err := g.wireDomain(ctx, instance); err != nil {
		return nil, err
	}
	g.control = &control{file: file, started: time.Now(), loop: g.loop, store: g.store, users: g.users, accounts: g.accounts, legs: g.legs,
		cameras: g.cameras, volumes: g.volumes, hub: g.hub, memory: g.memory, log: part(log, "control")}
	if err := g.wireViewers(); err != nil {
		return nil, err
	}
	return g, nil
}

// post tells the domain loop; see [domain.Loop.Post].
func (g *gateway) post(ev domain.Event) bool { return g.loop.Post(ev) }

func part(log *slog.Logger, name string) *slog.Logger { return log.With("part", name) }

func (g *gateway) wireCameras(self domain.Code) error {
	lines, err := newBuses(g.file, part(g.log, "bus"))
	if err != nil {
		return err
	}
	cs := &cameras{file: g.file, self: self, hub: g.hub, memory: g.memory, store: g.store, post: g.post, log: part(g.log, "cameras"), ways: ways{buses: lines}}
	if len(g.file.Volumes) > 0 {
		cs.record = g.volumes.recorder
	}
	g.cameras = newCameras(cs)
	g.volumes.tenures, g.volumes.holders = g.cameras.footage, g.cameras.holders
	return nil
}

func (g *gateway) wireLegs() error {
	ports, err := relay.NewPorts(g.file.Server.ListenAddr().Addr(), g.file.Media.Ports.First, g.file.Media.Ports.Last)
	if err != nil {
		return err
	}
	g.legs = newLegs(&legs{ports: ports, host: g.hostFor, memory: g.memory,
		sources: own{g.cameras, g.volumes}, post: g.post, log: part(g.log, "media")})
	return nil
}

// hostFor returns the address a peer reaches this gateway's media at.
func (g *gateway) hostFor(peer domain.PeerRef) string {
	a, known := g.sip.Local(peer)
	if !known {
		a = g.file.Server.ListenAddr().Addr()
	}
	return a.String()
}

// wireDomain makes the processor, its loop and the transceiver.
func (g *gateway) wireDomain(ctx context.Context, instance string) error {
	state, err := g.store.Load(ctx)
	if err != nil {
		return err
	}
	former, err := g.formerUppers(&state)
	if err != nil {
		return err
	}
	self := domain.Code(g.file.Server.ID)
	p, err := domain.NewProcessor(domain.Config{
		Self: self, Name: g.file.Server.Name, Region: domain.NodeID(g.file.Server.Region),
		Maker: "District Gateway", Model: "gatewayd", Firmware: version, Instance: instance,
		Peers: domainPeers(g.file), Seed: seed(instance), MoveFor: g.file.Server.PTZFor,
	}, state)
	if err != nil {
		return err
	}
	g.sip, err = sip.New(sip.Config{
		Self: self, Name: g.file.Server.Name, Listen: g.file.Server.ListenAddr(), Address: g.file.Server.PublicAddr(),
		Peers: append(sipPeers(g.file), former...), Links: state.Links, Caps: p.Caps(), Instance: instance, UserAgent: "DistrictGateway/" + version,
		Post: g.post, Log: part(g.log, "sip"),
	})
	if err != nil {
		return err
	}
	g.loop = domain.NewLoop(p, domain.Ports{
		Transceiver: g.sip, Media: g.legs, Cameras: g.cameras.drives, Archive: g.volumes, Store: g.store, Users: g.users,
	}, part(g.log, "domain"))
	return nil
}

// instanceID returns the random id of this installation, made at its first start:
// by it a neighbour tells a box that came back from a second one with the same code.
func instanceID(dir string) (string, error) {
	path := filepath.Join(dir, "instance")
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && len(id) == 32 {
		return id, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	var b [16]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
}

// seed makes the seed of the domain's jitter, so that boxes switched on together
// do not call together.
func seed(instance string) (n uint64) {
	for _, c := range instance {
		n = n*31 + uint64(c)
	}
	return n
}

func domainPeers(f config.File) []domain.PeerConfig {
	var peers []domain.PeerConfig
	for _, u := range f.Uppers {
		p := domain.PeerConfig{
			Code: domain.Code(u.ID), Role: domain.Upper, Name: u.Name, Address: u.Address, Transport: u.Transport,
			RegisterEvery: u.RegisterEvery, RetryEvery: u.RetryEvery, KeepaliveEvery: u.KeepaliveEvery, KeepaliveMiss: u.KeepaliveMiss,
			Forget: u.ForgetOffline, Profile: uint8(max(0, slices.Index(profileNames[:], u.Profile))), Rank: uint8(u.PTZRank),
		}
		if u.Share != nil { // an empty list shares nothing
			p.Share = make([]domain.Code, len(u.Share))
			for i, c := range u.Share {
				p.Share[i] = domain.Code(c)
			}
		}
		peers = append(peers, p)
	}
	for _, l := range f.Lowers {
		peers = append(peers, domain.PeerConfig{
			Code: domain.Code(l.ID), Role: domain.Lower, Name: l.Name, Media: mediaTransports[l.Media], Elementary: l.Elementary,
			KeepaliveEvery: l.KeepaliveEvery, KeepaliveMiss: l.KeepaliveMiss, Forget: l.ForgetOffline,
		})
	}
	return peers
}

var mediaTransports = map[string]domain.MediaTransport{
	"udp": domain.MediaUDP, "tcp-passive": domain.MediaTCPPassive, "tcp-active": domain.MediaTCPActive,
}

func sipPeers(f config.File) []sip.Peer {
	var peers []sip.Peer
	for _, u := range f.Uppers {
		peers = append(peers, sip.Peer{
			Code: domain.Code(u.ID), Role: domain.Upper, Address: u.Address, Transport: u.Transport,
			User: cmp.Or(u.User, f.Server.ID), Password: u.Password, Charset: charsets[u.Charset],
		})
	}
	for _, l := range f.Lowers {
		peers = append(peers, sip.Peer{
			Code: domain.Code(l.ID), Role: domain.Lower, User: l.ID, Password: l.Password, Charset: charsets[l.Charset],
		})
	}
	return peers
}

var charsets = map[string]manscdp.Charset{"gb2312": manscdp.GB2312, "gb18030": manscdp.GB18030, "utf-8": manscdp.UTF8}

// own provides the gateway's own streams; see sources.
type own struct {
	cameras *cameras
	volumes *volumes
}

func (o own) live(channel domain.Code, profile uint8) (*media.Stream, func(), error) {
	return o.cameras.live(channel, profile)
}

func (o own) askKey(channel domain.Code) { o.cameras.askKey(channel) }

// play prepares a recording as a stream.
func (o own) play(id domain.StreamID, speed int, opened func(*storage.Player)) (*media.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), findWithin)
	defer cancel()
	opener, err := o.volumes.play(ctx, id.Channel, id.Range, storage.PlayerConfig{
		Speed: float64(max(1, speed)), OnOpen: opened,
	})
	if err != nil {
		return nil, err
	}
	cfg := o.cameras.memory.stream(fmt.Sprintf("%s %s", id.Channel, id.Kind), media.ForViewing, false)
	cfg.Once, cfg.Patient, cfg.Log = true, true, o.cameras.log
	return media.NewStream(cfg, opener), nil
}

// Run runs every component until ctx ends or one of the core fails; then it stops
// them in the reverse order of their dependence: first the domain, which takes
// leave of its neighbours, last the volumes, which finish their segments.
func (g *gateway) Run(ctx context.Context) error {
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stages := [][]component{
		{{"store", g.store.Run}},
		{{"storage", g.volumes.Run}},
		{{"media", g.hub.Run}},
		{{"cameras", g.cameras.Run}, {"legs", g.legs.Run}},
		{{"sip", g.sip.Run}},
		{{"domain", g.runDomain}, {"control", g.control.Run}},
		{{"rtsp", g.rtsp.Run}, {"webrtc", g.webrtc.Run}},
	}
	stops := make([]func(), len(stages))
	for i, stage := range stages {
		stops[i] = startStage(stage, fail)
	}
	<-failed.Done()
	for i := len(stops) - 1; i >= 0; i-- {
		stops[i]()
	}
	if ctx.Err() != nil {
		return nil
	}
	return context.Cause(failed)
}

// runDomain runs the domain loop once messages can be sent.
func (g *gateway) runDomain(ctx context.Context) error {
	if _, err := g.sip.Addr(ctx); err != nil {
		return nil // stopped before it began
	}
	return g.loop.Run(ctx)
}

// A component is a part of the core: if it fails, the process ends and is
// started again.
type component struct {
	name string
	run  func(context.Context) error
}

// startStage runs components; the function returned stops and awaits them. They
// outlive the context of the process, since those above still need them.
func startStage(stage []component, fail context.CancelCauseFunc) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, c := range stage {
		wg.Go(func() {
			err := c.run(ctx)
			if ctx.Err() == nil {
				fail(fmt.Errorf("%s: %w", c.name, cmp.Or(err, errStopped)))
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// errStopped reports a component that ended without being asked to.
var errStopped = errors.New("ended by itself")
