package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"districtgateway/domain"
	"districtgateway/media/onvif"
)

// A found encoder, as the last round saw it.
type found struct {
	onvif.Found
	device  onvif.Device // zero if it did not let itself be asked
	codes   []domain.Code
	verdict string
}

// askAtOnce is how many encoders are asked at the same time.
const askAtOnce = 8

// discoverForEver looks for encoders in rounds, and at once when asked to.
func (cs *cameras) discoverForEver(ctx context.Context) error {
	for {
		began := time.Now()
		if _, err := cs.discover(ctx, 0); err != nil && ctx.Err() == nil {
			cs.log.Warn("discovery failed", "err", err)
		}
		select {
		case <-time.After(cs.file.Discovery.Every):
		case <-cs.kick:
			// Encoders that are off ask for a round at each try: one in five seconds is enough.
			select {
			case <-time.After(time.Until(began.Add(5 * time.Second))):
			case <-ctx.Done():
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// discover does one round, listening for wait after the last probe (0: a
// second), and returns what was found.
func (cs *cameras) discover(ctx context.Context, wait time.Duration) ([]found, error) {
	if wait == 0 {
		wait = time.Second
	}
	d, err := onvif.Discover(ctx, onvif.DiscoverConfig{
		Interfaces: cs.file.Discovery.Interfaces, Targets: cs.file.Discovery.Addresses,
		Wait: wait, Repeats: 2, Every: 200 * time.Millisecond,
	})
	if err != nil && len(d.Found) == 0 {
		return nil, err
	}
	all := make([]found, len(d.Found))
	var wg sync.WaitGroup
	slots := make(chan struct{}, askAtOnce)
	for i := range d.Found {
		if old, ok := cs.stillKnown(d.Found[i]); ok {
			all[i] = old
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			all[i] = cs.judge(ctx, d.Found[i])
		})
	}
	wg.Wait()
	for i := range all {
		cs.settle(&all[i])
	}
	cs.remember(all)
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.From.String(), b.From.String()) })
	return all, err
}

// stillKnown returns what the last round found of an encoder that is in service
// and delivers: it need not be asked again who it is.
func (cs *cameras) stillKnown(f onvif.Found) (found, bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	old, ok := cs.known[f.Endpoint]
	if !ok || f.Endpoint == "" || len(old.codes) == 0 || !slices.Equal(old.XAddrs, f.XAddrs) {
		return found{}, false
	}
	for _, code := range old.codes {
		s, c := cs.services[code], cs.inv.cameras[code]
		if s == nil || c == nil || c.Address != old.device.XAddr || s.stream == nil || !s.stream.State().Connected {
			return found{}, false
		}
	}
	return old, true
}

// remember keeps what a round found, for the next.
func (cs *cameras) remember(all []found) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	clear(cs.known)
	for _, f := range all {
		cs.known[f.Endpoint] = f
	}
}

// seen reports whether there is an encoder with an identity in the inventory, or
// was in the last round. The caller holds cs.mu.
func (cs *cameras) seen(identity string) bool {
	if cs.inv.find(identity, "") != nil {
		return true
	}
	key, _ := splitSource(identity)
	for _, f := range cs.known {
		if sameIdentity(key, f.device.Key()) {
			return true
		}
	}
	return false
}

// judge asks an encoder who it is.
func (cs *cameras) judge(ctx context.Context, f onvif.Found) found {
	out := found{Found: f}
	if len(f.XAddrs) == 0 {
		out.verdict = "gave no address"
		return out
	}
	user, password := cs.credentials(camera{Address: f.XAddrs[0], Identity: f.HardwareAddress})
	client, err := onvif.New(onvif.Config{
		Address: f.XAddrs[0], User: user, Password: password, Endpoint: f.Endpoint, Insecure: true,
	})
	if err != nil {
		out.verdict = err.Error()
		return out
	}
	defer client.Close()
	switch out.device, err = client.Identify(ctx); {
	case errors.Is(err, onvif.ErrUnauthorized):
		out.verdict = "user or password refused"
	case err != nil:
		out.verdict = err.Error()
	case len(out.device.Channels) == 0:
		out.verdict = "has no video"
	}
	return out
}

// settle enters what an encoder told into the inventory.
func (cs *cameras) settle(f *found) {
	if f.verdict != "" { // it could not be asked, or is known still
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for n := range f.device.Channels {
		identity := f.device.Key()
		if n > 0 {
			identity = fmt.Sprintf("%s#%d", identity, n+1)
		}
		c := cs.inv.find(identity, f.device.XAddr)
		if c == nil && cs.inv.takenByRTSP(f.device.XAddr) {
			f.verdict = "in service by its rtsp address"
			return
		}
		if c == nil && !cs.file.Discovery.Adopt {
			f.verdict = "not adopted"
			return
		}
		if c == nil {
			var err error
			if c, err = cs.inv.add(camera{Identity: identity, Name: f.Name, Maker: f.device.Manufacturer, Model: f.device.Model,
				Since: time.Now()}); err != nil {
				f.verdict = err.Error()
				return
			}
			cs.log.Info("encoder adopted", "channel", c.Code, "identity", identity, "address", f.device.XAddr)
		}
		cs.learn(c, identity, f.device)
		f.codes = append(f.codes, c.Code)
	}
	f.verdict = "in service"
}

// learn notes where and what a camera's encoder is now. The caller holds cs.mu.
func (cs *cameras) learn(c *camera, identity string, d onvif.Device) {
	old := *c
	c.Identity, c.Address = identity, d.XAddr
	if _, n := splitSource(identity); n < len(d.Channels) {
		c.PTZ = d.Channels[n].Moves != ""
	}
	c.Maker, c.Model = d.Manufacturer, d.Model
	if !reflect.DeepEqual(*c, old) {
		cs.store.SaveEncoder(c.Code, *c)
		if old.Address != "" && old.Address != c.Address {
			cs.log.Info("encoder moved", "channel", c.Code, "from", old.Address, "to", c.Address)
		}
	}
	if s := cs.services[c.Code]; s != nil {
		s.seen, s.problem = time.Now(), nil
		if _, n := splitSource(identity); n < len(d.Channels) {
			s.streams = streamsOf(d.Channels[n])
		}
	}
}
