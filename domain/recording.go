package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A RecordFilter narrows a query for recordings (GB/T 28181-2022 A.2.4). Its zero value
// takes all that the channel's owner has.
type RecordFilter struct {
	Kind       RecordKind // only of this kind, if OneKind
	OneKind    bool
	Secret     bool   // only classified ones; we have none
	Path       string // only what is at this address
	Recorder   string // only what this device or server recorded
	Indistinct bool   // what each level on the way recorded itself, too (IndistinctQuery)
}

// stamp is how an address writes an instant, in UTC.
const stamp = "20060102T150405Z"

// addressOf names a recording of ours to others, who need not know what lies where:
// server, channel and span. INVITE Playback of that channel and span reads it.
func addressOf(server Code, r Recording) string {
	return fmt.Sprintf("%s/%s/%s-%s", server, r.Channel, r.Range.From.UTC().Format(stamp), WholeSecond(r.Range.To).UTC().Format(stamp))
}

// WholeSecond rounds an end up: instants travel in seconds, and nothing may be cut off.
func WholeSecond(t time.Time) time.Time { return t.Add(time.Second - 1).Truncate(time.Second) }

// at reports whether r is at an address. A recording that has grown since it was
// listed, or lost its oldest segments, is the same one still.
func (r Recording) at(server Code, address string) bool {
	f := strings.Split(address, "/")
	if len(f) != 3 || f[0] != string(server) || f[1] != string(r.Channel) {
		return false
	}
	first, last, _ := strings.Cut(f[2], "-")
	from, err := time.Parse(stamp, first)
	if err != nil {
		return false
	}
	to, err := time.Parse(stamp, last)
	return err == nil && r.Range.From.Before(to) && r.Range.To.After(from)
}

// takes reports whether a recording of ours passes f.
func (f RecordFilter) takes(server Code, r Recording) bool {
	switch {
	case f.Secret, f.OneKind && r.Kind != f.Kind, f.Recorder != "" && f.Recorder != string(server):
		return false
	}
	return f.Path == "" || r.at(server, f.Path)
}

// own returns our archive's recordings as others see them: those that f takes, each
// with its address, and with us for who recorded it and where it lies.
func (f RecordFilter) own(server Code, rows []Recording) []Recording {
	var taken []Recording
	for _, r := range rows {
		if !f.takes(server, r) {
			continue
		}
		r.Path, r.Recorder, r.Location = addressOf(server, r), string(server), string(server)
		taken = append(taken, r)
	}
	return taken
}

// A recordKey tells recordings apart; pages come twice.
type recordKey struct {
	from, to int64
	path     string
}

func keyOf(r Recording) recordKey {
	return recordKey{r.Range.From.UnixNano(), r.Range.To.UnixNano(), r.Path}
}

// merged returns the recordings of both, each once, in order of time.
func merged(a, b []Recording) []Recording {
	seen := make(map[recordKey]struct{}, len(a)+len(b))
	var all []Recording
	for _, r := range slices.Concat(a, b) {
		if _, known := seen[keyOf(r)]; !known {
			seen[keyOf(r)] = struct{}{}
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(x, y Recording) int { return x.Range.From.Compare(y.Range.From) })
	return all
}
