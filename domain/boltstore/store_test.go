package boltstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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
