package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"districtgateway/cmd/internal/api"
)

// The three levels, uppermost first.
const (
	province = iota
	city
	district
)

var levelNames = [...]struct{ code, name, english string }{
	{"33000000002000000001", "浙江省", "province"},
	{"33010000002000000001", "杭州市", "city"},
	{"33010600002000000001", "西湖区", "district"},
}

// The encoders of the district.
var encoderNames = [...]struct{ name, codec, audio, mac string }{
	{"断桥残雪", "h264", "pcma", "02:00:00:00:00:01"},
	{"曲院风荷", "h265", "aac", "02:00:00:00:00:02"},
}

// Last bytes of addresses in our network.
const (
	firstLevel   = 1
	firstEncoder = 11
)

// encoderUser is the user name at the encoders.
const encoderUser = "admin"

// A site is what runs: its directory, its network, its processes.
type site struct {
	bin       string
	dir       string
	keep      bool
	network   [3]byte
	password  string // of the encoders
	levels    [len(levelNames)]*level
	processes []*process // in the order of their start
}

// A level is one domain.
type level struct {
	code, name, english string
	dir                 string
	listen              netip.AddrPort
	secret              string // with which it registers above
	client              *api.Client
}

func (l *level) socket() string { return filepath.Join(l.dir, "control.sock") }
func (l *level) config() string { return filepath.Join(l.dir, "gateway.toml") }

// newSite chooses addresses and makes the directory; nothing is started.
func newSite(bin, keep string) (s *site, err error) {
	s = &site{keep: keep != "", dir: keep, password: rand.Text()}
	if s.bin, err = filepath.Abs(bin); err != nil {
		return nil, err
	}
	for _, name := range []string{"gatewayd", "gatewayctl", "encodersim"} {
		if _, err := exec.LookPath(s.program(name)); err != nil {
			return nil, fmt.Errorf("%w (make build)", err)
		}
	}
	if s.network, err = chooseNetwork(); err != nil {
		return nil, err
	}
	if s.keep {
		if s.dir, err = filepath.Abs(keep); err == nil {
			err = os.Mkdir(s.dir, 0o755)
		}
	} else {
		s.dir, err = os.MkdirTemp("", "districtgateway-demo-")
	}
	if err != nil {
		return nil, err
	}
	if err := s.writeLevels(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

func (s *site) program(name string) string { return filepath.Join(s.bin, name) }

// writeLevels writes the configuration of each level.
func (s *site) writeLevels() error {
	for i, n := range levelNames {
		a := address(s.network, firstLevel+i)
		port, err := freePort(a)
		if err != nil {
			return err
		}
		l := &level{code: n.code, name: n.name, english: n.english, dir: filepath.Join(s.dir, n.english),
			listen: netip.AddrPortFrom(a, port), secret: rand.Text()}
		l.client = api.NewClient(l.socket())
		s.levels[i] = l
		if err := os.Mkdir(l.dir, 0o755); err != nil {
			return err
		}
	}
	for i, l := range s.levels {
		if err := os.WriteFile(l.config(), []byte(s.configuration(i)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// start starts encoders and levels, and waits until each level answers. When a
// process dies before ctx ends, died is told.
func (s *site) start(ctx context.Context, progress func(string, ...any), died context.CancelCauseFunc) error {
	for i := range encoderNames {
		if err := s.startEncoder(ctx, i, died); err != nil {
			return err
		}
	}
	progress("%d simulated encoders run", len(encoderNames))
	for _, l := range s.levels {
		cmd := exec.Command(s.program("gatewayd"), "--config", l.config())
		p, err := start(s.dir, l.english, cmd)
		if err != nil {
			return err
		}
		s.processes = append(s.processes, p)
		p.watch(ctx, died)
	}
	for i, l := range s.levels {
		err := eventually(ctx, 10*time.Second, func(ctx context.Context) error {
			return l.client.Get(ctx, api.PathVersion, nil, &api.Version{})
		})
		if err != nil {
			return fmt.Errorf("%s: %w", l.english, err)
		}
		s.processes[len(encoderNames)+i].up = true
		progress("%s %s answers, SIP at %s", l.english, l.name, l.listen)
	}
	return nil
}

// startEncoder starts a simulated encoder and waits until it is ready.
func (s *site) startEncoder(ctx context.Context, i int, died context.CancelCauseFunc) error {
	e := encoderNames[i]
	a := address(s.network, firstEncoder+i)
	cmd := exec.Command(s.program("encodersim"), "-ready-json", "-name", e.name, "-codec", e.codec, "-audio", e.audio,
		"-mac", e.mac, "-serial", fmt.Sprintf("DEMO%04d", i+1), "-user", encoderUser,
		"-http", netip.AddrPortFrom(a, 0).String(), "-rtsp", netip.AddrPortFrom(a, 0).String(),
		"-discovery", netip.AddrPortFrom(a, discoveryPort).String())
	cmd.Env = append(os.Environ(), "ENCODERSIM_PASSWORD="+s.password)
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Stdout = in
	p, err := start(s.dir, fmt.Sprintf("encoder-%d", i+1), cmd)
	in.Close()
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	p.watch(ctx, died)
	if err := out.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil && !json.Valid(line) {
		err = fmt.Errorf("said %q", line)
	}
	if err != nil {
		return fmt.Errorf("encoder %d is not ready: %w\n%s", i+1, err, p.tail())
	}
	p.up = true
	return nil
}

// stop ends all processes, the last one started first.
func (s *site) stop() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].stop(patience))
	}
	s.processes = nil
	for _, l := range s.levels {
		l.client.Close()
	}
	return errors.Join(errs...)
}

// remove removes the directory unless it is to be kept.
func (s *site) remove() error {
	if s.keep {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// eventually calls f until it succeeds, for at most within; then its last error
// is the answer.
func eventually(ctx context.Context, within time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
