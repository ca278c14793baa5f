//go:build !linux

package mirror

// New returns ordinary memory: see [Heap].
func New(size int) (mem []byte, mirrored bool, release func() error, err error) { return Heap(size) }
