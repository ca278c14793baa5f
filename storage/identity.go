package storage

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// An Identity is what volume.json says: which volume this is and whose.
type Identity struct {
	Format  int       `json:"format"`
	Volume  string    `json:"volume"`  // a UUID
	Created time.Time `json:"created"` // UTC
	Label   string    `json:"label"`
	Owner   string    `json:"owner"` // id of the box that records on it
}

// ReadIdentity reads the identity of the volume in dir without touching it.
// Without one the error is [ErrWrongVolume].
func ReadIdentity(dir string) (Identity, error) {
	f, err := os.Open(filepath.Join(dir, identityName))
	if errors.Is(err, os.ErrNotExist) {
		return Identity{}, fmt.Errorf("%s has no identity: %w", dir, ErrWrongVolume)
	}
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return Identity{}, fmt.Errorf("read identity: %w", err)
	}
	return parseIdentity(b)
}

func parseIdentity(b []byte) (Identity, error) {
	var id Identity
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&id); err != nil {
		return Identity{}, &SyntaxError{d.InputOffset(), "an identity in JSON"}
	}
	if id.Format != formatVersion {
		return Identity{}, fmt.Errorf("volume format %d, want %d: %w", id.Format, formatVersion, ErrWrongVolume)
	}
	if _, err := ParseVolumeID(id.Volume); err != nil {
		return Identity{}, &SyntaxError{0, "a UUID as volume"}
	}
	return id, nil
}

func writeIdentity(dir string, id Identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, identityName), append(b, '\n'))
}

// newIdentity gives dir, which must be empty (a file system's lost+found aside),
// an identity.
func newIdentity(dir, label, owner string) (Identity, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Identity{}, fmt.Errorf("create volume: %w", err)
	}
	for _, e := range entries {
		if n := e.Name(); n != "lost+found" && n != lockName && n != identityName+".tmp" {
			return Identity{}, fmt.Errorf("create volume: %s is not empty (%s): %w", dir, n, ErrWrongVolume)
		}
	}
	var v VolumeID
	rand.Read(v[:])
	v[6], v[8] = v[6]&0x0f|0x40, v[8]&0x3f|0x80 // RFC 9562 §5.4
	id := Identity{formatVersion, v.String(), time.Now().UTC().Truncate(time.Second), label, owner}
	return id, writeIdentity(dir, id)
}

// claim locks the volume in cfg.Dir for this process, checks that it is the right
// one and ours, and proves that it can be written. The lock lasts until the file is
// closed.
func claim(cfg *VolumeConfig) (Identity, *os.File, error) {
	if cfg.Volume != "" || !cfg.Create { // never write into an empty mount point
		if _, err := ReadIdentity(cfg.Dir); err != nil {
			return Identity{}, nil, err
		}
	}
	lock, err := lockDir(cfg.Dir, cfg.Owner)
	if err != nil {
		return Identity{}, nil, err
	}
	id, err := identify(cfg)
	if err == nil {
		err = probe(cfg.Dir)
	}
	if err == nil {
		err = mark(lock, cfg.Owner)
	}
	if err != nil {
		lock.Close()
		return Identity{}, nil, err
	}
	return id, lock, nil
}

func identify(cfg *VolumeConfig) (Identity, error) {
	id, err := ReadIdentity(cfg.Dir)
	if errors.Is(err, ErrWrongVolume) && id.Format == 0 && cfg.Create && cfg.Volume == "" {
		if _, statErr := os.Stat(filepath.Join(cfg.Dir, identityName)); errors.Is(statErr, os.ErrNotExist) {
			id, err = newIdentity(cfg.Dir, cfg.Label, cfg.Owner)
		}
	}
	if err != nil {
		return id, err
	}
	if cfg.Volume != "" && cfg.Volume != id.Volume {
		return id, fmt.Errorf("%s holds volume %s, configured is %s: %w", cfg.Dir, id.Volume, cfg.Volume, ErrWrongVolume)
	}
	if id.Owner == cfg.Owner {
		return id, nil
	}
	if cfg.TakeOver != id.Owner {
		return id, &InUseError{Owner: id.Owner}
	}
	id.Owner = cfg.Owner
	return id, writeIdentity(cfg.Dir, id)
}

// lockDir takes the volume's lock file. A lock that is held is refused with the
// holder's name.
func lockDir(dir, owner string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock volume: %w", full(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock volume: %w", err)
		}
		b, _ := io.ReadAll(io.LimitReader(f, 256))
		return nil, &InUseError{Owner: string(bytes.TrimSpace(b)), Alive: true}
	}
	return f, nil
}

// mark writes the owner's name into the lock file it holds.
func mark(lock *os.File, owner string) error {
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("mark volume: %w", err)
	}
	_, err := lock.WriteAt([]byte(owner+"\n"), 0)
	return full(errors.Join(err, lock.Sync()))
}

// probe proves that dir can be written, by writing and reading back: mount flags
// say "writable" long after a disk has gone.
func probe(dir string) error {
	name := filepath.Join(dir, ".probe")
	want := make([]byte, block)
	rand.Read(want)
	defer os.Remove(name)
	if err := writeFile(name, want); err != nil {
		return fmt.Errorf("write probe: %w", full(err))
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		return errors.Join(fmt.Errorf("write probe: what was read is not what was written: %w", ErrCorrupt), err)
	}
	return nil
}
