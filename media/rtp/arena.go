package rtp

// An Arena is memory for headers of packets not yet sent. What it gave out stays
// as it is, and alive, until Reset.
type Arena struct {
	mem  []byte
	full [][]byte // what it outgrew
}

// Reset takes everything back.
func (a *Arena) Reset() {
	clear(a.full)
	a.mem, a.full = a.mem[:0], a.full[:0]
}

// Take gives out n bytes, whatever is in them.
func (a *Arena) Take(n int) []byte {
	if len(a.mem)+n > cap(a.mem) {
		a.full = append(a.full, a.mem)
		a.mem = make([]byte, 0, max(2*cap(a.mem), 64*HeaderSize, n))
	}
	at := len(a.mem)
	a.mem = a.mem[:at+n]
	return a.mem[at : at+n : at+n]
}
