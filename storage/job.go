package storage

import (
	"encoding/binary"
	"sync"

	"districtgateway/media"
)

// A part is a run of bytes of a sample: head[:n], which is not in the ring, then g.
type part struct {
	g    media.Range
	head [6]byte // length of a NAL unit, and its rebuilt header
	n    uint8
}

// A plan is what a job says about the segment that it begins.
type plan struct {
	header header
	cause  Cause // why the segment before, if it is still open, ended
}

// A job is a fragment on its way from a stream's owner to the disk goroutine. It
// is filled by the owner, then belongs to the disk goroutine until it comes back
// through the recorder's free list.
type job struct {
	rec      *Recorder
	gen      uint32 // which segment of the recorder it is for
	begin    *plan  // not nil: begins that segment
	ends     bool   // the segment ends after it
	closes   bool   // not of the free list: the recorder is closed, whatever is open ends
	cause    Cause  // and why
	samples  []sample
	parts    []part
	bytes    int   // payload
	wall     int64 // of the first sample
	dts      media.Ticks
	duration media.Ticks
	flags    fragFlags
	own      []byte // the payload, if it had to be copied before the ring went away
	taken    bool   // the payload has been copied, or was lost
}

// reset empties j but keeps its arrays.
func (j *job) reset() {
	*j = job{rec: j.rec, samples: j.samples[:0], parts: j.parts[:0]}
}

// add appends au as a sample of track.
func (j *job) add(au *media.AccessUnit, track uint8) *sample {
	first, size := len(j.parts), 0
	for i := range au.NALs {
		n := &au.NALs[i]
		size += 4 + int(n.Size)
		p := part{n: 4 + n.HeadLen}
		binary.BigEndian.PutUint32(p.head[:], n.Size)
		copy(p.head[4:], n.Head[:n.HeadLen])
		for k, g := range n.Body {
			if k > 0 {
				p = part{}
			}
			p.g = g
			j.parts = append(j.parts, p)
		}
		if len(n.Body) == 0 {
			j.parts = append(j.parts, p)
		}
	}
	for _, g := range au.Payload {
		size += int(g.Len)
		j.parts = append(j.parts, part{g: g})
	}
	j.bytes += size
	j.samples = append(j.samples, sample{
		dts: au.DTS, pts: au.PTS, size: uint32(size), track: track, flags: au.Flags,
		first: uint32(first), end: uint32(len(j.parts)),
	})
	return &j.samples[len(j.samples)-1]
}

// frames counts the pictures, or without video the audio frames, and the samples
// at which decoding can start.
func (j *job) frames(tracks []media.Track) (frames uint32, keys uint16) {
	primary := primaryTrack(tracks)
	for i := range j.samples {
		if int(j.samples[i].track) == primary {
			frames++
			if !tracks[primary].Codec.Video() || j.samples[i].flags&media.UnitKey != 0 {
				keys++
			}
		}
	}
	return frames, keys
}

// primaryTrack is the track that segments are cut by: the first video track, or
// the first.
func primaryTrack(tracks []media.Track) int {
	for i := range tracks {
		if tracks[i].Codec.Video() {
			return i
		}
	}
	return 0
}

// appendPayload appends the samples' bytes, track by track, from the ring.
func (j *job) appendPayload(b []byte, r *media.Ring, tracks int) ([]byte, error) {
	oldest, some := uint64(0), false
	for i := range j.parts {
		if g := j.parts[i].g; g.Len > 0 && (!some || g.Off < oldest) {
			oldest, some = g.Off, true
		}
	}
	if !some {
		return b, nil
	}
	err := r.Read(oldest, func() {
		for t := range tracks {
			for i := range j.samples {
				if s := &j.samples[i]; int(s.track) == t {
					b = appendParts(b, r, j.parts[s.first:s.end])
				}
			}
		}
	})
	return b, err
}

// appendParts appends what parts are, within [media.Ring.Read].
func appendParts(b []byte, r *media.Ring, parts []part) []byte {
	for i := range parts {
		b = append(b, parts[i].head[:parts[i].n]...)
		b = append(b, r.Bytes(parts[i].g)...)
	}
	return b
}

// A ringRef is the ring that a recorder's jobs point into, until the recorder is
// closed: its memory may be gone right after.
type ringRef struct {
	mu   sync.Mutex // held while bytes are copied, never across a system call
	ring *media.Ring
}

// take appends j's payload to b, from wherever it is.
func (ref *ringRef) take(b []byte, j *job, tracks int) ([]byte, error) {
	ref.mu.Lock()
	defer ref.mu.Unlock()
	defer func() { j.taken = true }()
	switch {
	case j.own != nil:
		return append(b, j.own...), nil
	case ref.ring == nil:
		return b, media.ErrLapped
	}
	return j.appendPayload(b, ref.ring, tracks)
}

// release copies what jobs still waiting point to and lets go of the ring.
func (ref *ringRef) release(jobs []*job, tracks int) {
	ref.mu.Lock()
	defer ref.mu.Unlock()
	for _, j := range jobs {
		if j.taken || len(j.samples) == 0 || ref.ring == nil {
			continue
		}
		if own, err := j.appendPayload(make([]byte, 0, j.bytes), ref.ring, tracks); err == nil {
			j.own = own
		}
	}
	ref.ring = nil
}
