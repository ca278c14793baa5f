package rtsp

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"districtgateway/media"
	"districtgateway/media/rtp"
)

// An offer is a stream as it was described to a viewer, and what was set up of it.
type offer struct {
	path    string
	stream  *media.Stream
	release func() // leaves it
	tracks  []media.Track
	flows   []rtp.Flow    // of each track; PayloadType 0 and no codec: not offered
	common  []*rtp.Unison // of each track; nil: there is none
	lanes   []*lane       // in the order of their SETUP
}

// A lane is one track on its way to a viewer.
type lane struct {
	track    int
	flow     rtp.Flow
	unison   *rtp.Unison // whose packets the viewer gets; nil: ones of its own
	channels [2]byte     // interleaved: of RTP and RTCP
	ports    *udpPorts   // UDP; nil: interleaved
	out      *rtp.Datagrams
	url      string // for RTP-Info

	told [][]byte // parameter sets that the viewer knows
}

// close closes the lane's sockets.
func (l *lane) close() {
	if l.ports != nil {
		l.ports.close()
	}
}

// Payload types (RFC 3551 §6). Dynamic ones begin at 96.
const (
	typePCMU     = 0
	typePCMA     = 8
	typesDynamic = 96
)

// newOffer offers the tracks that a player can be told of.
func newOffer(path string, s *media.Stream, release func(), all *unisons) *offer {
	o := &offer{path: path, stream: s, tracks: s.State().Tracks}
	for i, t := range o.tracks {
		f := rtp.Flow{SSRC: rand.Uint32(), Seq: uint16(rand.Uint32())}
		if t.Codec.Video() || t.Codec == media.G711A || t.Codec == media.G711U || t.Codec == media.AAC && len(t.Parameters) == 1 {
			f.Codec, f.Rate, f.PayloadType = t.Codec, t.ClockRate, typesDynamic+uint8(i)
		}
		if static := t.ClockRate == 8000 && t.Channels <= 1; static && t.Codec == media.G711A {
			f.PayloadType = typePCMA
		} else if static && t.Codec == media.G711U {
			f.PayloadType = typePCMU
		}
		o.flows = append(o.flows, f)
	}
	common, leave := all.join(s, o.flows)
	for i, n := range common {
		if n != nil {
			o.flows[i].SSRC = n.Flow().SSRC
		}
	}
	o.common = common
	o.release = func() { leave(); release() }
	return o
}

// offered reports whether there is such a track to be had.
func (o *offer) offered(track int) bool {
	return track >= 0 && track < len(o.flows) && o.flows[track].Codec != media.CodecUnknown
}

// empty reports whether there is nothing to be had.
func (o *offer) empty() bool {
	for i := range o.flows {
		if o.offered(i) {
			return false
		}
	}
	return true
}

// only returns the number of the one track offered, or -1.
func (o *offer) only() int {
	found := -1
	for i := range o.flows {
		switch {
		case !o.offered(i):
		case found >= 0:
			return -1
		default:
			found = i
		}
	}
	return found
}

// lane returns what was set up of a track, or nil.
func (o *offer) lane(track int) *lane {
	for _, l := range o.lanes {
		if l.track == track {
			return l
		}
	}
	return nil
}

// drop forgets what was set up.
func (o *offer) drop() {
	for _, l := range o.lanes {
		l.close()
	}
	o.lanes = nil
}

// close leaves the stream.
func (o *offer) close() {
	o.drop()
	o.release()
}

// trackControl is the last part of a track's address, before its number.
const trackControl = "trackID="

// describe writes the session description (RFC 4566) that a viewer at from gets.
func (o *offer) describe(from netip.Addr) []byte {
	family, any := "IP4", "0.0.0.0"
	if from.Is6() {
		family, any = "IP6", "::"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- %d 1 IN %s %s\r\ns=%s\r\nc=IN %s %s\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n",
		rand.Uint32(), family, from.WithZone(""), o.path, family, any)
	for i, t := range o.tracks {
		if o.offered(i) {
			describeTrack(&b, t, o.flows[i].PayloadType)
			fmt.Fprintf(&b, "a=control:%s%d\r\n", trackControl, i)
		}
	}
	return []byte(b.String())
}

// describeTrack writes one medium.
func describeTrack(b *strings.Builder, t media.Track, pt uint8) {
	kind, name := "audio", ""
	switch t.Codec {
	case media.H264:
		kind, name = "video", "H264/90000"
	case media.H265:
		kind, name = "video", "H265/90000"
	case media.G711A:
		name = fmt.Sprintf("PCMA/%d/%d", t.ClockRate, max(t.Channels, 1))
	case media.G711U:
		name = fmt.Sprintf("PCMU/%d/%d", t.ClockRate, max(t.Channels, 1))
	case media.AAC:
		name = fmt.Sprintf("MPEG4-GENERIC/%d/%d", t.ClockRate, channelsOf(t.Parameters[0]))
	}
	fmt.Fprintf(b, "m=%s 0 RTP/AVP %d\r\na=rtpmap:%d %s\r\n", kind, pt, pt, name)
	if p := parametersOf(t); p != "" {
		fmt.Fprintf(b, "a=fmtp:%d %s\r\n", pt, p)
	}
}

// parametersOf returns what a decoder needs first: sprop-parameter-sets (RFC 6184
// §8.1), sprop-vps and so on (RFC 7798 §7.1), config (RFC 3640 §4.1).
func parametersOf(t media.Track) string {
	switch t.Codec {
	case media.H264:
		text := "packetization-mode=1"
		if sps := setsOf(t, 7); len(sps) > 0 {
			text += ";profile-level-id=" + strings.ToUpper(hex.EncodeToString(sps[0][1:4]))
		}
		if len(t.Parameters) > 0 {
			text += ";sprop-parameter-sets=" + base64Of(t.Parameters)
		}
		return text
	case media.H265:
		var parts []string
		for i, name := range []string{"sprop-vps=", "sprop-sps=", "sprop-pps="} {
			if sets := setsOf(t, 32+uint8(i)); len(sets) > 0 {
				parts = append(parts, name+base64Of(sets))
			}
		}
		return strings.Join(parts, ";")
	case media.AAC:
		return "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=" +
			hex.EncodeToString(t.Parameters[0])
	}
	return ""
}

// setsOf returns the parameter sets of one type.
func setsOf(t media.Track, typ uint8) (sets [][]byte) {
	for _, p := range t.Parameters {
		if len(p) >= 4 && media.NALType(t.Codec, p[0]) == typ {
			sets = append(sets, p)
		}
	}
	return sets
}

func base64Of(sets [][]byte) string {
	var parts []string
	for _, p := range sets {
		parts = append(parts, base64.StdEncoding.EncodeToString(p))
	}
	return strings.Join(parts, ",")
}
