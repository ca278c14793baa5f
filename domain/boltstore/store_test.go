package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"districtgateway/domain"
)

var (
	link = domain.Link{Peer: "33010200002000000001", Role: domain.Lower, Name: "区",
		State: domain.LinkOnline, Since: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	items = []domain.Item{{ID: "33010200001320000001", Name: "北门-㙍", Status: domain.StatusOn}}
)

// session opens a store at path, lets f use it while it runs, and closes it.
func session(t *testing.T, path string, f func(*Store)) {
	t.Helper()
	s, err := Open(Config{Path: path, Linger: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	f(s)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s *Store) domain.State {
	t.Helper()
	state, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestWhatWasSavedIsThereAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	session(t, path, func(s *Store) {
		s.Save(domain.SaveLink{Link: link})
		s.Save(domain.SaveCatalog{Peer: link.Peer, Items: items})
		s.SaveEncoder("33010200001320000001", map[string]string{"serial": "A1"})
	})
	session(t, path, func(s *Store) {
		want := domain.State{Links: []domain.Link{link}, Catalogs: map[domain.Code][]domain.Item{link.Peer: items}}
		if d := cmp.Diff(want, load(t, s)); d != "" {
			t.Error(d)
		}
		got := map[domain.Code]string{}
		err := LoadEncoders(s, func(c domain.Code, v map[string]string) { got[c] = v["serial"] })
		if d := cmp.Diff(map[domain.Code]string{"33010200001320000001": "A1"}, got); d != "" || err != nil {
			t.Error(d, err)
		}
		s.Save(domain.ForgetLink{Peer: domain.PeerRef{Code: link.Peer, Role: domain.Lower}})
		s.Save(domain.SaveCatalog{Peer: link.Peer}) // of nothing: nothing is kept
		s.ForgetEncoder("33010200001320000001")
	})
	session(t, path, func(s *Store) {
		if got := load(t, s); len(got.Links)+len(got.Catalogs) != 0 {
			t.Errorf("forgotten state came back: %+v", got)
		}
	})
}

func TestDamagedFileIsSetAsideNotFatal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte("no bolt file, but long enough to look"), 0o600); err != nil {
		t.Fatal(err)
	}
	session(t, path, func(s *Store) {
		if got := load(t, s); len(got.Links) != 0 {
			t.Errorf("state out of nothing: %+v", got)
		}
	})
	kept, _ := filepath.Glob(path + ".damaged-*")
	if len(kept) != 1 {
		t.Errorf("the damaged file was kept as %v", kept)
	}
}

func TestUnreadableRecordDoesNotHideTheOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	session(t, path, func(s *Store) { s.Save(domain.SaveLink{Link: link}) })
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketLinks).Put([]byte("x"), []byte("{")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	session(t, path, func(s *Store) {
		if got := load(t, s); len(got.Links) != 1 {
			t.Errorf("%d links, want the readable one", len(got.Links))
		}
	})
}

func TestNewerOrBusyFileIsRefusedUntouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	session(t, path, func(*Store) {
		if _, err := Open(Config{Path: path}); !errors.Is(err, ErrLocked) {
			t.Errorf("second open: %v", err)
		}
	})
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyVersion, []byte{formatVersion + 1})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path}); !errors.Is(err, ErrNewer) {
		t.Errorf("newer file: %v", err)
	}
}

// TestNoDamageKeepsTheBoxFromStarting damages every page of a file in several
// ways, and cuts the file at each.
func TestNoDamageKeepsTheBoxFromStarting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	session(t, path, func(s *Store) {
		for i := range 300 { // more than one page
			code := domain.Code(fmt.Sprintf("33010200001320%06d", i))
			s.SaveEncoder(code, map[string]string{"serial": strings.Repeat("A", 100)})
		}
		s.Save(domain.SaveLink{Link: link})
		s.SaveEncoder("33010200001329999999", strings.Repeat("long ", 4000)) // pages of its own
	})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	damage := map[string]func(b []byte, at int) []byte{
		"zeros":     func(b []byte, at int) []byte { clear(b[at : at+page]); return b },
		"ones":      func(b []byte, at int) []byte { copy(b[at:], bytes.Repeat([]byte{0xff}, page)); return b },
		"the first": func(b []byte, at int) []byte { copy(b[at:at+page], b[:page]); return b },
		"neighbour": func(b []byte, at int) []byte { copy(b[at:at+page], b[(at+page)%len(b):]); return b },
		"cut":       func(b []byte, at int) []byte { return b[:at] },
		"cut page":  func(b []byte, at int) []byte { return b[:at+100] },
	}
	aside := 0
	for name, f := range damage {
		for at := 0; at < len(whole); at += page {
			path := filepath.Join(dir, fmt.Sprintf("%s-%d.db", name, at/page))
			if err := os.WriteFile(path, f(bytes.Clone(whole), at), 0o600); err != nil {
				t.Fatal(err)
			}
			session(t, path, func(s *Store) {
				s.Save(domain.SaveLink{Link: link})
				if got := load(t, s); len(got.Links) != 1 {
					t.Errorf("%s of page %d: %d links", name, at/page, len(got.Links))
				}
			})
			kept, _ := filepath.Glob(path + ".damaged-*")
			aside += len(kept)
		}
	}
	if aside < len(whole)/page {
		t.Errorf("only %d files were found damaged: nothing was damaged", aside)
	}
}

func TestTroubleOfTheDiskIsNotTakenForDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	session(t, path, func(s *Store) { s.Save(domain.SaveLink{Link: link}) })
	for name, trouble := range map[string]error{
		"full": syscall.ENOSPC, "read only": syscall.EROFS, "locked": ErrLocked, "newer": ErrNewer, "no directory": os.ErrNotExist,
	} {
		if err := known(fmt.Errorf("open: %w", trouble)); errors.Is(err, errDamaged) || !errors.Is(err, trouble) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(Config{Path: filepath.Join(path, "below", "a file")}); err == nil {
		t.Error("opened below a file")
	}
}

func TestChangeThatCannotBeWrittenDoesNotHoldUpOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	session(t, path, func(s *Store) {
		s.SaveEncoder("", "no key")
		s.SaveEncoder(domain.Code(strings.Repeat("1", 1<<16)), "too long a key")
		s.SaveEncoder("33010200001320000001", func() {}) // no JSON
		s.Save(domain.SaveLink{Link: link})
	})
	session(t, path, func(s *Store) {
		if got := load(t, s); len(got.Links) != 1 {
			t.Errorf("%d links", len(got.Links))
		}
	})
}

func TestWhatWasSavedIsLoadedEvenBeforeItIsCommitted(t *testing.T) {
	s, err := Open(Config{Path: filepath.Join(t.TempDir(), "state.db"), Linger: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.Save(domain.SaveLink{Link: link})
	if got := load(t, s); len(got.Links) != 1 {
		t.Errorf("%d links", len(got.Links))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
}
