package webrtc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"districtgateway/media"
)

// Why an offer cannot be answered.
var (
	errNothingFits = errors.New("the browser cannot show this stream")
	errReordered   = errors.New("pictures are not sent in the order they are shown in (B pictures), which browsers cannot show by WebRTC")
)

// errAAC is why there may be no sound.
var errAAC = errors.New("sound in AAC cannot be carried by WebRTC")

// A chosen is one track on its way to one section of an offer.
type chosen struct {
	index   int // of the track
	track   media.Track
	section int // index of it
	format  format
}

// A choice is what of a stream goes to a browser.
type choice struct {
	tracks  []chosen
	leftOut string // what of the stream does not, and why; empty: nothing
}

// choose fits a stream's first video and first sound track to what a browser
// offers to take. Pictures must fit, if there are any; sound need not.
func (o *offer) choose(tracks []media.Track) (choice, error) {
	var c choice
	var pictures, sound bool
	var fault error
	for i, t := range tracks {
		if t.Codec.Video() && pictures || !t.Codec.Video() && sound {
			continue
		}
		got, err := o.fit(t)
		got.index = i
		switch {
		case err == nil:
			c.tracks = append(c.tracks, got)
		case t.Codec.Video():
			return choice{}, fmt.Errorf("%w: %w", errNothingFits, err)
		default:
			c.leftOut, fault = err.Error(), err
		}
		pictures, sound = pictures || t.Codec.Video(), sound || !t.Codec.Video()
	}
	switch {
	case len(c.tracks) > 0:
		return c, nil
	case fault != nil:
		return choice{}, fmt.Errorf("%w: %w", errNothingFits, fault)
	}
	return choice{}, errNothingFits
}

// fit finds the section and the format for a track.
func (o *offer) fit(t media.Track) (chosen, error) {
	kind := "audio"
	if t.Codec.Video() {
		kind = "video"
	}
	wanted := false
	for i, s := range o.sections {
		if s.kind != kind || !s.receives {
			continue
		}
		wanted = true
		if f, ok := s.takes(t); ok {
			return chosen{track: t, section: i, format: f}, nil
		}
	}
	switch {
	case !wanted:
		return chosen{}, fmt.Errorf("it did not ask for %s", kind)
	case t.Codec == media.AAC:
		return chosen{}, errAAC
	}
	return chosen{}, fmt.Errorf("it does not take %s", t.Codec)
}

// takes returns the format of a section that suits a track best.
func (s *section) takes(t media.Track) (best format, ok bool) {
	want, least := nameOf(t), 0
	for _, f := range s.formats {
		if f.name != want || f.rate != t.ClockRate {
			continue
		}
		score := 1
		if t.Codec == media.H264 {
			score = suits(f, t)
		}
		if score > least {
			best, least, ok = f, score, true
		}
	}
	return best, ok
}

// nameOf returns the encoding name of a track that WebRTC can carry, or one that
// nobody offers.
func nameOf(t media.Track) string {
	switch {
	case t.Codec == media.H264:
		return "H264"
	case t.Codec == media.H265:
		return "H265"
	case t.Codec == media.G711A && t.Channels <= 1:
		return "PCMA"
	case t.Codec == media.G711U && t.Channels <= 1:
		return "PCMU"
	}
	return "-"
}

// suits says how well a format suits an H.264 track: not at all, unless it lets
// fragments through (RFC 6184 §6.3); best with the profile of the stream; else by
// the profile that says least, since browsers decode the others as well.
func suits(f format, t media.Track) int {
	if parameter(f.params, "packetization-mode") != "1" {
		return 0
	}
	level, err := hex.DecodeString(parameter(f.params, "profile-level-id"))
	if err != nil || len(level) != 3 {
		return 1
	}
	for _, p := range t.Parameters {
		if len(p) < 4 || media.NALType(media.H264, p[0]) != 7 || p[1] != level[0] {
			continue
		}
		if constrained := byte(0x40); p[2]&constrained == level[1]&constrained {
			return 4
		}
		return 3
	}
	return 2
}

// parameter returns one of a format's parameters (RFC 8866 §6.15).
func parameter(params, name string) string {
	for part := range strings.SplitSeq(params, ";") {
		if k, v, _ := strings.Cut(part, "="); strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// describe writes the part of the offer that was chosen, for the library.
func (o *offer) describe(c choice) string {
	var b, mids strings.Builder
	for _, t := range c.tracks {
		fmt.Fprintf(&mids, " %s", o.sections[t.section].mid)
	}
	fmt.Fprintf(&b, "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE%s\r\n", &mids)
	for _, t := range c.inOrder() {
		s, f := o.sections[t.section], t.format
		fmt.Fprintf(&b, "m=%s 9 UDP/TLS/RTP/SAVPF %d\r\nc=IN IP4 0.0.0.0\r\na=mid:%s\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n"+
			"a=fingerprint:%s\r\na=setup:actpass\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:%d %s/%d\r\n",
			s.kind, f.typ, s.mid, s.peer.ufrag, s.peer.pwd, s.peer.fingerprint, f.typ, f.name, f.rate)
		if f.params != "" {
			fmt.Fprintf(&b, "a=fmtp:%d %s\r\n", f.typ, f.params)
		}
		if s.kind == "video" {
			for _, f2 := range feedback() {
				fmt.Fprintf(&b, "a=rtcp-fb:%d %s\r\n", f.typ, strings.TrimSpace(f2.Type+" "+f2.Parameter))
			}
		}
	}
	return b.String()
}

// inOrder returns what was chosen in the order of the sections.
func (c choice) inOrder() []chosen {
	if len(c.tracks) == 2 && c.tracks[0].section > c.tracks[1].section {
		return []chosen{c.tracks[1], c.tracks[0]}
	}
	return c.tracks
}

// answer makes the answer to the whole offer of the library's to the part that was
// chosen: sections that were not are refused in their places (RFC 8829 §5.3.1), and
// every address is told by which the gateway is reached besides.
func (o *offer) answer(c choice, own string, addrs []string) string {
	parts := strings.Split(own, "\r\nm=")
	var b strings.Builder
	b.WriteString(parts[0] + "\r\n")
	taken := 0
	for i, s := range o.sections {
		if !c.has(i) || taken+1 >= len(parts) {
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\nc=IN IP4 0.0.0.0\r\n", s.kind, s.proto, s.first)
			if s.mid != "" {
				fmt.Fprintf(&b, "a=mid:%s\r\n", s.mid)
			}
			if s.mapping != "" {
				fmt.Fprintf(&b, "a=rtpmap:%s\r\n", s.mapping)
			}
			b.WriteString("a=inactive\r\n")
			continue
		}
		taken++
		b.WriteString("m=" + besides(strings.TrimSuffix(parts[taken], "\r\n"), addrs) + "\r\n")
	}
	return b.String()
}

// has reports whether something goes to a section.
func (c choice) has(section int) bool {
	for _, t := range c.tracks {
		if t.section == section {
			return true
		}
	}
	return false
}

// besides repeats the host candidates of a section (RFC 8839 §5.1) for other
// addresses: once each for UDP and TCP.
func besides(section string, addrs []string) string {
	var b strings.Builder
	done := map[string]bool{}
	for l := range strings.SplitSeq(section, "\r\n") {
		b.WriteString(l + "\r\n")
		words := strings.Fields(l)
		if len(words) < 8 || !strings.HasPrefix(l, "a=candidate:") || done[words[2]] {
			continue
		}
		done[words[2]] = true
		for i, a := range addrs {
			words[0], words[4] = fmt.Sprintf("a=candidate:nat%d%s", i, strings.ToLower(words[2])), a
			b.WriteString(strings.Join(words, " ") + "\r\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\r\n")
}
