package relay

import (
	"encoding/binary"

	"districtgateway/media"
	"districtgateway/media/ps"
)

const rtpHeader = 12

// A packer turns the units of a stream into the RTP packets of one session.
type packer struct {
	ssrc   uint32
	tracks []media.Track // agreed payload types (plain RTP); empty: program stream
	seq    []uint16      // next sequence number of each flow

	muxer   *ps.Muxer
	version uint32 // Stream.TrackVersion the muxer knows
	images  []ps.Image
	spans   []ps.Span

	packets, size int // of the unit being packed
}

// pack writes unit n of st to out. It returns how many packets, and how many
// bytes of payload, that were.
func (p *packer) pack(st *media.Stream, n uint64, out writer) (packets, size int) {
	p.packets, p.size = 0, 0
	u := st.Unit(n)
	switch c := st.Carriage(); {
	case len(p.tracks) == 0 && c != media.CarriagePS:
		p.multiplex(st, n, out)
	case len(p.tracks) == 0:
		p.forward(st, u, track{pt: PayloadPS}, out)
	case c == media.CarriageRTP && int(u.Flow) < len(p.tracks):
		p.forward(st, u, track{flow: u.Flow, pt: p.tracks[u.Flow].PayloadType}, out)
	}
	return p.packets, p.size
}

// A track is where packets of one flow go.
type track struct {
	flow uint8
	pt   uint8
}

// forward sends a unit's packets as they came, under new RTP headers.
func (p *packer) forward(st *media.Stream, u media.Unit, t track, out writer) {
	ring := st.Ring()
	for i := u.First; i < u.End; i++ {
		pk := st.Packet(u.Flow, i)
		p.begin(t, pk.Timestamp, i == u.End-1, out)
		out.add(ring.Bytes(pk.Body()))
		out.end()
		p.size += int(pk.Payload)
	}
}

// multiplex sends a unit as program stream.
func (p *packer) multiplex(st *media.Stream, n uint64, out writer) {
	if v := st.TrackVersion(); p.muxer == nil || v != p.version {
		if p.muxer == nil {
			p.muxer = ps.NewMuxer(st.Tracks())
		} else {
			p.muxer.SetTracks(st.Tracks())
		}
		p.version = v
	}
	aus, err := st.Unpack(n)
	if err != nil {
		return // nothing usable in it; the stream has counted the damage
	}
	for len(p.images) < len(aus) {
		p.images = append(p.images, ps.Image{})
	}
	for i := range aus {
		img := &p.images[i]
		if err := p.muxer.Mux(&aus[i], img); err != nil {
			continue // a coding that program stream cannot carry
		}
		p.cut(st.Ring(), img, uint32(aus[i].PTS), out)
	}
}

// cut sends one pack in RTP packets; they share a timestamp, and the last is marked.
func (p *packer) cut(ring *media.Ring, img *ps.Image, ts uint32, out writer) {
	c := img.Cut(maxPayload)
	for rest := img.Size; rest > 0; rest -= maxPayload {
		p.begin(track{pt: PayloadPS}, ts, rest <= maxPayload, out)
		p.spans = c.Next(p.spans[:0])
		for _, sp := range p.spans {
			out.add(img.Bytes(sp, ring))
		}
		out.end()
	}
	p.size += img.Size
}

// begin starts a packet with its RTP header (RFC 3550 §5.1).
func (p *packer) begin(t track, ts uint32, last bool, out writer) {
	for int(t.flow) >= len(p.seq) {
		p.seq = append(p.seq, 0)
	}
	h := out.header(rtpHeader)
	h[0], h[1] = 2<<6, t.pt
	if last {
		h[1] |= 1 << 7
	}
	binary.BigEndian.PutUint16(h[2:], p.seq[t.flow])
	binary.BigEndian.PutUint32(h[4:], ts)
	binary.BigEndian.PutUint32(h[8:], p.ssrc+uint32(t.flow))
	p.seq[t.flow]++
	p.packets++
}
