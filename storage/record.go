package storage

import (
	"time"

	"districtgateway/media"
)

// take records one access unit, or decides not to.
func (r *Recorder) take(u *media.Unit, au *media.AccessUnit, now time.Time) {
	track := r.tracks.of(au.Track)
	if track < 0 || r.tracks.wait {
		return
	}
	primary := track == r.tracks.primary
	if primary {
		r.cutBefore(u, au, now)
	}
	if !r.run.on && !(primary && r.begin(u, au)) {
		r.stats.dropped.Add(1)
		return
	}
	r.run.arrival = now
	if primary {
		r.addPrimary(u, au, track)
	} else {
		r.addOther(au, track)
	}
}

// cutBefore ends what cannot go on at au, a unit of the primary track: the segment,
// if time jumps, parameters change, or it is long enough; else the fragment, if it
// is full.
func (r *Recorder) cutBefore(u *media.Unit, au *media.AccessUnit, now time.Time) {
	if !r.run.on {
		return
	}
	expected := r.run.last + r.run.step
	switch jump := au.DTS - expected; {
	case au.Flags&media.UnitDiscontinuity != 0, jump < -maxJump:
		r.stop(CauseEncoder)
	case jump > maxJump && (r.run.damaged || au.Flags&media.UnitDamaged != 0):
		r.stop(CauseNetwork)
	case jump > maxJump:
		r.stop(CauseEncoder)
	case r.clockSet(u, au, now):
		r.stop(CauseClock)
	case r.segmentEnds(au):
		r.emitUntil(au.DTS, true)
		r.run.on, r.run.limit, r.run.seamless = false, r.cfg.Segment, true
	case r.fragmentEnds(au):
		r.emitUntil(au.DTS, false)
	}
}

// segmentEnds decides whether au begins a new segment: the first key frame after
// the limit, or anything after twice that.
func (r *Recorder) segmentEnds(au *media.AccessUnit) bool {
	age := (au.DTS - r.run.first).Duration()
	key := au.Key() || !au.Codec.Video()
	if key && Kind(r.kind.Load()) != r.cfg.Kind {
		return true
	}
	return key && age >= r.run.limit || age >= 2*r.cfg.Segment
}

// fragmentEnds decides whether au still fits into the fragment.
func (r *Recorder) fragmentEnds(au *media.AccessUnit) bool {
	if r.cur == nil || len(r.cur.samples) == 0 {
		return false
	}
	return au.DTS-r.run.endDTS+r.run.step > media.TicksOf(r.cfg.Fragment) || r.cur.bytes > r.fragmentBytes()
}

// fragmentBytes is how many bytes end a fragment: not so many that the ring, from
// which the disk takes them once they are all there, has no room left for what comes
// meanwhile.
func (r *Recorder) fragmentBytes() int {
	return min(maxPayload, r.ring.ring.Size()/ringShare)
}

// clockSet decides whether the wall clock was set: it has disagreed with the
// source's clock for a while, and recording can go on at au by the new time.
func (r *Recorder) clockSet(u *media.Unit, au *media.AccessUnit, now time.Time) bool {
	skew := time.Duration(u.Wall - r.wallAt(au.DTS))
	if skew.Abs() < clockTolerance {
		r.run.skewed = time.Time{}
		return false
	}
	if r.run.skewed.IsZero() {
		r.run.skewed = now
	}
	return now.Sub(r.run.skewed) >= clockPatience && (au.Key() || !au.Codec.Video())
}

// wallAt returns the wall clock of decoding time dts, by the source's clock from
// the last fragment on.
func (r *Recorder) wallAt(dts media.Ticks) int64 {
	return r.run.end + int64((dts - r.run.endDTS).Duration())
}

// begin begins a segment at au if decoding can start there. A segment that
// goes on from one before it (the hard cut) may begin anywhere.
func (r *Recorder) begin(u *media.Unit, au *media.AccessUnit) bool {
	continues := r.run.seamless
	if !continues && au.Codec.Video() && (!au.Key() || au.Flags&media.UnitDamaged != 0) {
		return false
	}
	start := u.Wall
	if continues {
		start = r.run.end
	} else if early := r.run.end - start; early > 0 && early < int64(clockTolerance) {
		start = r.run.end
	}
	r.cfg.Kind = Kind(r.kind.Load())
	base := au.DTS
	if len(r.tracks.tracks) > 1 {
		base -= audioLead
	}
	r.gen++
	r.run = running{
		on: true, start: start, first: au.DTS, base: base, last: au.DTS, end: start, endDTS: au.DTS,
		limit: r.run.limit, arrival: r.run.arrival,
	}
	return r.open(start, base)
}

// open makes the job that begins the segment.
func (r *Recorder) open(start int64, base media.Ticks) bool {
	j := r.job()
	if j == nil {
		r.run.on = false
		return false
	}
	j.begin = &plan{cause: CauseDisk, header: header{
		channel: r.cfg.Channel, kind: r.cfg.Kind, start: start, base: base,
		tracks: r.tracks.tracks, before: r.vol.holes.end(r.cfg.Channel, start),
	}}
	return true
}

// job returns the job being filled, taking one from the free list if there is
// none; nil if the disk has them all: then a hole begins.
func (r *Recorder) job() *job {
	if r.cur != nil {
		return r.cur
	}
	select {
	case j := <-r.free:
		j.reset()
		j.gen = r.gen
		r.cur = j
	default:
		r.run.on = false
		r.hole(CauseDisk)
	}
	return r.cur
}

func (r *Recorder) addPrimary(u *media.Unit, au *media.AccessUnit, track int) {
	j := r.job()
	if j == nil {
		return
	}
	if au.DTS <= r.run.last && au.DTS != r.run.first { // never backwards
		au.DTS = r.run.last + 1
	}
	if !r.hasPrimary(j) {
		r.beginFragment(j, u, au)
	}
	if au.DTS > r.run.last {
		r.closeStep(j, au.DTS)
	}
	r.put(j, au, track)
	r.run.last, r.run.damaged = au.DTS, au.Flags&media.UnitDamaged != 0
}

// beginFragment notes the instant at which j begins, and lets the wall clock that
// we count follow the real one by a little.
func (r *Recorder) beginFragment(j *job, u *media.Unit, au *media.AccessUnit) {
	if r.run.endDTS != au.DTS { // the first of the segment defines both
		r.run.end, r.run.endDTS = r.wallAt(au.DTS), au.DTS
	}
	if au.DTS != r.run.first {
		r.run.end += max(-maxSlew, min(u.Wall-r.run.end, maxSlew))
	}
	j.wall, j.dts = r.run.end, au.DTS
	if au.Key() || !au.Codec.Video() {
		j.flags |= fragKey
	}
}

// closeStep gives the newest primary sample its duration, now that the next is
// known.
func (r *Recorder) closeStep(j *job, dts media.Ticks) {
	r.run.step = dts - r.run.last
	for i := len(j.samples) - 1; i >= 0; i-- {
		if int(j.samples[i].track) == r.tracks.primary {
			j.samples[i].duration = r.run.step
			return
		}
	}
}

func (r *Recorder) hasPrimary(j *job) bool {
	for i := range j.samples {
		if int(j.samples[i].track) == r.tracks.primary {
			return true
		}
	}
	return false
}

// addOther adds a sample of another track. Sound from before the segment's
// beginning is left out.
func (r *Recorder) addOther(au *media.AccessUnit, track int) {
	j := r.job()
	if j == nil {
		return
	}
	if au.Flags&media.UnitDiscontinuity != 0 && au.DTS > r.run.last+maxJump {
		// The source came back, and its sound before its pictures: what is between is
		// a hole, and no sample of before lasts until now.
		r.stop(CauseEncoder)
		return
	}
	for i := len(j.samples) - 1; i >= 0; i-- { // its predecessor now has a duration
		if s := &j.samples[i]; int(s.track) == track {
			au.DTS = max(au.DTS, s.dts+1)
			s.duration = au.DTS - s.dts
			break
		}
	}
	if au.DTS <= r.run.base || au.DTS > r.run.last+10*maxJump {
		r.stats.dropped.Add(1)
		return
	}
	au.PTS = max(au.PTS, au.DTS)
	r.put(j, au, track).duration = nominal(au, &r.tracks.tracks[track])
}

func (r *Recorder) put(j *job, au *media.AccessUnit, track int) *sample {
	s := j.add(au, uint8(track))
	s.duration = r.run.step
	if au.Flags&media.UnitDamaged != 0 {
		j.flags |= fragDamaged
	}
	r.stats.samples.Add(1)
	return s
}

// nominal returns how long an audio unit plays.
func nominal(au *media.AccessUnit, t *media.Track) media.Ticks {
	rate := max(timescale(t), 1)
	if t.Codec == media.AAC {
		return fromScale(1024, rate) // frameLengthFlag 0 (ISO/IEC 14496-3 §4.5.1.1)
	}
	n := 0
	for _, g := range au.Payload {
		n += int(g.Len)
	}
	return fromScale(int64(n/max(t.Channels, 1)), rate)
}

// emitUntil hands over the fragment, which ends where the primary sample with
// decoding time dts begins; ends: the segment ends with it, to be continued.
func (r *Recorder) emitUntil(dts media.Ticks, ends bool) {
	if r.cur != nil && dts > r.run.last {
		r.closeStep(r.cur, dts)
	}
	r.send(dts, ends, CauseNone)
}

// emit hands over the fragment as it is, its last sample as long as the one before.
func (r *Recorder) emit(cause Cause, ends bool) {
	r.send(r.run.last+max(r.run.step, 1), ends, cause)
}

func (r *Recorder) send(end media.Ticks, ends bool, cause Cause) {
	j := r.cur
	if j == nil && (!ends || !r.run.on) {
		return
	}
	if j == nil {
		if j = r.job(); j == nil {
			return
		}
	}
	if len(j.samples) > 0 && !r.hasPrimary(j) {
		j.wall, j.dts = r.wallAt(j.samples[0].dts), j.samples[0].dts
		end = j.dts
	}
	j.duration = max(end-j.dts, 0)
	if len(j.samples) == 0 {
		j.duration = 0
	} else if r.hasPrimary(j) {
		r.run.end, r.run.endDTS = j.wall+int64(j.duration.Duration()), end
	}
	j.ends, j.cause = ends, cause
	r.enqueue(j)
}

func (r *Recorder) enqueue(j *job) {
	r.cur = nil
	r.stats.fragments.Add(1)
	r.stats.bytes.Add(uint64(j.bytes))
	select {
	case r.vol.disk.queue <- j:
	default:
		j.reset()
		r.free <- j
		r.run.on = false
		r.hole(CauseDisk)
	}
}

// stop ends the segment: after it there is a hole, until a key frame.
func (r *Recorder) stop(cause Cause) {
	if !r.run.on {
		return
	}
	r.emit(cause, true)
	r.run.on = false
	r.hole(cause)
}

// hole notes that footage ends where the last fragment ended.
func (r *Recorder) hole(cause Cause) {
	r.stats.holes.Add(1)
	r.run.seamless = false
	from := r.run.end
	if from == 0 {
		from = time.Now().UnixNano()
	}
	r.vol.holes.begin(r.cfg.Channel, from, cause)
}

// drop forgets the fragment being filled.
func (r *Recorder) drop() {
	if r.cur != nil {
		r.cur.reset()
		r.free <- r.cur
		r.cur = nil
	}
	r.run.on = false
}

// idle hands over a fragment whose time is up though nothing more arrives, and
// ends the segment of a source that has gone silent. It returns when to be called
// again.
func (r *Recorder) idle(now time.Time) time.Time {
	if !r.run.on {
		return time.Time{}
	}
	quiet := now.Sub(r.run.arrival)
	if quiet >= r.cfg.Silence {
		r.stop(CauseEncoder)
		return time.Time{}
	}
	if r.cur != nil && len(r.cur.samples) > 0 {
		if quiet < r.cfg.Fragment {
			return r.run.arrival.Add(r.cfg.Fragment)
		}
		r.emit(CauseNone, false)
	}
	return r.run.arrival.Add(r.cfg.Silence)
}
