package media

// Start codes of a program stream (ISO/IEC 13818-1 tables 2-18, 2-33, 2-39, 2-40).
const (
	psPack   = 0xBA
	psSystem = 0xBB
	psMap    = 0xBC
	psVideo  = 0xE0 // to 0xEF
)

// startsPack reports whether b begins with a pack header's start code.
func startsPack(b []byte) bool {
	return len(b) >= 4 && b[0] == 0 && b[1] == 0 && b[2] == 1 && b[3] == psPack
}

// sniffLimit is how many bytes of a unit are searched for its first slice.
const sniffLimit = 64 << 10

// A programSniffer finds out whether the program stream of one unit brings a
// picture decoding can start at, by looking no further than its first slice. It
// goes by start codes: those of the program stream are 0xB9 and above, those of
// NAL units have their first bit clear.
type programSniffer struct {
	codec  Codec   // of the pictures; CodecUnknown: told by the parameter sets
	tail   [5]byte // the last bytes of the packet before, for what lies across
	tailN  uint8   // how many of them
	seen   int     // bytes searched
	video  bool    // a video PES packet has begun
	tables bool    // a system header or a map came before it
	hint   nalHint // what the NAL units tell
	done   bool    // the first slice was seen, or the search given up
}

// key reports what was found out. Where no slice was seen, the system header or
// map tells, which key pictures have (GB/T 28181-2022 Annex C) but, with some
// senders, others have as well.
func (p *programSniffer) key() bool {
	if p.hint.slice {
		return p.hint.starts()
	}
	return p.hint.set || p.tables
}

// feed takes the next packet's payload.
func (p *programSniffer) feed(b []byte) {
	if p.done {
		return
	}
	var across [2 * len(p.tail)]byte // start codes that lie across packets
	if n := copy(across[:], p.tail[:p.tailN]); n > 0 {
		n += copy(across[n:], b)
		p.scan(across[:n], int(p.tailN))
	}
	if !p.done {
		p.scan(b, len(b))
	}
	if p.seen += len(b); p.seen > sniffLimit {
		p.done = true
	}
	p.keepTail(b)
}

// keepTail remembers the last bytes of b, and of what came before if b is short.
func (p *programSniffer) keepTail(b []byte) {
	if len(b) >= len(p.tail) {
		p.tailN = uint8(copy(p.tail[:], b[len(b)-len(p.tail):]))
		return
	}
	var joined [2 * len(p.tail)]byte
	n := copy(joined[:], p.tail[:p.tailN])
	n += copy(joined[n:], b)
	p.tailN = uint8(copy(p.tail[:], joined[max(0, n-len(p.tail)):n]))
}

// scan judges the start codes of b that begin before limit. One that is too
// close to the end to be judged is left to the next packet.
func (p *programSniffer) scan(b []byte, limit int) {
	for i := 0; i+6 <= len(b) && i < limit && !p.done; i++ {
		if b[i+2] > 1 {
			i += 2
			continue
		}
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 {
			p.code(b[i+3:])
		}
	}
}

// code judges a start code, of which b holds what follows the prefix.
func (p *programSniffer) code(b []byte) {
	switch id := b[0]; {
	case id&0x80 == 0:
		if p.video {
			p.nal(b[:3])
		}
	case id == psSystem || id == psMap:
		p.tables = p.tables || !p.video
	case id > psMap:
		p.video = id&0xF0 == psVideo
	}
}

// nal judges the NAL unit that begins with b.
func (p *programSniffer) nal(b []byte) {
	if p.codec == CodecUnknown {
		p.codec = guessCodec(b)
	}
	p.hint.add(hintOf(p.codec, b))
	p.done = p.hint.slice
}

// guessCodec tells the codec by a parameter set, the only NAL units of one codec
// that cannot be mistaken for one of the other.
func guessCodec(b []byte) Codec {
	switch {
	case b[1] == 1 && b[0]&0x81 == 0 && ParameterNAL(H265, NALType(H265, b[0])):
		return H265
	case b[0]&0x60 != 0 && NALType(H264, b[0]) == h264SPS:
		return H264
	}
	return CodecUnknown
}
