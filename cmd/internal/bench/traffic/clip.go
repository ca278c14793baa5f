package traffic

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// What is sent: 1080p, baseline profile, key pictures seven times as large as the
// others, whose sizes vary by a third, as a camera's do.
const (
	// Rate is the bitrate of a stream, in bit/s of slices.
	Rate = 3_900_000
	// Group is how many pictures there are from one key picture to the next: two seconds.
	Group = 50

	interval   = 40 * time.Millisecond
	ticks      = 90000 / 25   // of RTP's clock, a picture
	groupBytes = Rate / 8 * 2 // of slices, a group
	keyBytes   = 120_000
	payload    = 1400 // bytes of RTP payload at most
	rtpHeader  = 12
	frameSize  = 4 // '$', channel, length (RFC 2326 §10.12)
)

// Parameter sets: 1920x1080, pictures in the order they are shown
// (pic_order_cnt_type 2), no more said than must be.
const (
	sps = "6742c028da01e0089f95"
	pps = "68ce3880"
)

// A unit is one picture as it goes over a TCP connection: RTP packets, each
// behind its interleaving header.
type unit struct {
	wire    []byte
	packets []int // where in wire each RTP header is
	slice   int   // bytes
}

// newClip makes one group of pictures, always the same.
func newClip() []unit {
	random := rand.New(rand.NewPCG(1, 2))
	clip := make([]unit, Group)
	clip[0].key(newSlice(random, 0, keyBytes))
	left := groupBytes - clip[0].slice
	for i := 1; i < Group; i++ {
		mean := left / (Group - i)
		size := mean
		if i < Group-1 {
			size = mean*2/3 + random.IntN(mean*2/3)
		}
		clip[i].add(newSlice(random, i, size))
		clip[i].finish()
		left -= clip[i].slice
	}
	return clip
}

// newSlice returns the only slice of the n-th picture of a group, of about the
// size given. Its body is noise without zeros, so it makes no start code.
func newSlice(random *rand.Rand, n, size int) []byte {
	const fragment = payload - 2
	if rest := (size - 1) % fragment; rest < 2*markSize { // the mark must lie in the last packet whole
		size += 2*markSize - rest
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(1 + random.IntN(255))
	}
	frame := byte(n % 16)
	if n == 0 {
		copy(b, []byte{0x65, 0x88, 0x84})
	} else { // first_mb 0, slice_type 5, pps 0, frame_num of four bits
		copy(b, []byte{0x41, 0x9a | frame>>3, frame<<5 | 0x1f})
	}
	mark{}.put(b[size-markSize:])
	return b
}

// key fills a unit with a key picture and its parameter sets.
func (u *unit) key(slice []byte) {
	for _, set := range parameters() {
		u.packet(set)
	}
	u.add(slice)
	u.finish()
}

func parameters() (sets [2][]byte) {
	for i, s := range []string{sps, pps} {
		sets[i], _ = hex.DecodeString(s) // constants
	}
	return sets
}

// add packetises a slice (RFC 6184 §5.8: FU-A).
func (u *unit) add(slice []byte) {
	u.slice = len(slice)
	if len(slice) <= payload {
		u.packet(slice)
		return
	}
	header, body := slice[0], slice[1:]
	for first := true; len(body) > 0; first = false {
		n := min(len(body), payload-2)
		fu := []byte{header&0xe0 | 28, header & 0x1f}
		if first {
			fu[1] |= 0x80
		}
		if n == len(body) {
			fu[1] |= 0x40
		}
		u.packet(append(fu, body[:n]...))
		body = body[n:]
	}
}

func (u *unit) packet(data []byte) {
	u.wire = append(u.wire, '$', 0)
	u.wire = binary.BigEndian.AppendUint16(u.wire, uint16(rtpHeader+len(data)))
	u.packets = append(u.packets, len(u.wire))
	u.wire = append(u.wire, 0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	u.wire = append(u.wire, data...)
}

// finish sets the marker of the last packet (RFC 6184 §5.1).
func (u *unit) finish() { u.wire[u.packets[len(u.packets)-1]+1] |= 0x80 }
