package onvif

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"districtgateway/media/digest"
)

var picture = append([]byte{0xff, 0xd8, 0xff, 0xe0}, bytes.Repeat([]byte{7}, 5<<20)...)

// camera is a device whose snapshot is served by serve.
func camera(t *testing.T, uri string, serve http.HandlerFunc) *fakeDevice {
	t.Helper()
	f := newFake(t, modern)
	if uri == "" {
		uri = f.URL + "/snap.jpg?x=1"
	}
	f.script["GetSnapshotUri"] = plain(`<GetSnapshotUriResponse><Uri>` + uri + `</Uri></GetSnapshotUriResponse>`)
	f.raw = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			serve(w, r)
		}
		return r.Method == http.MethodGet
	}
	return f
}

func sendPicture(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "image/jpeg; charset=binary")
	_, _ = w.Write(picture)
}

func TestSnapshotIsThePictureOfTheDevice(t *testing.T) {
	for name, challenge := range map[string]string{"open": "", "digest": `Digest realm="x", nonce="y", qop="auth"`, "basic": `Basic realm="x"`} {
		t.Run(name, func(t *testing.T) {
			f := camera(t, "", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.RequestURI() != "/snap.jpg?x=1" {
					t.Errorf("asked for %s", r.URL)
				}
				scheme, _, _ := strings.Cut(challenge, " ")
				if given := r.Header.Get("Authorization"); challenge != "" && !strings.HasPrefix(given, scheme+" ") {
					w.Header().Set("WWW-Authenticate", challenge)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				sendPicture(w, r)
			})
			got, err := f.client(t, func(c *Config) { c.Basic = name == "basic" }).Snapshot(t.Context(), Profile{Token: "p0", Media2: true})
			if err != nil || !bytes.Equal(got, picture) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestSnapshotOfAHostileDeviceIsRefused(t *testing.T) {
	asked := atomic.Int32{}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		sendPicture(w, r)
	}))
	defer elsewhere.Close()
	other := strings.Replace(elsewhere.URL, "127.0.0.1", "127.0.0.2", 1)
	for name, tc := range map[string]struct {
		uri   string
		serve http.HandlerFunc
		want  error
	}{
		"redirect": {"", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, ErrRedirect},
		"web page": {"", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, ErrNoPicture},
		"page as JPEG": {"", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/jpeg")
			_, _ = w.Write([]byte("<html>"))
		}, ErrNoPicture},
		"JPEG as page": {"", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write(picture)
		}, ErrNoPicture},
		"too large": {"", func(w http.ResponseWriter, r *http.Request) { sendPicture(w, r); sendPicture(w, r) }, ErrTooLarge},
		"gone":      {"", http.NotFound, ErrNoPicture},
		"compressed": {"", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			sendPicture(w, r)
		}, ErrEncoding},
		"wrong password": {"", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Digest realm="x", nonce="y"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, digest.ErrRejected},
		"wants Basic": {"", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, ErrUnauthorized},
		"file":      {"file:///etc/passwd", sendPicture, nil},
		"no host":   {"/snap.jpg", sendPicture, nil},
		"other use": {"gopher://127.0.0.1/", sendPicture, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := camera(t, tc.uri, tc.serve).client(t, nil).Snapshot(t.Context(), Profile{Token: "p0", Media2: true})
			if err == nil || got != nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("%d bytes, %v, want %v", len(got), err, tc.want)
			}
		})
	}
	// Whatever host is named, the device's own is asked: here the test's listener
	// takes both addresses, and sees which one was dialled.
	if uri, err := camera(t, other+"/snap.jpg", sendPicture).client(t, nil).SnapshotURI(t.Context(), Profile{Token: "p0", Media2: true}); err != nil ||
		uri != elsewhere.URL+"/snap.jpg" {
		t.Errorf("%s, %v: not the device's host", uri, err)
	}
	if asked.Load() > 0 {
		t.Errorf("somebody else was asked %d times", asked.Load())
	}
}
