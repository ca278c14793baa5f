package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"districtgateway/domain"
)

// TestTombstoneKeepsTheLogin: for the owner of the file, in it, and nowhere else.
func TestTombstoneKeepsTheLogin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	grave := domain.Tombstone{Peer: "33010000002000000001", Address: "192.0.2.10:5060", Transport: "tcp",
		Left: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), Reason: "the upper agreed", Force: true}
	login := Login{"33010200002000000001", "hidden-1"}
	s, err := Open(Config{Path: path, Login: func(domain.Code) Login { return login }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Save(domain.SaveTombstone{Tombstone: grave})
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	session(t, path, func(s *Store) {
		if d := cmp.Diff([]domain.Tombstone{grave}, load(t, s).Tombstones); d != "" {
			t.Error(d)
		}
		got, err := s.Logins()
		if err != nil || len(got) != 1 || got[grave.Peer] != login {
			t.Errorf("%d logins, %v", len(got), err)
		}
		if text := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(text, "hidden") {
			t.Error(text)
		}
		s.Save(domain.ForgetTombstone{Peer: grave.Peer})
	})
	session(t, path, func(s *Store) {
		if got := load(t, s); len(got.Tombstones) != 0 {
			t.Errorf("a lifted tombstone came back: %+v", got)
		}
	})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// TestFileOfBeforeTombstonesIsRead: a file without their bucket is an older one.
func TestFileOfBeforeTombstonesIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	session(t, path, func(s *Store) { s.Save(domain.SaveLink{Link: link}) })
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketTombstones) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	session(t, path, func(s *Store) {
		if got := load(t, s); len(got.Links) != 1 || len(got.Tombstones) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
