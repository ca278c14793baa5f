// Package boltstore keeps on the box's own flash what must survive a restart: the
// lower domains that are registered, their catalogues, the upper domains that were
// left, the encoders with the codes they were given, and the users. It is the [domain.Store] of
// the daemon. Only the file's owner may read it: it holds passwords.
//
// One small bbolt file holds a bucket for each, and the version of its layout.
// Values are JSON, so that a newer program reads what an older one wrote. What is
// saved is committed in batches by Run, since a commit costs some 25 kB of writing
// to flash whatever its size.
package boltstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"districtgateway/domain"
)

// formatVersion is the version of the file's layout; a file of a newer one is
// refused rather than misread.
const formatVersion = 1

var (
	bucketMeta       = []byte("meta")
	bucketLinks      = []byte("links")
	bucketCatalogs   = []byte("catalogs")
	bucketTombstones = []byte("tombstones")
	bucketEncoders   = []byte("encoders")
	bucketUsers      = []byte("users")
	keyVersion       = []byte("version")
)

// Errors of Open.
var (
	ErrNewer  = errors.New("written by a newer version")
	ErrLocked = errors.New("in use by another process")
)

// A Config configures a store. The zero value of each optional field means its default.
type Config struct {
	Path   string        // file; its directory must exist
	Linger time.Duration // how long a change may wait for others before it is committed; 0: 200 ms
	Log    *slog.Logger  // nil: discard

	// Login returns who we are to an upper; it is kept with the tombstone, for the
	// time when the upper is not configured any more. nil: nobody.
	Login func(domain.Code) Login
}

// A Store keeps state in one file.
type Store struct {
	cfg Config
	db  *bbolt.DB

	writing sync.Mutex // held while committing
	mu      sync.Mutex
	pending map[string]change // by bucket and key: the newest change only
	kick    chan struct{}
}

// A change is one key's new value; nil deletes it.
type change struct {
	bucket, key, value []byte
}

// Open opens the file, or makes it. A file that cannot be read is set aside
// under a new name, loudly, and a fresh one begun: the box must start.
func Open(cfg Config) (*Store, error) {
	if cfg.Linger == 0 {
		cfg.Linger = 200 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	db, err := open(cfg.Path)
	if errors.Is(err, errDamaged) {
		aside := cfg.Path + ".damaged-" + time.Now().UTC().Format("20060102T150405")
		if renamed := os.Rename(cfg.Path, aside); renamed != nil {
			return nil, errors.Join(err, renamed)
		}
		cfg.Log.Error("state file damaged, begun anew", "err", err, "kept", aside)
		db, err = open(cfg.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("state file %s: %w", cfg.Path, err)
	}
	return &Store{cfg: cfg, db: db, pending: map[string]change{}, kick: make(chan struct{}, 1)}, nil
}

// options open a file. The list of free pages is kept in it: where it is not, bbolt
// works it out when it opens the file, on a goroutine of its own, of which a panic
// about damage ends the process.
func options() *bbolt.Options { return &bbolt.Options{Timeout: time.Second} }

func open(path string) (*bbolt.DB, error) {
	if err := create(path); err != nil {
		return nil, err
	}
	if err := verify(path); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, 0o600, options())
	if err != nil {
		return nil, known(err)
	}
	if err := db.Update(prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// create makes an empty file under another name first: bbolt's own first
// initialisation is not safe against a power cut.
func create(path string) error {
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bbolt.Open(tmp, 0o600, options())
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(prepare), db.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// prepare makes the buckets and checks the version.
func prepare(tx *bbolt.Tx) error {
	for _, b := range [][]byte{bucketMeta, bucketLinks, bucketCatalogs, bucketTombstones, bucketEncoders, bucketUsers} {
		if _, err := tx.CreateBucketIfNotExists(b); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	v := meta.Get(keyVersion)
	if v == nil {
		return meta.Put(keyVersion, []byte{formatVersion})
	}
	if len(v) != 1 || v[0] > formatVersion {
		return fmt.Errorf("%w: format %v, this program knows %d", ErrNewer, v, formatVersion)
	}
	return nil
}

// Run commits what is saved until ctx ends, then commits the rest and closes the
// file. A commit that fails is tried again, less and less often: the change is
// kept, and said.
func (s *Store) Run(ctx context.Context) error {
	linger := s.cfg.Linger
	for {
		select {
		case <-s.kick:
		case <-ctx.Done():
			return errors.Join(s.commit(), s.db.Close())
		}
		select {
		case <-time.After(linger):
		case <-ctx.Done():
		}
		if err := s.commit(); err != nil {
			linger = min(2*linger, longestLinger)
			s.cfg.Log.Error("state not saved, kept for another try", "err", err, "retry", linger)
			s.signal()
			continue
		}
		linger = s.cfg.Linger
	}
}

// longestLinger bounds the pause before a commit that failed is tried again.
const longestLinger = 30 * time.Second

// commit writes all pending changes in one transaction.
func (s *Store) commit() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	changes := s.pending
	s.pending = map[string]change{}
	s.mu.Unlock()
	if len(changes) == 0 {
		return nil
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, c := range changes {
			if err := c.apply(tx.Bucket(c.bucket)); err != nil { // of the change, not of the file
				s.cfg.Log.Error("state cannot be written", "key", string(c.key), "err", err)
			}
		}
		return nil
	})
	if err != nil {
		s.restore(changes)
		return fmt.Errorf("commit %d changes: %w", len(changes), err)
	}
	return nil
}

func (c change) apply(b *bbolt.Bucket) error {
	if c.value == nil {
		return b.Delete(c.key)
	}
	return b.Put(c.key, c.value)
}

// restore puts back changes that were not committed, unless newer ones came.
func (s *Store) restore(changes map[string]change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, c := range changes {
		if _, newer := s.pending[k]; !newer {
			s.pending[k] = c
		}
	}
}

// put queues a change; v nil deletes.
func (s *Store) put(bucket []byte, key string, v any) {
	c := change{bucket: bucket, key: []byte(key)}
	if v != nil {
		var err error
		if c.value, err = json.Marshal(v); err != nil {
			s.cfg.Log.Error("state cannot be written", "key", key, "err", err)
			return
		}
	}
	s.mu.Lock()
	s.pending[string(bucket)+"/"+key] = c
	s.mu.Unlock()
	s.signal()
}

func (s *Store) signal() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Save queues one of the effects SaveLink to ForgetTombstone; see [domain.Store].
func (s *Store) Save(e domain.Effect) {
	switch e := e.(type) {
	case domain.SaveLink:
		s.put(bucketLinks, linkKey(e.Link.Peer, e.Link.Role), e.Link)
	case domain.ForgetLink:
		s.put(bucketLinks, linkKey(e.Peer.Code, e.Peer.Role), nil)
		if e.Peer.Role == domain.Lower {
			s.put(bucketCatalogs, string(e.Peer.Code), nil)
		}
	case domain.SaveCatalog:
		if len(e.Items) == 0 { // all of it was deleted
			s.put(bucketCatalogs, string(e.Peer), nil)
			return
		}
		s.put(bucketCatalogs, string(e.Peer), e.Items)
	case domain.SaveTombstone:
		s.saveTombstone(e.Tombstone)
	case domain.ForgetTombstone:
		s.put(bucketTombstones, string(e.Peer), nil)
	}
}

// Flush commits what was saved so far.
func (s *Store) Flush() error { return s.commit() }

func linkKey(peer domain.Code, role domain.Role) string { return string(peer) + "/" + role.String() }

// Load returns what was saved; see [domain.Store]. A record that cannot be read
// is left out, and said.
func (s *Store) Load(context.Context) (domain.State, error) {
	if err := s.commit(); err != nil {
		return domain.State{}, err
	}
	state := domain.State{Catalogs: map[domain.Code][]domain.Item{}}
	err := s.db.View(func(tx *bbolt.Tx) error {
		return errors.Join(
			each(s, tx.Bucket(bucketLinks), func(_ string, l domain.Link) { state.Links = append(state.Links, l) }),
			each(s, tx.Bucket(bucketCatalogs), func(k string, items []domain.Item) { state.Catalogs[domain.Code(k)] = items }),
			each(s, tx.Bucket(bucketTombstones), func(_ string, g grave) { state.Tombstones = append(state.Tombstones, g.Tombstone) }),
		)
	})
	return state, err
}

// each decodes every value of a bucket.
func each[T any](s *Store, b *bbolt.Bucket, f func(key string, v T)) error {
	return b.ForEach(func(k, raw []byte) error {
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			s.cfg.Log.Error("saved state unreadable, left out", "key", string(k), "err", err)
			return nil
		}
		f(string(k), v)
		return nil
	})
}

// SaveEncoder keeps v, any JSON value, under an encoder's code.
func (s *Store) SaveEncoder(code domain.Code, v any) { s.put(bucketEncoders, string(code), v) }

// ForgetEncoder removes it.
func (s *Store) ForgetEncoder(code domain.Code) { s.put(bucketEncoders, string(code), nil) }

// LoadEncoders calls f for each encoder kept.
func LoadEncoders[T any](s *Store, f func(code domain.Code, v T)) error {
	return loadAll(s, bucketEncoders, func(k string, v T) { f(domain.Code(k), v) })
}

// SaveUser keeps row, any JSON value, under a user's name.
func (s *Store) SaveUser(name string, row any) { s.put(bucketUsers, name, row) }

// ForgetUser removes it.
func (s *Store) ForgetUser(name string) { s.put(bucketUsers, name, nil) }

// LoadUsers calls f for each user kept.
func LoadUsers[T any](s *Store, f func(name string, row T)) error { return loadAll(s, bucketUsers, f) }

func loadAll[T any](s *Store, bucket []byte, f func(key string, v T)) error {
	if err := s.commit(); err != nil {
		return err
	}
	return s.db.View(func(tx *bbolt.Tx) error { return each(s, tx.Bucket(bucket), f) })
}
