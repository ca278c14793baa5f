// Package mirror provides the memory of a media.Ring: the same pages mapped twice
// in a row, so that a range that passes the ring's end is contiguous all the
// same. It lies outside the Go heap; the garbage collector does not see it.
//
// On systems other than Linux, and where mapping is refused, [Heap] serves: a
// ring on ordinary memory copies what it receives once more.
package mirror

// Heap returns 2×size bytes of ordinary memory. It is a media.MemoryFunc.
func Heap(size int) (mem []byte, mirrored bool, release func() error, err error) {
	if err := check(size, 1); err != nil {
		return nil, false, nil, err
	}
	return make([]byte, 2*size), false, nil, nil
}
