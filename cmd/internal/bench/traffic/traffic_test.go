package traffic

import (
	"errors"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

func TestClipIsWhatItIsSaidToBe(t *testing.T) {
	var set h264.SPS
	if err := set.Unmarshal(parameters()[0]); err != nil || set.Width() != 1920 || set.Height() != 1080 || set.PicOrderCntType != 2 {
		t.Errorf("SPS %dx%d, order type %d: %v", set.Width(), set.Height(), set.PicOrderCntType, err)
	}
	sum, largest := 0, 0
	clip := newClip()
	for i, u := range clip {
		sum += u.slice
		if i > 0 {
			largest = max(largest, u.slice)
		}
		if m, ok := readMark(u.wire); !ok {
			t.Errorf("picture %d has no mark: %+v", i, m)
		}
	}
	if sum < groupBytes*99/100 || sum > groupBytes*101/100 {
		t.Errorf("a group has %d bytes, want %d", sum, groupBytes)
	}
	if clip[0].slice < 4*largest {
		t.Errorf("key picture of %d bytes, others up to %d", clip[0].slice, largest)
	}
}

func TestAMarkComesBack(t *testing.T) {
	want := mark{7, 1<<62 + 0xabcdef, 120000}
	b := make([]byte, markSize)
	want.put(b)
	if got, ok := readMark(append([]byte{1, 2, 3}, b...)); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	if _, ok := readMark(make([]byte, markSize)); ok {
		t.Error("zeros were taken for a mark")
	}
}

// packets returns the RTP packets of n pictures.
func packets(n int) (list [][]byte) {
	clip, s := newClip(), sending{}
	for i := range n {
		u := &clip[i]
		wire := append([]byte(nil), s.prepare(u)...)
		for k, at := range u.packets {
			end := len(wire)
			if k+1 < len(u.packets) {
				end = u.packets[k+1] - frameSize
			}
			list = append(list, wire[at:end])
		}
	}
	return list
}

func TestTallyKnowsWhatWasLost(t *testing.T) {
	renumber := func(list [][]byte) [][]byte {
		for i, p := range list {
			p[2], p[3] = byte(i>>8), byte(i)
		}
		return list
	}
	all := packets(4)
	second := 0 // the packet after the first marker
	for all[second][1]&0x80 == 0 {
		second++
	}
	second++
	for name, tc := range map[string]struct {
		list [][]byte
		want Totals
	}{
		"nothing":                    {packets(4), Totals{Pictures: 4}},
		"one packet":                 {cut(packets(4), second+1, 1), Totals{Pictures: 3, Lost: 1, Damaged: 1}},
		"one packet, numbered anew":  {renumber(cut(packets(4), second+1, 1)), Totals{Pictures: 3, Damaged: 1}},
		"a picture, numbered anew":   {renumber(cut(packets(4), second, pictureLength(all, second))), Totals{Pictures: 3, Missing: 1}},
		"the first packets":          {cut(packets(4), 0, 5), Totals{Pictures: 3}},
		"nothing, one packet twice":  {append(packets(4), packets(4)[len(all)-2]), Totals{Pictures: 4, Twice: 1}},
		"the marker with its packet": {cut(packets(4), second-1, 1), Totals{Pictures: 2, Lost: 1, Damaged: 0}},
	} {
		var got tally
		for _, p := range tc.list {
			got.add(p, now())
		}
		got.Packets, got.Bytes = 0, 0
		if got.Totals != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got.Totals, tc.want)
		}
	}
}

func cut(list [][]byte, at, n int) [][]byte { return append(list[:at:at], list[at+n:]...) }

func pictureLength(list [][]byte, at int) int {
	n := 1
	for list[at+n-1][1]&0x80 == 0 {
		n++
	}
	return n
}

// serveTraffic runs a source and sinks in this process and returns who calls them.
func serveTraffic(t *testing.T) *Client {
	socket := filepath.Join(t.TempDir(), "load")
	served := make(chan error, 1)
	go func() { served <- Serve(socket) }()
	c, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return c
}

// A source and sinks in one process, joined as they are in two.
func TestSinksReceiveWhatASourceSends(t *testing.T) {
	c := serveTraffic(t)
	addr, err := c.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := (&url.URL{Scheme: "rtsp", Host: addr, Path: "/a/3"}).String()
	for _, prompt := range []bool{true, false} {
		if err := c.Open(t.Context(), Request{URLs: []string{at}, Prompt: prompt}); err != nil {
			t.Fatal(err)
		}
	}
	took, err := c.Glance(t.Context(), Request{URLs: []string{at}})
	if err != nil || took <= 0 || took > 20*time.Second {
		t.Errorf("glance %s: %v", took, err)
	}
	r, err := c.Read(t.Context(), Reading{})
	if err != nil || r.Readers != 2 || r.Pictures == 0 || !r.Whole() || len(r.Delays) == 0 || r.Ended != "" {
		t.Errorf("received %+v, %d delays: %v", r.Totals, len(r.Delays), err)
	}
	sights, err := c.CloseReaders(t.Context())
	if err != nil || len(sights) != 2 {
		t.Errorf("sights %+v: %v", sights, err)
	}
	if sent, err := c.Sent(t.Context()); err != nil || sent.Packets < r.Packets/3 {
		t.Errorf("sent %+v: %v", sent, err)
	}
}
