package rtsp

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// An address is what a viewer asks for: a stream, and perhaps one track of it.
type address struct {
	path  string // CHANNEL or CHANNEL/sub
	track int    // -1: the whole stream
}

// addressForm is all that a path may be. What looks like another folder is none.
var addressForm = regexp.MustCompile(`^/?([A-Za-z0-9_-]{1,64}(?:/sub)?)(?:/` + trackControl + `([0-9]{1,2}))?/?$`)

// addressOf reads the path of a request's URL.
func addressOf(u *base.URL) (a address, ok bool) {
	if u == nil {
		return a, false
	}
	m := addressForm.FindStringSubmatch(u.Path)
	if m == nil {
		return a, false
	}
	a = address{m[1], -1}
	if m[2] != "" {
		a.track, _ = strconv.Atoi(m[2]) // two digits
	}
	return a, true
}

// sameStream reports whether the address that was hashed is of the stream that is
// asked for: many players hash that of the whole for each track.
func sameStream(hashed string, u *base.URL) bool {
	if u == nil {
		return true // OPTIONS * and the like
	}
	if strings.HasPrefix(hashed, "/") {
		hashed = "rtsp://h" + hashed
	}
	h, err := base.ParseURL(hashed)
	if err != nil {
		return false
	}
	a, ok := addressOf(h)
	b, ok2 := addressOf(u)
	return a.path == b.path && ok == ok2
}
