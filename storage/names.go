package storage

import (
	"path/filepath"
	"strings"
	"time"
)

// Names on a volume. Everything is UTC.
const (
	identityName = "volume.json"
	lockName     = "volume.lock"
	recDir       = "rec"
	indexDir     = "index"

	dayLayout   = "2006-01-02"
	monthLayout = "2006-01"
	fileLayout  = "20060102T150405.000000000Z"
	fileSuffix  = ".mp4"
)

// checkChannel returns [ErrChannelName] unless name can be a directory's name
// anywhere: letters, digits, '-', '_' and inner dots, at most 64.
func checkChannel(name string) error {
	if name == "" || len(name) > 64 || name[0] == '.' {
		return ErrChannelName
	}
	for _, c := range []byte(name) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return ErrChannelName
		}
	}
	return nil
}

func dayOf(ns int64) string   { return time.Unix(0, ns).UTC().Format(dayLayout) }
func monthOf(ns int64) string { return time.Unix(0, ns).UTC().Format(monthLayout) }

// segmentPath names the file of the segment of channel that starts at start.
func segmentPath(channel string, start int64) string {
	t := time.Unix(0, start).UTC()
	return filepath.Join(recDir, channel, t.Format(dayLayout), t.Format(fileLayout)+fileSuffix)
}

// parseSegmentName returns the start that a segment's file name tells.
func parseSegmentName(name string) (start int64, ok bool) {
	stem, ok := strings.CutSuffix(name, fileSuffix)
	if !ok {
		return 0, false
	}
	t, err := time.Parse(fileLayout, stem)
	if err != nil || t.Year() < 1970 || t.Year() > 2261 { // outside, nanoseconds overflow
		return 0, false
	}
	return t.UnixNano(), true
}
