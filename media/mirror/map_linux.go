package mirror

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// New maps size bytes of anonymous memory twice in a row and returns the 2×size
// bytes. It is a media.MemoryFunc. Size must be a power of two of at least a page.
// Release unmaps them, once; nothing may touch them afterwards, so that it is for
// media.Ring to call when its last user has gone. An error names the system call
// that refused and leaves nothing behind.
func New(size int) (mem []byte, mirrored bool, release func() error, err error) {
	if err := check(size, unix.Getpagesize()); err != nil {
		return nil, false, nil, err
	}
	fd, err := unix.MemfdCreate("media-ring", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, false, nil, fmt.Errorf("memfd_create: %w", err)
	}
	base, err := mapTwice(fd, size)
	// The mappings keep the memory; the descriptor has done its work.
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		if base != nil {
			err = errors.Join(err, unmap(base, size))
		}
		return nil, false, nil, fmt.Errorf("map ring of %d bytes: %w", size, err)
	}
	release = sync.OnceValue(func() error { return unmap(base, size) })
	return unsafe.Slice((*byte)(base), 2*size), true, release, nil
}

// mapTwice sizes the file and maps it twice in a row.
func mapTwice(fd, size int) (unsafe.Pointer, error) {
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		return nil, fmt.Errorf("ftruncate: %w", err)
	}
	// Addresses for both halves are taken at once: between two mappings made
	// separately another thread's could come to lie.
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(2*size), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("reserve addresses: %w", err)
	}
	for _, half := range []unsafe.Pointer{base, unsafe.Add(base, size)} {
		_, err := unix.MmapPtr(fd, 0, half, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("mmap: %w", err), unmap(base, size))
		}
	}
	return base, nil
}

// unmap gives back both halves.
func unmap(base unsafe.Pointer, size int) error {
	if err := unix.MunmapPtr(base, uintptr(2*size)); err != nil {
		return fmt.Errorf("munmap: %w", err)
	}
	return nil
}
