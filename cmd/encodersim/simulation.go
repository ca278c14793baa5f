package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"districtgateway/cmd/encodersim/internal/clip"
	"districtgateway/cmd/encodersim/internal/discovery"
	"districtgateway/cmd/encodersim/internal/encoder"
)

// A simulation is all that one process simulates.
type simulation struct {
	opt      *options
	log      *slog.Logger
	encoders []*encoder.Encoder
	found    *discovery.Server
	control  net.Listener // nil for none
	files    []*os.File   // of talk
}

// newSimulation loads the clip and binds every socket; it starts nothing.
func newSimulation(opt *options, log *slog.Logger) (*simulation, error) {
	s := &simulation{opt: opt, log: log}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *simulation) open() error {
	lib, h265, err := library(s.opt.media)
	if err != nil {
		return err
	}
	for i := range s.opt.count {
		cfg, err := s.config(i)
		if err != nil {
			return err
		}
		cfg.Library, cfg.H265 = lib, h265
		e, err := encoder.New(cfg)
		if err != nil {
			return fmt.Errorf("encoder %d: %w", i+1, err)
		}
		s.encoders = append(s.encoders, e)
	}
	s.found, err = discovery.New(discovery.Config{Places: s.opt.listen.discovery, Targets: s.targets, Log: s.log})
	if err != nil {
		return err
	}
	if s.opt.listen.control != "" {
		s.control, err = net.Listen("tcp", s.opt.listen.control)
	}
	return err
}

// close frees what run did not.
func (s *simulation) close() {
	for _, e := range s.encoders {
		e.Close()
	}
	if s.found != nil {
		s.found.Close()
	}
	if s.control != nil {
		s.control.Close()
	}
	for _, f := range s.files {
		f.Close()
	}
}

// config is the i-th encoder's, counted from 0.
func (s *simulation) config(i int) (encoder.Config, error) {
	o := s.opt
	cfg := encoder.Config{
		Identity: o.identity, Scopes: o.scopes, User: o.user, Password: o.password,
		SHA256: o.listen.sha256, PTZ: !o.noPTZ, NoZoom: o.noZoom, Bitrate: o.media.bitrate, RebootTime: o.rebootTime,
		KeyOnPlay: o.media.keyOnPlay,
	}
	if o.listen.rtpPort != 0 {
		cfg.Listen.RTPPort = o.listen.rtpPort + 2*i
	}
	if group := o.listen.multicast; group.IsValid() {
		cfg.Listen.Multicast = netip.AddrPortFrom(group.Addr(), group.Port()+2*uint16(i))
	}
	var errs [3]error
	cfg.Listen.HTTP, errs[0] = nextPort(o.listen.http, i)
	cfg.Listen.RTSP, errs[1] = nextPort(o.listen.rtsp, i)
	if o.count > 1 {
		cfg.Identity.Name = fmt.Sprintf("%s-%d", o.identity.Name, i+1)
		cfg.Identity.Serial, cfg.Identity.MAC = nextSerial(o.identity.Serial, i), nextMAC(o.identity.MAC, i)
	}
	cfg.Log = s.log.With("encoder", cfg.Identity.Name)
	if o.talk != "" {
		name := o.talk
		if i > 0 {
			name = fmt.Sprintf("%s.%d", o.talk, i+1)
		}
		var f *os.File
		if f, errs[2] = os.Create(name); errs[2] == nil {
			s.files, cfg.Talk = append(s.files, f), f
		}
	}
	return cfg, errors.Join(errs[:]...)
}

// nextPort counts a port up, unless it is 0.
func nextPort(addr string, i int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 0 && n+i > 65535 {
		return "", fmt.Errorf("address %s: want a port", addr)
	}
	if n > 0 {
		n += i
	}
	return net.JoinHostPort(host, strconv.Itoa(n)), nil
}

// nextSerial counts the digits at the end of a serial number up.
func nextSerial(serial string, i int) string {
	stem := strings.TrimRight(serial, "0123456789")
	digits := serial[len(stem):]
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case serial == "" || i == 0:
		return serial
	case err != nil:
		return fmt.Sprintf("%s-%d", serial, i+1)
	}
	return fmt.Sprintf("%s%0*d", stem, len(digits), n+uint64(i))
}

func nextMAC(mac string, i int) string {
	hw, err := net.ParseMAC(mac) // validated with the flags
	if err != nil {
		return mac
	}
	for k := len(hw) - 1; k >= 0 && i > 0; k-- {
		i += int(hw[k])
		hw[k] = byte(i)
		i >>= 8
	}
	return hw.String()
}

// library loads what is shown. With a file, the codec that the file does not
// have is the built-in pattern, for switching to.
func library(m mediaOptions) (lib encoder.Library, h265 bool, err error) {
	h265 = m.codec == "h265"
	for i := range lib.H264 {
		if lib.H264[i], err = clip.Pattern(false, i == 1); err != nil {
			return lib, h265, err
		}
		if lib.H265[i], err = clip.Pattern(true, i == 1); err != nil {
			return lib, h265, err
		}
	}
	audio := m.audio
	if m.file != "" {
		v, a, err := clip.Load(m.file)
		if err != nil {
			return lib, h265, err
		}
		if h265 = v.H265; h265 {
			lib.H265 = [2]*clip.Video{v, v}
		} else {
			lib.H264 = [2]*clip.Video{v, v}
		}
		if audio == "" {
			lib.Audio = a
			return lib, h265, nil
		}
	}
	switch audio {
	case "", "pcma":
		lib.Audio, err = clip.Tone(clip.PCMA)
	case "aac":
		lib.Audio, err = clip.Tone(clip.AAC)
	}
	return lib, h265, err
}

// targets are the encoders that are on.
func (s *simulation) targets() []*discovery.Target {
	var list []*discovery.Target
	for _, e := range s.encoders {
		if e.Up() {
			list = append(list, e.Target())
		}
	}
	return list
}

// readiness is what -ready-json prints.
type readiness struct {
	Encoders  []readyEncoder `json:"encoders"`
	Control   string         `json:"control,omitempty"`
	Discovery []string       `json:"discovery,omitempty"`
}

type readyEncoder struct {
	Name     string            `json:"name"`
	Serial   string            `json:"serial"`
	MAC      string            `json:"mac"`
	User     string            `json:"user"`
	Password string            `json:"password,omitempty"` // only if it was made here
	ONVIF    string            `json:"onvif"`
	RTSP     map[string]string `json:"rtsp"`
}

// ready tells where everything is, in one write.
func (s *simulation) ready(w io.Writer) error {
	var r readiness
	for _, e := range s.encoders {
		id := e.Identity()
		re := readyEncoder{
			Name: id.Name, Serial: id.Serial, MAC: id.MAC, User: s.opt.user, ONVIF: e.ONVIF(), RTSP: map[string]string{},
		}
		if s.opt.generated {
			re.Password = s.opt.password
		}
		for _, p := range encoder.Profiles() {
			re.RTSP[p] = e.RTSP(p)
		}
		r.Encoders = append(r.Encoders, re)
	}
	if s.control != nil {
		r.Control = "http://" + s.control.Addr().String()
	}
	for _, a := range s.found.Addrs() {
		r.Discovery = append(r.Discovery, a.String())
	}
	var b bytes.Buffer
	if s.opt.readyJSON {
		_ = json.NewEncoder(&b).Encode(r) // plain strings, into a buffer
	} else {
		r.print(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r readiness) print(b *bytes.Buffer) {
	for _, e := range r.Encoders {
		fmt.Fprintf(b, "ready: %s serial %s mac %s onvif %s rtsp %s %s user %s", e.Name, e.Serial, e.MAC,
			e.ONVIF, e.RTSP["main"], e.RTSP["sub"], e.User)
		if e.Password != "" {
			fmt.Fprintf(b, " password %s", e.Password)
		}
		b.WriteByte('\n')
	}
	if r.Control != "" {
		fmt.Fprintf(b, "control: %s\n", r.Control)
	}
}

// run serves until ctx ends.
func (s *simulation) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	announce := func(t *discovery.Target, up bool) {
		if up {
			s.found.Hello(t)
		} else {
			s.found.Bye(t)
		}
	}
	for _, e := range s.encoders {
		g.Go(func() error { return e.Run(ctx, announce) })
	}
	g.Go(func() error { return s.found.Run(ctx) })
	if s.control != nil {
		g.Go(func() error { return s.serveControl(ctx) })
	}
	for _, text := range s.opt.faults {
		f, err := parseFault(text)
		if err != nil {
			return err // validated with the flags
		}
		g.Go(func() error { return s.inject(ctx, f) })
	}
	return g.Wait()
}

func (s *simulation) serveControl(ctx context.Context) error {
	srv := &http.Server{Handler: encoder.Control(s.encoders), ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.control) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	srv.Close()
	<-done
	return nil
}

// A startFault is one -fault.
type startFault struct {
	name  string
	query url.Values
	after time.Duration
}

func parseFault(text string) (f startFault, err error) {
	name, query, _ := strings.Cut(text, "?")
	if f.name = name; name == "" {
		return f, errors.New("want a name")
	}
	if f.query, err = url.ParseQuery(query); err != nil {
		return f, err
	}
	if after := f.query.Get("after"); after != "" {
		if f.after, err = time.ParseDuration(after); err != nil {
			return f, err
		}
	}
	return f, encoder.CheckFault(f.name, f.query)
}

// inject causes a fault on every encoder after a while.
func (s *simulation) inject(ctx context.Context, f startFault) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(f.after):
	}
	for _, e := range s.encoders {
		if err := e.Inject(f.name, f.query); err != nil {
			return fmt.Errorf("fault %s: %w", f.name, err)
		}
	}
	return nil
}
