package storage

import (
	"slices"

	"districtgateway/media"
)

// A trackMap says which of a stream's tracks a file carries.
type trackMap struct {
	version uint32 // Stream.TrackVersion it was made of
	known   bool
	index   [16]int8 // stream's track → track of the file; -1: left out
	tracks  []media.Track
	primary int
	wait    bool // there is a video track whose parameters are not known yet
}

// chooseTracks chooses the tracks that a file carries: those that are known well
// enough, four at most.
func chooseTracks(tracks []media.Track, version uint32) trackMap {
	m := trackMap{version: version, known: true}
	for i := range m.index {
		m.index[i] = -1
	}
	for i := range min(len(tracks), len(m.index)) {
		t := &tracks[i]
		if !recordable(t) {
			m.wait = m.wait || t.Codec.Video()
			continue
		}
		if len(m.tracks) < maxTracks {
			m.index[i] = int8(len(m.tracks))
			m.tracks = append(m.tracks, *t)
		}
	}
	m.primary = primaryTrack(m.tracks)
	return m
}

// onlyPrimary leaves out every track but the one of the pictures. Nothing is left
// of a stream that has none.
func (m *trackMap) onlyPrimary() {
	if len(m.tracks) == 0 {
		return
	}
	t := m.tracks[m.primary]
	for i, at := range m.index {
		m.index[i] = -1
		if int(at) == m.primary {
			m.index[i] = 0
		}
	}
	m.tracks, m.primary = []media.Track{t}, 0
	if !t.Codec.Video() {
		m.tracks = nil
	}
}

// of returns the track of the file that a stream's track is, or -1.
func (m *trackMap) of(track uint8) int {
	if int(track) >= len(m.index) || !m.known {
		return -1
	}
	return int(m.index[track])
}

// goesOn reports whether a file with m's tracks can go on with the stream's tracks
// as they are now. What came besides does not matter.
func (m *trackMap) goesOn(tracks []media.Track) bool {
	for i, at := range m.index {
		if at >= 0 && (i >= len(tracks) || !sameTrack(tracks[i], m.tracks[at])) {
			return false
		}
	}
	return true
}

func sameTrack(a, b media.Track) bool {
	return a.Codec == b.Codec && a.ClockRate == b.ClockRate && a.Channels == b.Channels &&
		slices.EqualFunc(a.Parameters, b.Parameters, slices.Equal)
}
