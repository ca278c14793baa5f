package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// configuration writes the file of one level. Everything not said is as shipped,
// but for the pace of the links: nobody watches a demonstration for minutes.
func (s *site) configuration(i int) string {
	l := s.levels[i]
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# %s, written by the demonstration.", l.english)
	line("[server]\nid = %q\nname = %q\nlisten = %q\nstate = %q", l.code, l.name, l.listen.String(), l.dir)
	line("region = %q", [...]string{"33", "3301", "330106"}[i])
	line("\n[media]\nports = \"20000-20199\"")
	line("\n[rtsp]\nlisten = \"%s:8554\"", l.listen.Addr())
	line("\n[webrtc]\nlisten = \"%s:8889\"\nmedia = \"%s:8189\"", l.listen.Addr(), l.listen.Addr())
	if i > province {
		up := s.levels[i-1]
		line("\n[[upper]]\nid = %q\nname = %q\naddress = %q\npassword = %q", up.code, up.name, up.listen.String(), l.secret)
		line("retry_every = \"2s\"\nkeepalive_every = \"10s\"")
	}
	if i < district {
		low := s.levels[i+1]
		line("\n[[lower]]\nid = %q\nname = %q\npassword = %q\nkeepalive_every = \"10s\"", low.code, low.name, low.secret)
		line("\n[discovery]\nenabled = false")
		return b.String()
	}
	line("\n[discovery]\ninterfaces = [] # no multicast: this is not our network\naddresses = [%s]", s.encoderAddresses())
	line("every = \"10s\"\nuser = %q\npassword = %q", encoderUser, s.password)
	line("\n[[volume]]\npath = %q\ncreate = true\nsize = \"1GB\"\nfree = \"100MB\"", filepath.Join(s.dir, "volume"))
	return b.String()
}

func (s *site) encoderAddresses() string {
	var list []string
	for i := range encoderNames {
		list = append(list, fmt.Sprintf("%q", address(s.network, firstEncoder+i)))
	}
	return strings.Join(list, ", ")
}
