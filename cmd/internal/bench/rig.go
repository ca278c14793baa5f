package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"districtgateway/cmd/internal/api"
)

// Codes of the three levels, from the top.
const (
	province = "33000000002000000001"
	city     = "33010000002000000001"
	district = "33010600002000000001"
)

// channelCode is the code of the n-th encoder, from 0.
func channelCode(n int) string { return fmt.Sprintf("3301060000132%07d", n+1) }

// A plan is what a rig is to consist of.
type plan struct {
	media    string // transport between the levels
	encoders []simulators
	readers  bool   // the district gives its streams by RTSP, too
	size     string // of the district's volume; empty: what there is room for
}

// simulators are encoders of one kind.
type simulators struct {
	count int
	codec string
}

// bitrate is what every encoder is padded to, in bit/s.
const bitrate = 4_000_000

// A rig is three levels of the gateway and their encoders, running.
type rig struct {
	bench    *bench
	plan     plan
	name     string
	dir      string
	net      string // the first three bytes of its loopback addresses
	levels   []*level
	sims     []*process
	sources  []string // ONVIF addresses
	channels []string // their codes
	began    time.Time
	online   time.Duration // from the start of the daemons until both links were online
	complete time.Duration // until the province had every channel, online
}

// A level is one daemon.
type level struct {
	*process
	code   string
	client *api.Client
}

func (r *rig) top() *level    { return r.levels[0] }
func (r *rig) middle() *level { return r.levels[1] }
func (r *rig) bottom() *level { return r.levels[2] }

// build starts a rig and waits until its catalogue is complete. The caller owes
// it a close.
func (b *bench) build(ctx context.Context, p plan) (*rig, error) {
	r := &rig{bench: b, plan: p, name: fmt.Sprintf("rig%d", b.rigs.Add(1)), net: fmt.Sprintf("127.%d.%d", 64+rand.N(128), rand.N(256))}
	r.dir = filepath.Join(b.scratch, r.name)
	if err := errors.Join(os.MkdirAll(r.dir, 0o755), r.assemble(ctx)); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) assemble(ctx context.Context) error {
	for i, s := range r.plan.encoders {
		if err := r.simulate(ctx, i, s); err != nil {
			return err
		}
	}
	r.began = time.Now()
	for i, code := range []string{province, city, district} {
		if err := r.launch(code, r.configuration(i, filepath.Join(r.dir, code)), nil); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// password is that of the simulated encoders and of the links, which nobody
// outside of this machine reaches.
const password = "bench-only"

// simulate starts encoders and learns their addresses.
func (r *rig) simulate(ctx context.Context, i int, s simulators) error {
	said, write := io.Pipe()
	defer said.Close()
	addr := fmt.Sprintf("%s.%d:0", r.net, 11+i)
	p, err := r.bench.start(fmt.Sprintf("%s-encodersim%d", r.name, i), write, r.bench.encoders,
		"-count", fmt.Sprint(s.count), "-codec", s.codec, "-bitrate", fmt.Sprint(bitrate), "-http", addr, "-rtsp", addr,
		"-password", password, "-mac", fmt.Sprintf("02:00:00:00:%02x:01", i), "-serial", fmt.Sprintf("S%d01", i), "-ready-json", "-quiet")
	if err != nil {
		return err
	}
	r.sims = append(r.sims, p)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { write.CloseWithError(ctx.Err()) })
	defer stop()
	go func() { // ends with the process, which is stopped with the rig
		<-p.ended
		write.CloseWithError(p.check())
	}()
	var ready struct {
		Encoders []struct {
			ONVIF string `json:"onvif"`
		} `json:"encoders"`
	}
	if err := json.NewDecoder(said).Decode(&ready); err != nil {
		return fmt.Errorf("encodersim gets ready: %w", err)
	}
	for _, e := range ready.Encoders {
		r.channels = append(r.channels, channelCode(len(r.sources)))
		r.sources = append(r.sources, e.ONVIF)
	}
	return nil
}

// launch starts a level, in a group if there is one: from its first instruction,
// since it looks at its limit when it starts.
func (r *rig) launch(code string, configuration []byte, group *cgroup) error {
	dir := filepath.Join(r.dir, code)
	program, file := filepath.Join(dir, "gatewayd"), filepath.Join(dir, "gatewayd.toml")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := errors.Join(copyProgram(program, r.bench.gatewayd), os.WriteFile(file, configuration, 0o600)); err != nil {
		return err
	}
	path, args := program, []string{"--config", file}
	if group != nil {
		path, args = "/bin/sh", []string{"-c", `echo $$ > "$0" && exec "$1" --config "$2"`, group.procs(), program, file}
	}
	p, err := r.bench.start(fmt.Sprintf("%s-%s", r.name, code), nil, path, args...)
	if err != nil {
		return err
	}
	r.levels = append(r.levels, &level{p, code, api.NewClient(filepath.Join(dir, "control.sock"))})
	return nil
}

// copyProgram copies a program that is to be started. Meanwhile nothing is: a process that
// has just been forked for something else would have the file open for writing, and while
// anybody has a program cannot be started (ETXTBSY).
func copyProgram(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, data, 0o755)
}

// configuration writes the file of the i-th level.
func (r *rig) configuration(i int, dir string) []byte {
	codes := []string{province, city, district}
	readers := ""
	if r.plan.readers && i == len(codes)-1 {
		readers = r.rtsp()
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "[server]\nid = %q\nname = \"level %d\"\nlisten = \"%s.%d:5060\"\nstate = %q\n[rtsp]\nlisten = %q\n[webrtc]\nlisten = \"\"\n", codes[i], i+1, r.net, i+1, dir, readers)
	fmt.Fprintf(&b, "[discovery]\nenabled = false\nuser = \"admin\"\npassword = %q\n", password)
	if i > 0 {
		fmt.Fprintf(&b, "[[upper]]\nid = %q\naddress = \"%s.%d:5060\"\npassword = %q\n", codes[i-1], r.net, i, password)
	}
	if i < len(codes)-1 {
		fmt.Fprintf(&b, "[[lower]]\nid = %q\npassword = %q\nmedia = %q\n", codes[i+1], password, r.plan.media)
		return b.Bytes()
	}
	fmt.Fprintf(&b, "[[volume]]\npath = %q\ncreate = true\nfree = \"100MB\"\n", filepath.Join(dir, "volume"))
	if r.plan.size != "" {
		fmt.Fprintf(&b, "size = %q\n", r.plan.size)
	}
	for n, onvif := range r.sources {
		fmt.Fprintf(&b, "[[encoder]]\nid = %q\nname = \"encoder %d\"\nonvif = %q\n", r.channels[n], n+1, onvif)
	}
	return b.Bytes()
}

// rtsp is where the district gives its streams to readers.
func (r *rig) rtsp() string { return r.net + ".3:8554" }

// settle waits until the links are online and the province's catalogue is complete.
func (r *rig) settle(ctx context.Context) error {
	const every, limit = 20 * time.Millisecond, 90 * time.Second
	err := poll(ctx, patience{every, limit, "links online"}, func() (bool, error) { return r.linked(ctx) })
	if err != nil {
		return err
	}
	r.online = time.Since(r.began)
	what := fmt.Sprintf("the province has %d channels, online", len(r.channels))
	err = poll(ctx, patience{every, limit, what}, func() (bool, error) { return r.catalogued(ctx) })
	r.complete = time.Since(r.began)
	return err
}

func (r *rig) linked(ctx context.Context) (bool, error) {
	for _, l := range r.levels[:2] {
		s, err := l.status(ctx)
		if err != nil || len(s.Lowers) != 1 || s.Lowers[0].State != "online" {
			return false, err
		}
	}
	return true, nil
}

func (r *rig) catalogued(ctx context.Context) (bool, error) {
	var list []api.Channel
	if err := r.top().client.Get(ctx, api.PathChannels, nil, &list); err != nil {
		return false, err
	}
	n := 0
	for _, c := range list {
		if c.Kind == "channel" && c.Online {
			n++
		}
	}
	if n != len(r.channels) {
		return false, nil
	}
	s, err := r.top().status(ctx)
	return err == nil && !s.Lowers[0].Catalog.IsZero(), err
}

// status asks a level how it is.
func (l *level) status(ctx context.Context) (s api.Status, err error) {
	if err := l.check(); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return s, l.client.Get(ctx, api.PathStatus, nil, &s)
}

// close stops every process.
func (r *rig) close() {
	var wg sync.WaitGroup
	for _, l := range r.levels {
		l.client.Close()
		wg.Go(l.stop)
	}
	wg.Wait()
	for _, s := range r.sims {
		wg.Go(s.stop)
	}
	wg.Wait()
	if err := os.RemoveAll(r.dir); err != nil {
		r.bench.say("remove %s: %v", r.dir, err)
	}
}
