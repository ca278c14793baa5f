package main

import (
	"fmt"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/storage"
)

// assign gives the encoders of a code list their codes.
func (cs *cameras) assign(lines []codeLine) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	moved, err := cs.inv.assign(lines, time.Now())
	for from, to := range moved {
		cs.store.ForgetEncoder(from)
		cs.reopen(to)
	}
	cs.saveAll()
	return err
}

// replace puts another encoder behind a code. A slip of the pen would be an encoder
// that never comes: what is no hardware address has to have been seen.
func (cs *cameras) replace(in api.Replace) error {
	code, identity := domain.Code(in.Code), strings.TrimSpace(in.Identity)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if identity == "" || !in.Force && !isHardwareAddress(identity) && !cs.seen(identity) {
		return badRequest{fmt.Errorf("identity %q: want a hardware address, or the serial number of an encoder that was seen", identity)}
	}
	given, err := cs.inv.replace(code, identity, time.Now())
	if err != nil {
		return err
	}
	if given != "" {
		cs.store.ForgetEncoder(given)
	}
	cs.reopen(code)
	cs.saveAll()
	cs.lookAgain()
	return nil
}

// footage returns what was recorded of a channel; see [inventory.footage].
func (cs *cameras) footage(code domain.Code) []storage.Tenure {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.inv.footage(code)
}

// holders returns the channels that have footage under a code; without any, itself.
func (cs *cameras) holders(code domain.Code) []domain.Code {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if all := cs.inv.holders(code); len(all) > 0 {
		return all
	}
	return []domain.Code{code}
}

// reopen makes the streams of a channel come from the encoder that now has its
// code. The caller holds cs.mu.
func (cs *cameras) reopen(code domain.Code) {
	for _, profile := range profileNames {
		if s, ok := cs.hub.Lookup(media.Key{Channel: string(code), Profile: profile}); ok {
			s.Reopen()
		}
	}
}

// saveAll writes the inventory. The caller holds cs.mu.
func (cs *cameras) saveAll() {
	for _, c := range cs.inv.list() {
		cs.store.SaveEncoder(c.Code, *c)
	}
}
