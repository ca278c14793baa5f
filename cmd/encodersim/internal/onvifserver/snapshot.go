package onvifserver

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"net/url"
)

// pathSnapshot is where a profile's present picture is.
const pathSnapshot = "/onvif/snapshot"

func (r *request) snapshotURI(p *Profile) string {
	return r.url(pathSnapshot + "?" + url.Values{"profile": {p.Token}}.Encode())
}

func (s *Server) getSnapshotURI(r *request) (node, *fault) {
	p, f := s.profile(r.body.value("ProfileToken"))
	if f != nil {
		return node{}, f
	}
	return el("trt:GetSnapshotUriResponse", el("trt:MediaUri", el("tt:Uri", r.snapshotURI(p)),
		el("tt:InvalidAfterConnect", false), el("tt:InvalidAfterReboot", false), el("tt:Timeout", "PT0S"))), nil
}

func (s *Server) getSnapshotURI2(r *request) (node, *fault) {
	p, f := s.profile(r.body.value("ProfileToken"))
	if f != nil {
		return node{}, f
	}
	return el("tr2:GetSnapshotUriResponse", el("tr2:Uri", r.snapshotURI(p))), nil
}

// serveSnapshot answers with a JPEG of the profile's size that shows the number of
// its present picture.
func (s *Server) serveSnapshot(w http.ResponseWriter, r *http.Request) {
	if v := s.guard.check(r, nil); v != granted {
		s.guard.challenge(w, v)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	p, f := s.profile(r.FormValue("profile"))
	if f != nil || s.cfg.Picture == nil {
		http.NotFound(w, r)
		return
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, drawNumber(p.Width, p.Height, s.cfg.Picture(p.Token)), nil); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	_, _ = b.WriteTo(w) // the client may have gone
}

// cells is the side of the square of cells that a number is drawn as, a bit each,
// the highest at the top left: white is 1.
const cells = 8

// drawNumber draws n over a whole picture.
func drawNumber(width, height int, n uint64) image.Image {
	m := image.NewGray(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			bit := cells*cells - 1 - (y*cells/height*cells + x*cells/width)
			if n>>bit&1 == 1 {
				m.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return m
}
