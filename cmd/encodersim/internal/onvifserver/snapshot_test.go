package onvifserver

import (
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/icholy/digest"
)

func TestSnapshotShowsThePictureNumber(t *testing.T) {
	d := newDevice()
	d.cfg.Picture = func(token string) uint64 {
		if token == "sub" {
			return 1
		}
		return 0xdeadbeef01234567
	}
	srv := httptest.NewServer(d)
	defer srv.Close()
	for token, want := range map[string]struct {
		width  int
		number uint64
	}{"main": {640, 0xdeadbeef01234567}, "sub": {320, 1}} {
		client := http.Client{Transport: &digest.Transport{Username: testUser, Password: testPassword}}
		r, err := client.Get(srv.URL + pathSnapshot + "?profile=" + token)
		if err != nil {
			t.Fatal(err)
		}
		m, err := jpeg.Decode(r.Body)
		r.Body.Close()
		if err != nil {
			t.Fatal(r.Status, err)
		}
		size := m.Bounds()
		n := uint64(0)
		for i := range cells * cells {
			y, _, _, _ := m.At((i%cells*2+1)*size.Dx()/(2*cells), (i/cells*2+1)*size.Dy()/(2*cells)).RGBA()
			n = n<<1 | uint64(y>>15)
		}
		if size.Dx() != want.width || n != want.number {
			t.Errorf("%s: %v shows %x, want %x", token, size, n, want.number)
		}
	}
	for _, url := range []string{pathSnapshot + "?profile=main", pathSnapshot} {
		r, err := http.Get(srv.URL + url)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusUnauthorized || r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("without a password: %s", r.Status)
		}
	}
}
