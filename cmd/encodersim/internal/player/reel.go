package player

import "districtgateway/cmd/encodersim/internal/clip"

// A videoReel is a position in the endless repetition of a clip's pictures. Its
// instants are ticks of clip.Clock since the player was started.
type videoReel struct {
	clip   *clip.Video
	origin int64 // when the first loop began
	loop   int64
	index  int
	latest int64 // the last instant a picture sent so far is shown at
}

func newVideoReel(v *clip.Video, origin int64) videoReel {
	return videoReel{clip: v, origin: origin, latest: -1}
}

// start returns when the present loop began.
func (r *videoReel) start() int64 { return r.origin + r.loop*r.clip.Period }

// due returns when the next picture is sent.
func (r *videoReel) due() int64 { return r.start() + r.clip.Pictures[r.index].DTS }

// take returns the next picture and the instant it is shown, and moves on.
func (r *videoReel) take() (p *clip.Picture, shown int64) {
	p = &r.clip.Pictures[r.index]
	shown = r.start() + p.PTS
	r.latest = max(r.latest, shown)
	if r.index++; r.index == len(r.clip.Pictures) {
		r.index, r.loop = 0, r.loop+1
	}
	return p, shown
}

// cut goes on with another clip where this one would have sent its next picture.
func (r *videoReel) cut(to *clip.Video) { *r = newVideoReel(to, r.due()) }

// skip goes on with the clip's next key picture in place of the next picture,
// and returns by how many ticks the clip was moved ahead of time. Where a picture
// already sent is still to be shown after the key picture would be, the key
// picture comes that much later.
func (r *videoReel) skip() (moved int64) {
	pics := r.clip.Pictures
	k := r.index
	for k < len(pics) && !pics[k].Key {
		k++
	}
	if k == r.index {
		return 0
	}
	moved = r.clip.Period - pics[r.index].DTS
	if k == len(pics) {
		k = 0
	} else {
		moved = pics[k].DTS - pics[r.index].DTS
	}
	due := r.due()
	at := max(due, r.latest+r.clip.Period/int64(len(pics))-(pics[k].PTS-pics[k].DTS))
	r.origin, r.loop, r.index = at-pics[k].DTS, 0, k
	return moved - (at - due)
}

// An audioReel is the same for sound; it counts samples.
type audioReel struct {
	clip   *clip.Audio
	origin int64 // first sample of the first loop
	loop   int64
	index  int
}

// samples returns the next frame's first sample, counted since the start.
func (r *audioReel) samples() int64 {
	return r.origin + ticksTo(r.loop*r.clip.Period, r.clip.Rate) + r.clip.Frames[r.index].At
}

// due returns when the next frame is sent, in ticks.
func (r *audioReel) due() int64 {
	rate := int64(r.clip.Rate)
	n := r.samples()
	return n/rate*clip.Clock + n%rate*clip.Clock/rate
}

func (r *audioReel) take() *clip.Frame {
	f := &r.clip.Frames[r.index]
	if r.index++; r.index == len(r.clip.Frames) {
		r.index, r.loop = 0, r.loop+1
	}
	return f
}

// skip moves the clip ahead, or back, to keep in step with the picture; time
// goes on.
func (r *audioReel) skip(ticks int64) {
	next, frames := r.samples(), r.clip.Frames
	length := ticksTo(r.clip.Period, r.clip.Rate)
	at := (frames[r.index].At + ticksTo(ticks, r.clip.Rate)) % max(length, 1)
	if at < 0 {
		at += length
	}
	k := 0
	for k < len(frames)-1 && frames[k].At < at {
		k++
	}
	r.origin, r.loop, r.index = next-frames[k].At, 0, k
}

// ticksTo turns ticks into units of another rate without overflow.
func ticksTo(ticks int64, rate int) int64 {
	return ticks/clip.Clock*int64(rate) + ticks%clip.Clock*int64(rate)/clip.Clock
}
