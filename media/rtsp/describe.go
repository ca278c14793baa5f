package rtsp

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/sdp/v3"

	"districtgateway/media"
)

// An offered track is one that the encoder offers and we can carry.
type offered struct {
	track media.Track
	url   *base.URL // for SETUP
}

// describe asks for the description and chooses the first video and the first
// audio track that can be carried.
func (s *session) describe() ([]offered, error) {
	res, err := s.do(base.Describe, s.url, base.Header{"Accept": base.HeaderValue{"application/sdp"}})
	if err != nil {
		return nil, err
	}
	baseURL := s.url
	if v := res.Header["Content-Base"]; len(v) == 1 {
		// The path counts, not the host: encoders behind NAT name an inner one.
		if u, err := base.ParseURL(v[0]); err == nil {
			u = u.CloneWithoutCredentials()
			u.Host = s.url.Host
			baseURL = u
		}
	}
	return choose(res.Body, baseURL)
}

// choose reads a session description.
func choose(body []byte, baseURL *base.URL) ([]offered, error) {
	var ssd sdp.SessionDescription
	if err := ssd.Unmarshal(body); err != nil {
		return nil, fmt.Errorf("session description: %w", err)
	}
	var d description.Session
	if err := d.Unmarshal2(&ssd); err != nil {
		return nil, fmt.Errorf("session description: %w", err)
	}
	var list []offered
	var video, audio bool
	for _, m := range d.Medias {
		if m.IsBackChannel {
			continue
		}
		t, ok := trackOf(m.Formats)
		taken := &audio
		if t.Codec.Video() {
			taken = &video
		}
		if !ok || *taken {
			continue
		}
		u, err := m.URL(baseURL)
		if err != nil {
			return nil, fmt.Errorf("control address: %w", err)
		}
		u.Host = baseURL.Host
		*taken = true
		list = append(list, offered{t, u})
	}
	if len(list) == 0 {
		return nil, errors.Join(media.ErrNoTracks, fmt.Errorf("the encoder offers %d media", len(d.Medias)))
	}
	return list, nil
}

// trackOf returns the first format that can be carried as a track.
func trackOf(formats []format.Format) (media.Track, bool) {
	for _, f := range formats {
		t := media.Track{ClockRate: f.ClockRate(), PayloadType: f.PayloadType()}
		switch f := f.(type) {
		case *format.H264:
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

// splitList yields the members of a comma-separated list.
func splitList(v string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for part := range strings.SplitSeq(v, ",") {
			if !yield(strings.TrimSpace(part)) {
				return
			}
		}
	}
}
