package storage

import (
	"time"

	"districtgateway/media"
)

// A pacer decides when samples are due and what time they carry. At each change of
// rate it starts a new line through the present point.
type pacer struct {
	rate
	restart bool        // the next sample is due at once
	from    time.Time   // when dts was due
	dts     media.Ticks // footage's time at from
	out     media.Ticks // time carried by dts
	lastIn  media.Ticks // newest footage time seen
	now     time.Time
	anchor  bool // from, dts and out are set
}

// set takes over a changed rate at now.
func (p *pacer) set(r rate, now time.Time) {
	p.now = now
	if r == p.rate {
		return
	}
	if p.anchor {
		p.out = p.carried(p.lastIn)
		p.dts = p.lastIn
		p.from = now
	}
	p.rate = r
}

// due returns when h is due; false while paused.
func (p *pacer) due(h *played) (time.Time, bool) {
	if p.paused {
		return time.Time{}, false
	}
	if p.restart || !p.anchor {
		if p.anchor { // a seek: what is carried goes on without a jump backwards
			p.out = p.carried(p.lastIn) + media.TicksPerSecond/25
		}
		p.anchor, p.restart = true, false
		p.from, p.dts, p.lastIn = p.now, h.DTS, h.DTS
	}
	wait := float64((h.DTS - p.dts).Duration()) / (p.scale * p.speed)
	due := p.from.Add(time.Duration(wait) - p.ahead)
	if late := p.now.Sub(due); late > maxLate {
		p.from, due = p.from.Add(late), p.now
	}
	return due, true
}

// maxLate is how far playing is allowed to catch up. Who made it wait longer, by
// reading slowly, gets what follows at the same pace as before.
const maxLate = time.Second

// carried maps footage time to the time a sample carries.
func (p *pacer) carried(t media.Ticks) media.Ticks {
	return p.out + media.Ticks(float64(t-p.dts)/p.scale)
}

// times returns the times that h carries.
func (p *pacer) times(h *played) (pts, dts media.Ticks) {
	p.lastIn = max(p.lastIn, h.DTS)
	return p.carried(h.PTS), p.carried(h.DTS)
}

// shows reports whether h is shown at this scale.
func (p *pacer) shows(h *played) bool {
	video := int(h.Track) < len(h.tracks) && h.tracks[h.Track].Codec.Video()
	return p.scale == 1 || p.scale == 0 || video && (p.scale <= keyOnlyScale || h.Key)
}
