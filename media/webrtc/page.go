package webrtc

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
)

// player is a page that plays the stream whose address it has: HTML, style and
// script in one.
//
//go:embed player.html
var player string

// list is the beginning of a page that lists channels. The rest is written by hand: with a
// package for templates the program is a fifth larger, since these call methods by name.
//
//go:embed list.html
var list string

// pages are what browsers are shown, and what these may do there.
type pages struct {
	player string // policy of the player
	listed string // policy of the list
}

// newPages allows each page its own style and script by their hashes, and requests to
// where it comes from; nothing else.
func newPages() pages {
	const nothing = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src '"
	return pages{
		player: nothing + hashOf(player, "style") + "'; script-src '" + hashOf(player, "script") + "'; connect-src 'self'; media-src 'self' blob:; form-action 'none'",
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

// show answers with those of all channels whose name or path has query in it, in
// their order.
func (p pages) show(w http.ResponseWriter, all []Channel, query string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s<form><input name=\"q\" value=\"%s\" placeholder=\"Name or code\" autofocus> <button>Find</button></form>\n<table>\n",
		list, html.EscapeString(query))
	found := 0
	for _, c := range all {
		if !strings.Contains(strings.ToLower(c.Name), strings.ToLower(query)) && !strings.Contains(c.Path, query) {
			continue
		}
		if found++; found <= mostListed {
			c.write(&b)
		}
	}
	b.WriteString("</table>\n")
	switch {
	case found > mostListed:
		fmt.Fprintf(&b, "<p>The first %d of %d: find the others by name or code.</p>\n", mostListed, found)
	case found == 0 && query != "":
		b.WriteString("<p>No channel is called so.</p>\n")
	case found == 0:
		b.WriteString("<p>There is no channel.</p>\n")
	}
	head(w, p.listed)
	_, _ = w.Write([]byte(b.String())) // as above
}

// write writes the row of a channel.
func (c Channel) write(b *strings.Builder) {
	class, state := ` class="off"`, "offline"
	if c.Online {
		class, state = "", "online"
	}
	at := html.EscapeString((&url.URL{Path: "/" + c.Path}).EscapedPath())
	fmt.Fprintf(b, "<tr%s><td><a href=\"%s\">%s</a><td><a href=\"%s/sub\">sub stream</a><td>%s<td>%s\n",
		class, at, html.EscapeString(cmp.Or(c.Name, c.Path)), at, html.EscapeString(c.Path), state)
}
