package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"districtgateway/domain"
	"districtgateway/media"
)

// codecNames are the encoding names of SDP (RFC 4566 §6 rtpmap) with the payload
// types of GB/T 28181-2022 Annex C.
var codecNames = []struct {
	codec media.Codec
	info  domain.TrackInfo
}{
	{media.H264, domain.TrackInfo{Name: "H264", PayloadType: 98, ClockRate: 90000}},
	{media.H265, domain.TrackInfo{Name: "H265", PayloadType: 100, ClockRate: 90000}},
	{media.G711A, domain.TrackInfo{Name: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1}},
	{media.G711U, domain.TrackInfo{Name: "PCMU", PayloadType: 0, ClockRate: 8000, Channels: 1}},
	{media.AAC, domain.TrackInfo{Name: "MPEG4-GENERIC", PayloadType: 102}},
}

// elementaryOffer lists what can be received as plain RTP.
func elementaryOffer() []domain.TrackInfo {
	infos := make([]domain.TrackInfo, len(codecNames))
	for i, c := range codecNames {
		infos[i] = c.info
	}
	return infos
}

// agree matches a stream's tracks with the payload types offered. It fails, and
// program stream is sent, unless every track has one and the stream is plain RTP.
func agree(offered []domain.TrackInfo, st media.StreamState) (infos []domain.TrackInfo, tracks []media.Track, ok bool) {
	if st.Carriage != media.CarriageRTP || len(st.Tracks) == 0 {
		return nil, nil, false
	}
	for _, t := range st.Tracks {
		info, ok := offeredFor(offered, t.Codec)
		if !ok {
			return nil, nil, false
		}
		info.ClockRate, info.Channels, info.Parameters = t.ClockRate, t.Channels, formatParameters(t)
		t.PayloadType = info.PayloadType
		infos, tracks = append(infos, info), append(tracks, t)
	}
	return infos, tracks, true
}

func offeredFor(offered []domain.TrackInfo, c media.Codec) (domain.TrackInfo, bool) {
	for _, o := range offered {
		if codecOf(o.Name) == c {
			return o, true
		}
	}
	return domain.TrackInfo{}, false
}

func codecOf(name string) media.Codec {
	for _, c := range codecNames {
		if strings.EqualFold(c.info.Name, name) {
			return c.codec
		}
	}
	return media.CodecUnknown
}

// tracksOf reads the tracks of an answer.
func tracksOf(infos []domain.TrackInfo) ([]media.Track, error) {
	var tracks []media.Track
	for _, i := range infos {
		t := media.Track{Codec: codecOf(i.Name), ClockRate: i.ClockRate, Channels: i.Channels, PayloadType: i.PayloadType}
		if t.Codec == media.CodecUnknown || t.ClockRate <= 0 {
			return nil, fmt.Errorf("track %.32q at %d Hz: want a coding that was offered", i.Name, i.ClockRate)
		}
		t.Parameters = parseParameters(t.Codec, i.Parameters)
		tracks = append(tracks, t)
	}
	if len(tracks) == 0 {
		return nil, media.ErrNoTracks
	}
	return tracks, nil
}

// formatParameters writes a track's parameter sets as fmtp value: RFC 6184 §8.1
// sprop-parameter-sets, RFC 7798 §7.1 sprop-vps/sps/pps, RFC 3640 §4.1 config.
func formatParameters(t media.Track) string {
	var sets []string
	for _, p := range t.Parameters {
		sets = append(sets, base64.StdEncoding.EncodeToString(p))
	}
	switch {
	case t.Codec == media.H264 && len(sets) > 0:
		return "packetization-mode=1; sprop-parameter-sets=" + strings.Join(sets, ",")
	case t.Codec == media.H265 && len(sets) == 3:
		return fmt.Sprintf("sprop-vps=%s; sprop-sps=%s; sprop-pps=%s", sets[0], sets[1], sets[2])
	case t.Codec == media.AAC && len(t.Parameters) == 1:
		return "mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=" + hex.EncodeToString(t.Parameters[0])
	}
	return ""
}

// parseParameters reads what formatParameters writes; what it cannot read is
// left out: parameter sets usually ride in the stream too.
func parseParameters(c media.Codec, fmtp string) [][]byte {
	values := map[string]string{}
	for part := range strings.SplitSeq(fmtp, ";") {
		k, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		values[strings.ToLower(k)] = v
	}
	var texts []string
	switch c {
	case media.H264:
		texts = strings.Split(values["sprop-parameter-sets"], ",")
	case media.H265:
		texts = []string{values["sprop-vps"], values["sprop-sps"], values["sprop-pps"]}
	case media.AAC:
		if b, err := hex.DecodeString(values["config"]); err == nil && len(b) > 0 {
			return [][]byte{b}
		}
		return nil
	}
	var sets [][]byte
	for _, text := range texts {
		if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) > 0 {
			sets = append(sets, b)
		}
	}
	return sets
}
