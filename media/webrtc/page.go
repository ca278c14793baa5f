package webrtc

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
)

// player is a page that plays the stream whose address it has: HTML, style and
// script in one.
//
//go:embed player.html
var player string

// A page is the player and what a browser may do on it.
type page struct{ policy string }

// newPage allows the player's own style and script by their hashes, and requests to
// where it comes from; nothing else.
func newPage() page {
	return page{"default-src 'none'; script-src '" + hashOf("script") + "'; style-src '" + hashOf("style") +
		"'; connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
}

// hashOf returns the hash of what an element of the player holds.
func hashOf(element string) string {
	_, rest, _ := strings.Cut(player, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// write answers with the page.
func (p page) write(w http.ResponseWriter) {
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", p.policy)
	head.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write([]byte(player)) // who has gone does not see it
}
