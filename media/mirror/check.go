package mirror

import "fmt"

// maxSize is the largest ring, in bytes: twice it must fit the addresses of a
// 32-bit system, with room for others.
const maxSize = 1 << 29

// check refuses sizes that cannot be mapped in whole pages.
func check(size, page int) error {
	if size <= 0 || size > maxSize || size&(size-1) != 0 || size%page != 0 {
		return fmt.Errorf("map ring of %d bytes: want a power of two from %d to %d", size, page, maxSize)
	}
	return nil
}
