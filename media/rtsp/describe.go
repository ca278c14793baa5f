package rtsp

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/pion/sdp/v3"

	"districtgateway/media"
)

// An offered track is one that the encoder offers and we can carry.
type offered struct {
	track media.Track
	url   *base.URL // for SETUP
	group group     // by multicast
	fir   bool      // key frames are asked for by FIR rather than PLI
}

// describe asks for the description and chooses the first video and the first
// audio track that can be carried.
func (s *session) describe() ([]offered, error) {
	res, err := s.do(base.Describe, s.url, base.Header{"Accept": base.HeaderValue{"application/sdp"}})
	if err != nil {
		return nil, err
	}
	ssd, err := sdpunmarshaler.Unmarshal(res.Body)
	if err != nil {
		return nil, fmt.Errorf("session description: %w", err)
	}
	from := baseOf(res.Header, s.url)
	s.control = controlOf(ssd.Attributes, from)
	return choose(ssd, from, s.host().String())
}

// baseOf returns what relative control addresses are relative to (RFC 2326
// §C.1.1). The path counts, not the host: encoders behind NAT name an inner one.
func baseOf(h base.Header, asked *base.URL) *base.URL {
	for _, name := range []string{"Content-Base", "Content-Location"} {
		v := h[name]
		if len(v) != 1 {
			continue
		}
		text := strings.TrimSpace(v[0])
		if strings.HasPrefix(text, "/") {
			text = "rtsp://" + asked.Host + text
		}
		if u, err := base.ParseURL(text); err == nil {
			u = u.CloneWithoutCredentials()
			u.Scheme, u.Host = asked.Scheme, asked.Host
			return u
		}
	}
	return asked
}

// controlOf returns the address that attrs name: "*" and none mean that of from.
func controlOf(attrs []sdp.Attribute, from *base.URL) *base.URL {
	for _, a := range attrs {
		text := strings.TrimSpace(a.Value)
		if a.Key != "control" || text == "" || text == "*" {
			continue
		}
		u, err := description.Media{Control: text}.URL(from)
		if err != nil || u == nil {
			break
		}
		u = u.CloneWithoutCredentials()
		u.Scheme, u.Host = from.Scheme, from.Host
		return u
	}
	return from
}

// choose picks the tracks of a session description that comes from a host. A medium that
// cannot be understood does not cost the others.
func choose(ssd *sdp.SessionDescription, from *base.URL, host string) ([]offered, error) {
	var list []offered
	var refused []string
	var video, audio bool
	for _, m := range ssd.MediaDescriptions {
		if m == nil || backChannel(ssd, m) {
			continue
		}
		t, ok := trackOf(m)
		if !ok {
			refused = append(refused, nameOf(m))
			continue
		}
		taken := &audio
		if t.Codec.Video() {
			taken = &video
		}
		if !*taken {
			*taken = true
			list = append(list, offered{t, controlOf(m.Attributes, from), groupFrom(ssd, m, host), fullIntra(m.Attributes)})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: the encoder offers %.200s", media.ErrNoTracks, strings.Join(append(refused, "nothing else"), ", "))
	}
	return list, nil
}

// backChannel reports whether m is for sound towards the encoder (ONVIF streaming
// specification §5.3). Some encoders mark all they have so, and mean nothing.
func backChannel(ssd *sdp.SessionDescription, m *sdp.MediaDescription) bool {
	sendOnly := func(m *sdp.MediaDescription) bool {
		return m != nil && slices.ContainsFunc(m.Attributes, func(a sdp.Attribute) bool { return a.Key == "sendonly" })
	}
	return sendOnly(m) && slices.ContainsFunc(ssd.MediaDescriptions, func(m *sdp.MediaDescription) bool { return !sendOnly(m) })
}

// nameOf returns what a medium is, for people: the codings by their names, or the
// payload types.
func nameOf(m *sdp.MediaDescription) string {
	names := []string{m.MediaName.Media}
	for _, pt := range m.MediaName.Formats {
		name := "type " + pt
		for _, a := range m.Attributes {
			if of, coding, ok := strings.Cut(a.Value, " "); ok && a.Key == "rtpmap" && of == pt {
				name = coding
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// formatOf reads one format of a medium. Where its parameters cannot be read it is
// tried without: pictures bring them along.
func formatOf(m *sdp.MediaDescription, payloadType string) (format.Format, error) {
	f, err := format.Unmarshal(m, payloadType)
	if err == nil {
		return f, nil
	}
	bare := *m
	bare.Attributes = slices.DeleteFunc(slices.Clone(m.Attributes), func(a sdp.Attribute) bool { return a.Key == "fmtp" })
	return format.Unmarshal(&bare, payloadType)
}

// trackOf returns the first format of m that can be carried as a track.
func trackOf(m *sdp.MediaDescription) (media.Track, bool) {
	for _, pt := range m.MediaName.Formats {
		f, err := formatOf(m, pt)
		if err != nil {
			continue
		}
		t := media.Track{ClockRate: f.ClockRate(), PayloadType: f.PayloadType()}
		switch f := f.(type) {
		case *format.H264:
			if f.PacketizationMode > 1 {
				continue // interleaved (RFC 6184 §5.2)
			}
			t.Codec = media.H264
			t.Parameters = sets(f.SPS, f.PPS)
		case *format.H265:
			t.Codec = media.H265
			t.Parameters = sets(f.VPS, f.SPS, f.PPS)
		case *format.G711:
			t.Codec, t.Channels = media.G711A, f.ChannelCount
			if f.MULaw {
				t.Codec = media.G711U
			}
		case *format.MPEG4Audio:
			asc, err := f.Config.Marshal()
			if err != nil || f.SizeLength != 13 || f.IndexLength != 3 {
				continue // only AAC-hbr (RFC 3640 §3.3.6) is depacketised
			}
			t.Codec, t.Channels, t.Parameters = media.AAC, channelsOf(asc), [][]byte{asc}
		default:
			continue
		}
		if t.ClockRate > 0 {
			return t, true
		}
	}
	return media.Track{}, false
}

func channelsOf(asc []byte) int {
	info, err := media.ParseAudioConfig(asc)
	if err != nil {
		return 1
	}
	return info.Channels
}

// sets returns parameter sets if all are there.
func sets(all ...[]byte) [][]byte {
	for _, s := range all {
		if len(s) == 0 {
			return nil
		}
	}
	return all
}

// splitList yields the members of a list, without the space around them.
func splitList(v, separator string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(v, separator) {
			if !yield(strings.TrimSpace(part)) {
				return
			}
		}
	}
}
