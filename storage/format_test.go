package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
	"districtgateway/media/mediatest"
)

// rowCases are rows at the bounds of what they can say; they seed FuzzRow too.
var rowCases = map[string]Segment{
	"empty": {Channel: "a"},
	"usual": {
		Channel: "33010200001320000001", Start: 1795353697000000000, End: 1795353757000000000, Duration: 5400000,
		Bytes: 30 << 20, CRC: 0xdeadbeef, Frames: 1500, Keys: 30, Kind: KindScheduled, Cause: CauseNone,
		Codecs: [4]media.Codec{media.H265, media.G711A},
	},
	"after holes": {
		Channel: "a", Start: 100, End: 200, Kind: KindManual, Cause: CauseClock, Flags: SegmentOpen | SegmentDamaged,
		Before: []Gap{{10, 20, CauseEncoder}, {20, 90, CauseDisk}},
	},
	"large": {Channel: "z", Start: math.MaxInt64 - 1, End: math.MaxInt64, Duration: math.MaxInt64, Bytes: math.MaxInt64, Frames: math.MaxUint32, Keys: math.MaxUint32},
}

func TestRowIsReadAsWritten(t *testing.T) {
	for name, s := range rowCases {
		got, err := parseRow(s.Channel, rowKey(s.Start), appendRow(nil, &s))
		if d := cmp.Diff(s, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
}

func TestDamagedRowIsRefused(t *testing.T) {
	s := rowCases["after holes"]
	row := appendRow(nil, &s)
	for i := range row {
		for bit := range 8 {
			bad := bytes.Clone(row)
			bad[i] ^= 1 << bit
			if _, err := parseRow("a", rowKey(s.Start), bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
	if _, err := parseRow("a", rowKey(s.Start+1), row); !errors.Is(err, ErrCorrupt) {
		t.Errorf("under another key: %v", err)
	}
}

func FuzzRow(f *testing.F) {
	for _, s := range rowCases {
		f.Add(rowKey(s.Start), appendRow(nil, &s))
	}
	f.Fuzz(func(t *testing.T, key, row []byte) {
		s, err := parseRow("a", key, row)
		if err != nil {
			return
		}
		again, err := parseRow("a", key, appendRow(nil, &s))
		if d := cmp.Diff(s, again); d != "" || err != nil {
			t.Errorf("%v %s", err, d)
		}
	})
}

// testSegment makes a small segment in memory, with tail.
func testSegment(t testing.TB, codec media.Codec) []byte {
	t.Helper()
	track := mediatest.VideoTrack(codec)
	track.Parameters = mediatest.Parameters(codec)
	h := &header{channel: "cam", kind: KindScheduled, start: 1e18, base: 90000, session: 7,
		tracks: []media.Track{track, {Codec: media.G711A, ClockRate: 8000, Channels: 1}}, before: []Gap{{1e17, 1e18, CauseEncoder}}}
	b, err := appendHeader(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	h.size = len(b)
	sum := &tally{size: int64(len(b)), cause: CauseStopped}
	for seq := range uint32(3) {
		at := h.base + media.Ticks(seq)*7200
		l := layout{tracks: h.tracks, base: h.base, samples: []sample{
			{dts: at, pts: at + 3600, duration: 3600, size: 9, flags: media.UnitKey},
			{dts: at, pts: at, duration: 3600, size: 4, track: 1},
			{dts: at + 3600, pts: at + 3600, duration: 3600, size: 7, flags: media.UnitDamaged},
		}}
		body := append(l.appendMoof(nil, seq), make([]byte, 20)...)
		fh := fragHead{session: 7, seq: seq, wall: h.start + int64(seq)*80e6, dts: at - h.base, duration: 7200, keys: 1, frames: 2, body: uint32(len(body))}
		pad := padding(fragHeadLen + len(body))
		fh.total = uint32(fragHeadLen + len(body) + pad)
		off := int64(len(b))
		b = appendFree(append(appendFragHead(b, &fh, body), body...), pad)
		sum.add(&fh, off)
	}
	return append(b, appendTail(nil, h, sum)...)
}

func TestSegmentIsWholeBlocks(t *testing.T) {
	b := testSegment(t, media.H264)
	if len(b)%block != 0 {
		t.Errorf("%d bytes", len(b))
	}
	var buf []byte
	c, err := scanSegment(bytes.NewReader(b), int64(len(b)), &buf)
	if err != nil || !c.finished {
		t.Fatalf("%+v, %v", c, err)
	}
	slow, err := scanFragments(bytes.NewReader(b), int64(len(b)), c.header, &buf)
	if err != nil {
		t.Fatal(err)
	}
	slow.tally.cause = CauseStopped
	if d := cmp.Diff(c.tally, slow.tally, cmp.AllowUnexported(tally{}, fragEntry{})); d != "" {
		t.Errorf("tail and fragments differ: %s", d)
	}
	if _, err := readFragment(bytes.NewReader(b), int64(c.header.size), c.header, &buf); err != nil {
		t.Fatal(err)
	}
	h, _ := parseFragHead(buf)
	samples, err := parseMoof(nil, buf[:fragHeadLen+int(h.body)], fragHeadLen, c.header.tracks)
	if err != nil || len(samples) != 3 {
		t.Fatalf("%+v, %v", samples, err)
	}
	if s := samples[0]; !s.key || s.pts-s.dts != 3600 || s.end-s.off != 9 {
		t.Errorf("first sample %+v", s)
	}
	if s := samples[2]; s.key || !s.damaged || s.dts != 3600 {
		t.Errorf("last sample %+v", s)
	}
}

// FuzzSegment scans hostile files and reads what it finds.
func FuzzSegment(f *testing.F) {
	f.Add(testSegment(f, media.H264))
	f.Add(testSegment(f, media.H265)[:20000])
	f.Add(make([]byte, 2*block))
	f.Fuzz(func(t *testing.T, b []byte) {
		var buf []byte
		c, err := scanSegment(bytes.NewReader(b), int64(len(b)), &buf)
		if err != nil {
			return
		}
		c.row()
		for _, e := range c.tally.table {
			h, err := readFragment(bytes.NewReader(b), e.off, c.header, &buf)
			if err != nil {
				continue // a tail may lie; its reader must not die of it
			}
			if _, err := parseMoof(nil, buf[:fragHeadLen+int(h.body)], fragHeadLen, c.header.tracks); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Error(err)
			}
		}
	})
}

// FuzzMoof reads fragments whose checksum is right and whose boxes are not.
func FuzzMoof(f *testing.F) {
	b := testSegment(f, media.H264)
	f.Add(b[block+fragHeadLen : 2*block])
	tracks := []media.Track{{Codec: media.H264}, {Codec: media.G711A, ClockRate: 8000}}
	f.Fuzz(func(t *testing.T, b []byte) {
		samples, err := parseMoof(nil, b, 0, tracks)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
		for _, s := range samples {
			_ = b[s.off:s.end]
		}
	})
}

// FuzzFrame reads hostile protocol frames and their bodies.
func FuzzFrame(f *testing.F) {
	rows := []Segment{rowCases["usual"], rowCases["after holes"]}
	for _, body := range [][]byte{
		appendRows(nil, rows), (&query{channel: "a", from: 1, to: 2}).encode(), (&hello{dir: "/x"}).encode(),
		(&expiry{bytes: 5, cutoffs: map[string]int64{"a": 1}}).encode(), (&indexStats{channels: []string{"a"}}).encode(), (&checkReport{bad: rows}).encode(),
	} {
		var b bytes.Buffer
		if err := writeFrame(&b, frame{3, uint8(opQuery), body}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		_, _ = decodeRows(&decoder{b: fr.body})
		_, _ = decodeQuery(fr.body)
		_, _ = decodeHello(fr.body)
		_, _ = decodeExpiry(fr.body)
		_, _ = decodeStats(fr.body, []string{"a"})
		_, _ = decodeCheck(fr.body)
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add([]byte(`{"format":1,"volume":"01234567-89ab-4def-8123-456789abcdef","created":"2026-11-22T00:00:00Z","owner":"a"}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := parseIdentity(b)
		if err == nil && id.Format != formatVersion {
			t.Errorf("%+v", id)
		}
	})
}

func TestFrameTooLongIsRefused(t *testing.T) {
	_, err := readFrame(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1}))
	if !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if _, err := readFrame(bytes.NewReader([]byte{0, 0, 0, 9, 0, 0, 0, 0, 1, 2})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestSegmentNamesAreRead(t *testing.T) {
	for _, ns := range []int64{0, 1, 1795353697123456789, 1<<62 + 1} {
		path := segmentPath("cam", ns)
		got, ok := parseSegmentName(path[len(path)-len("20060102T150405.000000000Z.mp4"):])
		if !ok || got != ns {
			t.Errorf("%s: %d, %v, want %d", path, got, ok, ns)
		}
	}
	for _, name := range []string{"", "x.mp4", "20261122T150405.000000000Z", "20261322T150405.000000000Z.mp4", "20261122T150405.000000000Z.mp4.tmp"} {
		if _, ok := parseSegmentName(name); ok {
			t.Errorf("%q was taken for a segment", name)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", "../x", "ä", "a b", string(make([]byte, 65))} {
		if checkChannel(name) == nil {
			t.Errorf("channel %q was accepted", name)
		}
	}
}

// TestRecorderAllocatesNothingPerPacket counts the allocations of a minute.
func TestRecorderAllocatesNothingPerPacket(t *testing.T) {
	r := newRig(t)
	f := r.feed(RecorderConfig{Channel: "cam"}, noon(), videoTrack(media.H264))
	f.run(500, 50)
	f.drain()
	track := uint8(0)
	ring := f.stream.Ring()
	au := media.AccessUnit{Track: track, Codec: media.H264, NALs: []media.NAL{{}}}
	ranges := make([]media.Range, 12)
	perUnit := testing.AllocsPerRun(250, func() {
		for i := range ranges {
			ring.Reserve(1200)
			ranges[i] = ring.Commit(1200)
		}
		au.NALs[0] = media.NAL{Type: 1, Size: 12 * 1200, Body: ranges}
		au.DTS, au.PTS = f.dts, f.dts
		u := media.Unit{Wall: f.now.UnixNano()}
		one := au
		f.rec.take(&u, &one, f.now)
		f.tick(3600)
		for len(f.rec.free) < 3 {
			time.Sleep(time.Millisecond)
		}
	})
	// Everything counts: the disk goroutine, the index rows, this test's waiting.
	if perPacket := perUnit / 12; perPacket > 0.05 {
		t.Errorf("%.3f allocations a packet", perPacket)
	} else {
		t.Logf("%.4f allocations a packet", perPacket)
	}
}

func TestWordsAreSummedAsTheLibraryDoes(t *testing.T) {
	for _, crc := range []uint32{0, 1, 0x80000000, 0xdeadbeef} {
		for _, w := range []uint32{0, 1, 0x01020304, 0xffffffff} {
			want := crc32.Update(crc, castagnoli, binary.BigEndian.AppendUint32(nil, w))
			if got := sumWord(crc, w); got != want {
				t.Errorf("%08x and %08x: %08x, want %08x", crc, w, got, want)
			}
		}
	}
}
