package boltstore

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// errDamaged reports a file that holds no state that could be used.
var errDamaged = errors.New("damaged")

// known turns an error of opening into what it means here. Anything that is not
// known to be damage, such as a full or unreadable disk, is not taken for it.
func known(err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return ErrLocked
	}
	for _, damage := range []error{bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum} {
		if errors.Is(err, damage) {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return err
}

// verify reads the whole file once before it is used. It is mapped memory: a file
// cut short faults, and a damaged page makes bbolt panic, at best on the goroutine
// that reads it. Here that costs the file and not the process, again at each start.
func verify(path string) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() < int64(2*os.Getpagesize()) {
		return fmt.Errorf("%w: %d bytes", errDamaged, info.Size())
	}
	opt := options()
	opt.ReadOnly, opt.PreLoadFreelist = true, true
	db, err := bbolt.Open(path, 0o600, opt)
	if err != nil {
		return known(err)
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		sum := byte(0)
		err := tx.ForEach(func(_ []byte, b *bbolt.Bucket) error { return touch(b, &sum) })
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		for e := range tx.Check() {
			err = errors.Join(err, e)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		return nil
	})
}

// touch reads every byte of b: the pages are there, or reading them faults.
func touch(b *bbolt.Bucket, sum *byte) error {
	return b.ForEach(func(k, v []byte) error {
		for _, part := range [][]byte{k, v} {
			for _, c := range part {
				*sum ^= c
			}
		}
		if v == nil {
			if inner := b.Bucket(k); inner != nil {
				return touch(inner, sum)
			}
		}
		return nil
	})
}
