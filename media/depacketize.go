package media

import "encoding/binary"

// A depacketizer takes NAL units out of the RTP payloads of one unit.
type depacketizer struct {
	b     *Batch
	codec Codec
	next  uint16 // sequence number expected
	open  bool   // a fragmented NAL unit lacks its end
}

// lost gives up the fragmented NAL unit being put together: something is missing.
func (d *depacketizer) lost() {
	if d.open {
		d.b.DropNAL()
		d.open = false
		d.b.Flag(UnitDamaged)
	}
}

// packet takes one payload, which lies at g.
func (d *depacketizer) packet(b []byte, g Range) {
	switch t := NALType(d.codec, b[0]); {
	case d.codec == H264 && t == h264FUA:
		d.fragment(b, g, 1)
	case d.codec == H265 && t == h265FU:
		d.fragment(b, g, 2)
	case d.codec == H264 && t == h264STAPA:
		d.lost()
		d.aggregate(b, g, 1)
	case d.codec == H265 && t == h265AP:
		d.lost()
		d.aggregate(b, g, 2)
	case d.codec == H264 && (t == 0 || t > h264STAPA), d.codec == H265 && (t > h265FU || len(b) < 2):
		// Interleaved packetisation, PACI and reserved types: not negotiated.
		d.lost()
		d.b.Flag(UnitDamaged)
	default:
		d.lost()
		d.b.BeginNAL(t)
		d.b.Append(g)
	}
}

// fragment takes a fragmentation unit, whose header follows the first header
// bytes (RFC 6184 §5.8, RFC 7798 §4.4.3).
func (d *depacketizer) fragment(b []byte, g Range, header int) {
	if len(b) <= header+1 {
		d.lost()
		d.b.Flag(UnitDamaged)
		return
	}
	fu := b[header]
	rest := Range{g.Off + uint64(header) + 1, g.Len - uint32(header) - 1}
	switch {
	case fu&0x80 != 0:
		d.lost()
		d.begin(b, fu)
	case !d.open: // its start is missing
		d.b.Flag(UnitDamaged)
		return
	}
	d.b.Append(rest)
	d.open = fu&0x40 == 0
}

// begin starts a fragmented NAL unit and rebuilds its header.
func (d *depacketizer) begin(b []byte, fu byte) {
	if d.codec == H264 {
		d.b.BeginNAL(fu&0x1F, b[0]&0xE0|fu&0x1F)
	} else {
		d.b.BeginNAL(fu&0x3F, b[0]&0x81|fu&0x3F<<1, b[1])
	}
	d.open = true
}

// aggregate takes an aggregation packet: NAL units, each after its length in 2
// bytes (RFC 6184 §5.7.1, RFC 7798 §4.4.2).
func (d *depacketizer) aggregate(b []byte, g Range, header int) {
	at := header
	for at+2 < len(b) {
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n == 0 || at+2+n > len(b) {
			break
		}
		d.b.BeginNAL(NALType(d.codec, b[at+2]))
		d.b.Append(Range{g.Off + uint64(at) + 2, uint32(n)})
		at += 2 + n
	}
	if at != len(b) {
		d.b.Flag(UnitDamaged)
	}
}

// An aacDepacketizer takes frames out of the RTP payloads of one unit. Each frame
// is an access unit.
type aacDepacketizer struct {
	b      *Batch
	first  AccessUnit // the one that is begun, for the first frame
	rate   int
	frames int // so far
	left   int // bytes that the last one lacks
}

// packet takes one payload, which lies at g.
func (d *aacDepacketizer) packet(b []byte, g Range) {
	count, data, err := aacHeaders(b)
	if err != nil {
		d.b.Flag(UnitDamaged)
		return
	}
	g = Range{g.Off + uint64(data), g.Len - uint32(data)}
	for i := 0; i < count && g.Len > 0; i++ {
		if d.left == 0 {
			d.begin(aacSize(b, i))
		}
		take := min(uint32(d.left), g.Len)
		d.b.Append(Range{g.Off, take})
		d.left -= int(take)
		g = Range{g.Off + uint64(take), g.Len - take}
	}
}

// begin starts a frame of size bytes.
func (d *aacDepacketizer) begin(size int) {
	if d.frames > 0 {
		a := d.first
		a.Flags &^= UnitDiscontinuity
		a.PTS += audioFrames(d.frames, d.rate)
		a.DTS += audioFrames(d.frames, d.rate)
		d.b.Begin(a)
	}
	d.frames++
	d.left = size
}
