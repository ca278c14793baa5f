package relay

import (
	"math/rand/v2"

	"districtgateway/media"
	"districtgateway/media/ps"
	"districtgateway/media/rtp"
)

// A packer turns the units of a stream into the RTP packets of one session.
// Timestamps are the stream's own time, which goes on when its source is
// replaced; sequence numbers go on over units that were skipped.
type packer struct {
	ssrc   uint32
	tracks []media.Track // agreed payload types (plain RTP); empty: program stream
	seq    []uint16      // next sequence number of each flow

	muxer   *ps.Muxer
	version uint32 // Stream.TrackVersion that muxer, or agreed, is about
	agreed  bool   // the stream is what was agreed on (plain RTP)
	images  []ps.Image
	spans   []ps.Span

	packets, size int // of the unit packed last; size is of the payload
}

// newPacker makes a packer. Sequence numbers begin anywhere (RFC 3550 §5.1).
func newPacker(cfg SenderConfig) packer {
	p := packer{ssrc: cfg.SSRC, tracks: cfg.Tracks, seq: make([]uint16, max(len(cfg.Tracks), 1))}
	for i := range p.seq {
		p.seq[i] = uint16(rand.Uint32())
	}
	return p
}

// pack writes unit n of st to out. The error is [ErrChanged].
func (p *packer) pack(st *media.Stream, n uint64, out rtp.Writer) error {
	p.packets, p.size = 0, 0
	u := st.Unit(n)
	switch {
	case len(p.tracks) > 0:
		if err := p.check(st); err != nil {
			return err
		}
		if int(u.Flow) < len(p.tracks) {
			t := p.tracks[u.Flow]
			p.forward(st, u, stamp{flow: u.Flow, pt: t.PayloadType, ts: rtp.Time(u.PTS, t.ClockRate)}, out)
		}
	case st.Carriage() == media.CarriagePS:
		p.forward(st, u, stamp{pt: PayloadPS, ts: uint32(u.PTS)}, out)
	default:
		p.multiplex(st, n, out)
	}
	return nil
}

// check makes sure that the stream is still what was agreed on: a coding that the
// receiver does not expect is worse than none.
func (p *packer) check(st *media.Stream) error {
	if p.agreed && p.version == st.TrackVersion() {
		return nil
	}
	tracks := st.Tracks()
	same := st.Carriage() == media.CarriageRTP && len(tracks) >= len(p.tracks)
	for i := 0; same && i < len(p.tracks); i++ {
		same = tracks[i].Codec == p.tracks[i].Codec && tracks[i].ClockRate == p.tracks[i].ClockRate
	}
	if !same {
		return ErrChanged
	}
	p.agreed, p.version = true, st.TrackVersion()
	return nil
}

// unsend takes back the last n packets of a flow, which were not sent. If others of
// the same picture were, one number stays free for them: the receiver must see
// that something is missing.
func (p *packer) unsend(flow uint8, n int, begun bool) {
	if int(flow) >= len(p.seq) {
		flow = 0 // program stream: whatever the stream's flows are
	}
	if n > 0 && begun {
		n--
	}
	p.seq[flow] -= uint16(n)
}

// A stamp is what the packets of one picture have in common.
type stamp struct {
	flow uint8
	pt   uint8
	ts   uint32
}

// forward sends a unit's packets as they came, under new RTP headers. Program
// stream is bytes: those of packets too long for the way are cut.
func (p *packer) forward(st *media.Stream, u media.Unit, t stamp, out rtp.Writer) {
	ring := st.Ring()
	for i := u.First; i < u.End; i++ {
		body := st.Packet(u.Flow, i).Body()
		for len(p.tracks) == 0 && body.Len > rtp.MaxForward {
			p.send(t, false, ring.Bytes(media.Range{Off: body.Off, Len: rtp.MaxPayload}), out)
			body = media.Range{Off: body.Off + rtp.MaxPayload, Len: body.Len - rtp.MaxPayload}
		}
		p.send(t, i == u.End-1, ring.Bytes(body), out)
	}
}

func (p *packer) send(t stamp, last bool, b []byte, out rtp.Writer) {
	p.begin(t, last, out)
	out.Add(b)
	out.End()
	p.size += len(b)
}

// multiplex sends a unit as program stream.
func (p *packer) multiplex(st *media.Stream, n uint64, out rtp.Writer) {
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
func (p *packer) cut(ring *media.Ring, img *ps.Image, ts uint32, out rtp.Writer) {
	c := img.Cut(rtp.MaxPayload)
	for rest := img.Size; rest > 0; rest -= rtp.MaxPayload {
		p.begin(stamp{pt: PayloadPS, ts: ts}, rest <= rtp.MaxPayload, out)
		p.spans = c.Next(p.spans[:0])
		for _, sp := range p.spans {
			out.Add(img.Bytes(sp, ring))
		}
		out.End()
	}
	p.size += img.Size
}

// begin starts a packet with its RTP header (RFC 3550 §5.1).
func (p *packer) begin(t stamp, last bool, out rtp.Writer) {
	h := out.Header(rtp.HeaderSize)
	rtp.PutHeader(h, rtp.Stamp{PayloadType: t.pt, Marker: last, Seq: p.seq[t.flow], Time: t.ts, SSRC: p.ssrc + uint32(t.flow)})
	p.seq[t.flow]++
	p.packets++
}
