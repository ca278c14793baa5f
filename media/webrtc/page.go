package webrtc

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

// player is a page that plays the stream whose address it has: HTML, style and
// script in one.
//
//go:embed player.html
var player string

// list is the template of a page that lists channels.
//
//go:embed list.html
var list string

// pages are what browsers are shown, and what these may do there.
type pages struct {
	player string // policy of the player
	list   *template.Template
	listed string // policy of the list
}

// newPages allows each page its own style and script by their hashes, and requests to
// where it comes from; nothing else.
func newPages() pages {
	const nothing = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src '"
	return pages{
		player: nothing + hashOf(player, "style") + "'; script-src '" + hashOf(player, "script") + "'; connect-src 'self'; media-src 'self' blob:; form-action 'none'",
		list:   template.Must(template.New("list").Parse(list)),
		listed: nothing + hashOf(list, "style") + "'; form-action 'self'",
	}
}

// hashOf returns the hash of what an element of a page holds.
func hashOf(page, element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// play answers with the player.
func (p pages) play(w http.ResponseWriter) {
	head(w, p.player)
	_, _ = w.Write([]byte(player)) // who has gone does not see it
}

func head(w http.ResponseWriter, policy string) {
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", policy)
	head.Set("Referrer-Policy", "no-referrer")
}

// mostListed bounds a list: more is found by name.
const mostListed = 500

// A Channel is one that may be watched.
type Channel struct {
	Path   string // such as its code
	Name   string
	Online bool
}

// A listing is what the list shows.
type listing struct {
	Title, Query string
	Channels     []Channel
	Total        int
	More         bool // than Channels
}

// show answers with those of all channels whose name or path has query in it, in
// their order.
func (p pages) show(w http.ResponseWriter, all []Channel, query string) {
	l := listing{Title: "Channels", Query: query}
	for _, c := range all {
		if !strings.Contains(strings.ToLower(c.Name), strings.ToLower(query)) && !strings.Contains(c.Path, query) {
			continue
		}
		if l.Total++; len(l.Channels) < mostListed {
			l.Channels = append(l.Channels, c)
		}
	}
	l.More = l.Total > len(l.Channels)
	head(w, p.listed)
	_ = p.list.Execute(w, l) // as above
}
