package ps

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/media"
)

// expect unpacks what was sent and compares.
func (r *rig) expect(t *testing.T, u media.Unit, want ...sample) {
	t.Helper()
	got, err := r.receive(u)
	if err != nil && len(want) > 0 {
		t.Fatalf("unpack: %v", err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Fatalf("access units differ (-want +got):\n%s", diff)
	}
}

var at90000 = media.Unit{PTS: 90000, DTS: 90000}

// key has the tracks announced, so that what a test is about is not left out.
func (r *rig) key(t *testing.T, s sample) {
	t.Helper()
	r.send(r.mux(t, s), 1400, nil)
	r.expect(t, at90000, s)
}

func TestPackReadsBackWhateverItsSize(t *testing.T) {
	for _, n := range []int{2, 3, 100, 1399, 1400, 1401, 64_900, 64_950, 65_000, 65_001, 130_000, 3 << 20} {
		for name, tc := range map[string]struct {
			track media.Track
			unit  sample
		}{
			"H.264": {track264, key264(n)},
			"H.265": {track265, key265(n)},
		} {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				r := newRigOf(8<<20, tc.track)
				r.key(t, tc.unit)
				if diff := cmp.Diff([]media.Track{tc.track}, r.tracks); diff != "" || r.told != 1 {
					t.Errorf("told %d times, tracks differ (-want +got):\n%s", r.told, diff)
				}
			})
		}
	}
	for _, track := range []media.Track{trackALaw, trackULaw, trackAAC} {
		for _, n := range []int{1, 160, 320, 1400, 8184} {
			t.Run(fmt.Sprintf("%s %d", track.Codec, n), func(t *testing.T) {
				r := newRig(track264, track)
				r.key(t, key264(100))
				r.key(t, audio(track.Codec, n))
				if diff := cmp.Diff([]media.Track{track264, track}, r.tracks); diff != "" {
					t.Errorf("tracks differ (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The pack is cut at every place there is, and into pieces of every size.
func TestPacketBoundariesDoNotMatter(t *testing.T) {
	units := []sample{key264(30), delta264(20), audio(media.AAC, 25)}
	for i, s := range units {
		r := newRig(track264, trackAAC)
		r.key(t, units[0])
		pack := r.mux(t, s)
		for size := 1; size <= len(pack); size++ {
			r.send(pack, size, nil)
			r.expect(t, media.Unit{PTS: s.PTS, DTS: s.DTS}, s)
			r.send(pack, len(pack), nil)
			g := r.x.in[0].Range // one cut, at size
			r.x.in = []piece{{Range: media.Range{Off: g.Off, Len: uint32(size)}}, {Range: media.Range{Off: g.Off + uint64(size), Len: g.Len - uint32(size)}}}
			r.expect(t, media.Unit{PTS: s.PTS, DTS: s.DTS}, s)
		}
		if r.told > 2 {
			t.Errorf("unit %d: tracks told %d times", i, r.told)
		}
	}
}

func TestTimesFollowTheUnitAcrossTheWrap(t *testing.T) {
	const wrap = 1 << 33
	for name, tc := range map[string]struct {
		video, sound stamp          // on the wire
		unit         media.Unit     // what RTP told
		want         [3]media.Ticks // PTS and DTS of the picture, time of the sound
	}{
		"plain":                 {stamp{pts: 1000, dts: 1000}, stamp{pts: 1500}, media.Unit{PTS: 7, DTS: 7}, [3]media.Ticks{7, 7, 507}},
		"reordered":             {stamp{pts: 8200, dts: 1000}, stamp{pts: 1000}, media.Unit{PTS: 10000, DTS: 9000}, [3]media.Ticks{10000, 2800, 2800}},
		"sound behind the wrap": {stamp{pts: wrap - 90, dts: wrap - 90}, stamp{pts: 10}, media.Unit{PTS: wrap * 3, DTS: wrap * 3}, [3]media.Ticks{wrap * 3, wrap * 3, wrap*3 + 100}},
		"picture behind it":     {stamp{pts: 10, dts: wrap - 90}, stamp{pts: wrap - 50}, media.Unit{PTS: 500}, [3]media.Ticks{500, 400, 440}},
		"sound with own clock":  {stamp{pts: 1000, dts: 1000}, stamp{pts: 1000 + 11*90000}, media.Unit{PTS: 7, DTS: 7}, [3]media.Ticks{7, 7, 7}},
		"decoded after shown":   {stamp{pts: 1000, dts: 2000}, stamp{pts: 1000}, media.Unit{PTS: 7}, [3]media.Ticks{7, 7, 7}},
		"decoding not stated":   {stamp{pts: 1000, dts: 1000}, stamp{pts: 1000}, media.Unit{PTS: 9, DTS: 4}, [3]media.Ticks{9, 4, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(track264, trackALaw)
			k, a := key264(50), audio(media.G711A, 80)
			k.PTS, k.DTS = media.Ticks(tc.video.pts), media.Ticks(tc.video.dts)
			a.PTS, a.DTS = media.Ticks(tc.sound.pts), media.Ticks(tc.sound.pts)
			r.send(append(r.mux(t, k), r.mux(t, a)...), 100, nil)
			k.PTS, k.DTS, a.PTS, a.DTS = tc.want[0], tc.want[1], tc.want[2], tc.want[2]
			r.expect(t, tc.unit, k, a)
		})
	}
}

// packet makes a PES packet; without a length if open, without a stamp if pts is negative.
func packet(id byte, pts int64, open bool, payload ...byte) []byte {
	b := []byte{0, 0, 1, id, 0, 0, 0x80, 0, 0}
	if pts >= 0 {
		b[7], b[8] = 0x80, 5
		b = appendStamp(b, 2, uint64(pts))
	}
	b = append(b, payload...)
	if !open {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-6))
	}
	return b
}

func join(parts ...[]byte) (out []byte) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// annexB makes an elementary stream of nals.
func annexB(nals ...[]byte) (out []byte) {
	for _, n := range nals {
		out = join(out, startCode, n)
	}
	return out
}

var (
	packHeader = appendPack(nil, 90000)
	mapOf      = func(lines ...mapping) []byte { return appendMap(nil, lines, 0) }
	map264     = mapOf(mapping{0xE0, typeH264}, mapping{0xC0, typeG711A})
	idr264     = nal("6588", 60)
	slice264   = nal("419a", 60)
	key        = annexB(sps264, pps264, idr264)
	alaw       = noise(3, 160)
)

// aacFrames are AAC frames with ADTS headers, and the bare frames.
func aacFrames(sizes ...int) (stream []byte, frames [][]byte) {
	c := aacConfig{object: 2, rate: 4, channels: 1}
	for i, n := range sizes {
		f := noise(uint64(i), n)
		stream, frames = join(c.appendADTS(stream, n), f), append(frames, f)
	}
	return stream, frames
}

func broken(b []byte, at int) []byte {
	b = join(b)
	b[at] ^= 0x40
	return b
}

func TestWhatDevicesSend(t *testing.T) {
	video := func(f media.UnitFlags, at media.Ticks, nals ...[]byte) sample {
		return sample{Codec: media.H264, Flags: f, PTS: at, DTS: at, NALs: nals}
	}
	sound := func(c media.Codec, at media.Ticks, b []byte) sample {
		return sample{Track: 1, Codec: c, PTS: at, DTS: at, Payload: b}
	}
	keyAt := func(at media.Ticks) sample { return video(media.UnitKey, at, sps264, pps264, idr264) }
	adts, aac := aacFrames(100, 1, 50)
	mapAAC := mapOf(mapping{0xE0, typeH264}, mapping{0xC0, typeAAC})
	mapULaw := mapOf(mapping{0xE0, typeH264}, mapping{0xC0, typeG711U})
	k := packet(0xE0, 90000, false, key...)
	p := join(startCode, slice264)
	type deviceCase struct {
		in   []byte
		want []sample
	}
	wrongMap := func(m []byte) deviceCase { // it says µ-law; without it, it is A-law
		return deviceCase{join(packHeader, m, k, packet(0xC0, 90000, false, alaw...)), []sample{keyAt(90000), sound(media.G711A, 90000, alaw)}}
	}
	for name, tc := range map[string]deviceCase{
		"length not stated": {join(packHeader, map264, packet(0xE0, 90000, true, key...), packet(0xC0, 90000, true, alaw...), packet(0xBD, -1, false, 1, 2, 3)),
			[]sample{keyAt(90000), sound(media.G711A, 90000, alaw)}},
		"length not stated to the end": {join(packHeader, map264, packet(0xE0, 90000, true, key...)), []sample{keyAt(90000)}},
		"no map":                       {join(packHeader, k, packet(0xC0, 90000, false, alaw...)), []sample{keyAt(90000), sound(media.G711A, 90000, alaw)}},
		"map with wrong checksum":      wrongMap(broken(mapULaw, len(mapULaw)-1)),
		"map with wrong length":        wrongMap(broken(mapULaw, 5)),
		"map with impossible length":   wrongMap(broken(mapULaw, 4)),
		"map with wrong info length":   wrongMap(rechecked([]byte{0, 0, 1, idMap, 0, 0}, 0xE1, 0xFF, 0, 1, 0, 8, typeH264, 0xE0, 0, 0, typeG711U, 0xC0, 0, 0)),
		"map with wrong line count":    wrongMap(rechecked([]byte{0, 0, 1, idMap, 0, 0}, 0xE1, 0xFF, 0, 0, 0, 4, typeH264, 0xE0, 0, 0, typeG711U, 0xC0, 0, 0)),
		"map not yet in force":         wrongMap(rechecked([]byte{0, 0, 1, idMap, 0, 0}, 0x61, 0xFF, 0, 0, 0, 8, typeH264, 0xE0, 0, 0, typeG711U, 0xC0, 0, 0)),
		"map with lines cut short":     wrongMap(rechecked([]byte{0, 0, 1, idMap, 0, 0}, 0xE1, 0xFF, 0, 0, 0, 7, typeG711U, 0xC0, 0, 0, 1, 2, 3)),
		"map with line info too long":  wrongMap(rechecked([]byte{0, 0, 1, idMap, 0, 0}, 0xE1, 0xFF, 0, 0, 0, 4, typeG711U, 0xC0, 0, 9)),
		"map but no key picture yet":   {join(packHeader, map264, packet(0xE0, 90000, false, p...), packet(0xC0, 90000, false, alaw...)), nil},
		"map with descriptors": {join(packHeader, rechecked([]byte{0, 0, 1, idMap, 0, 0}, 0xE1, 0xFF, 0, 3, 9, 1, 1, 0, 11, typeH264, 0xE0, 0, 3, 1, 2, 3, typeG711U, 0xC0, 0, 0),
			k, packet(0xC0, 90000, false, alaw...)), []sample{keyAt(90000), sound(media.G711U, 90000, alaw)}},
		"stream type 0":          {join(packHeader, mapOf(mapping{0xE0, 0}), k), []sample{keyAt(90000)}},
		"unknown stream type":    {join(packHeader, mapOf(mapping{0xE0, 0xAB}), k), []sample{keyAt(90000)}},
		"map says the other one": {join(packHeader, mapOf(mapping{0xE0, typeH265}), k), []sample{keyAt(90000)}},
		"audio we cannot carry":  {join(packHeader, mapOf(mapping{0xE0, typeH264}, mapping{0xC0, 0x99}), k, packet(0xC0, 90000, false, alaw...)), []sample{keyAt(90000)}},
		"private streams":        {join(packHeader, map264, packet(0xBD, 1, false, 0, 0, 1, 0xE0, 9), k, packet(0xBF, -1, false, 9, 9), packet(0xBE, -1, false, 0xFF, 0xFF)), []sample{keyAt(90000)}},
		"no stamp":               {join(packHeader, map264, packet(0xE0, -1, false, key...)), []sample{keyAt(90000)}},
		"NAL unit over packets": {join(packHeader, map264, packet(0xE0, 90000, false, key[:70]...), packet(0xE0, -1, false, key[70:80]...), packet(0xC0, 90000, false, alaw...), packet(0xE0, 90000, false, key[80:]...)),
			[]sample{keyAt(90000), sound(media.G711A, 90000, alaw)}},
		"start code over packets": {join(packHeader, map264, packet(0xE0, 90000, false, key[:2]...), packet(0xE0, -1, false, key[2:33]...), packet(0xE0, -1, false, key[33:]...)), []sample{keyAt(90000)}},
		"three-byte start codes":  {join(packHeader, map264, packet(0xE0, 90000, false, join(startCode[1:], sps264, startCode[1:], pps264, startCode[1:], idr264)...)), []sample{keyAt(90000)}},
		"trailing zeros":          {join(packHeader, map264, packet(0xE0, 90000, false, join(key, make([]byte, 5))...)), []sample{keyAt(90000)}},
		"two pictures": {join(packHeader, map264, k, packet(0xE0, 93600, false, p...)),
			[]sample{keyAt(90000), video(0, 93600, slice264)}},
		"two packs": {join(packHeader, map264, k, packHeader, packet(0xE0, 93600, true, p...)),
			[]sample{keyAt(90000), video(0, 93600, slice264)}},
		"slices in packets of one time": {join(packHeader, map264, k, packet(0xE0, 90000, false, p...)),
			[]sample{video(media.UnitKey, 90000, sps264, pps264, idr264, slice264)}},
		"sound before the picture": {join(packHeader, map264, packet(0xC0, 89000, false, alaw...), k), []sample{keyAt(90000), sound(media.G711A, 89000, alaw)}},
		"two runs of sound": {join(packHeader, map264, k, packet(0xC0, 90000, false, alaw...), packet(0xC0, -1, false, 1, 2), packet(0xC0, 91800, false, 3)),
			[]sample{keyAt(90000), sound(media.G711A, 90000, join(alaw, []byte{1, 2})), sound(media.G711A, 91800, []byte{3})}},
		"AAC frames in one packet": {join(packHeader, mapAAC, k, packet(0xC0, 90000, false, adts...)),
			[]sample{keyAt(90000), sound(media.AAC, 90000, aac[0]), sound(media.AAC, 92089, aac[1]), sound(media.AAC, 94178, aac[2])}},
		"AAC frames over packets": {join(packHeader, mapAAC, k, packet(0xC0, 90000, false, adts[:3]...), packet(0xC0, -1, false, adts[3:110]...), packet(0xC0, 99000, false, adts[110:]...)),
			[]sample{keyAt(90000), sound(media.AAC, 90000, aac[0]), sound(media.AAC, 92089, aac[1]), sound(media.AAC, 99000, aac[2])}},
		"AAC without a map": {join(packHeader, k, packet(0xC0, 90000, false, adts...)),
			[]sample{keyAt(90000), sound(media.AAC, 90000, aac[0]), sound(media.AAC, 92089, aac[1]), sound(media.AAC, 94178, aac[2])}},
		"AAC with checksums": {join(packHeader, mapAAC, k, packet(0xC0, 90000, false, join(unhex("fff05040017ffc1234"), []byte{1, 2})...)),
			[]sample{keyAt(90000), sound(media.AAC, 90000, []byte{1, 2})}},
		"lengths of refused streams not stated": {join(packHeader, mapOf(mapping{0xE0, typeH264}, mapping{0xC0, 0x99}), k, packet(0xC0, 90000, true, alaw...), packet(0xE0, 90000, false, p...)),
			[]sample{video(media.UnitKey, 90000, sps264, pps264, idr264, slice264)}},
		"parameter set too long to be one": {join(packHeader, map264, packet(0xE0, 90000, false, annexB(sps264, pps264, nal("68eb", maxParameter+1), idr264)...)),
			[]sample{video(media.UnitKey, 90000, sps264, pps264, nal("68eb", maxParameter+1), idr264)}},
		"sequence parameter set that cannot be read": {join(packHeader, map264, k, packet(0xE0, 90000, false, annexB([]byte{0x67, 0xFF})...)),
			[]sample{video(media.UnitKey, 90000, sps264, pps264, idr264, []byte{0x67, 0xFF})}},
		"MPEG-1 with both stamps": {join(unhex("000001ba2100010001801b91"), []byte{0, 0, 1, 0xE0, 0, byte(len(key) + 10)}, appendStamp(nil, 3, 90000), appendStamp(nil, 1, 86400), key),
			[]sample{{Codec: media.H264, Flags: media.UnitKey, PTS: 90000, DTS: 86400, NALs: [][]byte{sps264, pps264, idr264}}}},
		"MPEG-1 headers": {join(unhex("000001ba2100010001801b91"), []byte{0, 0, 1, 0xE0, 0, byte(len(key) + 9)}, unhex("ffff6005"), appendStamp(nil, 2, 90000), key),
			[]sample{keyAt(90000)}},
		"MPEG-1 without stamp": {join(unhex("000001ba2100010001801b91"), []byte{0, 0, 1, 0xE0, 0, byte(len(key) + 1), 0x0F}, key), []sample{keyAt(90000)}},
		"stuffing":             {join(packHeader[:13], []byte{0xFB, 0xFF, 0xFF, 0xFF}, map264, k, make([]byte, 9)), []sample{keyAt(90000)}},
		"end code":             {join(packHeader, map264, k, []byte{0, 0, 1, 0xB9}), []sample{keyAt(90000)}},
		"slices alone":         {join(packHeader, packet(0xE0, 90000, false, p...)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size < len(tc.in)+50; size += 1 + size/7 {
				r := newRig()
				r.send(tc.in, size, nil)
				r.expect(t, at90000, tc.want...)
			}
		})
	}
}

// rechecked makes a map of head and body with true length and checksum.
func rechecked(head []byte, body ...byte) []byte {
	b := join(head, body)
	b[5] = byte(len(b) - 6 + 4)
	return binary.BigEndian.AppendUint32(b, crc(crcStart, b))
}

func TestLastGoodMapStands(t *testing.T) {
	good := mapOf(mapping{0xE0, typeH264}, mapping{0xC0, typeG711U})
	r := newRig()
	for _, m := range [][]byte{good, broken(map264, 18), nil, broken(map264, 5)} {
		r.send(join(packHeader, m, packet(0xE0, 90000, false, key...), packet(0xC0, 90000, false, alaw...)), 1400, nil)
		r.expect(t, at90000, sample{Codec: media.H264, Flags: media.UnitKey, PTS: 90000, DTS: 90000, NALs: [][]byte{sps264, pps264, idr264}},
			sample{Track: 1, Codec: media.G711U, PTS: 90000, DTS: 90000, Payload: alaw})
	}
}

// stating makes the PES packet b state delta bytes more than it has.
func stating(delta int, b []byte) []byte {
	b = join(b)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-6+delta))
	return b
}

func TestDamageIsFlaggedAndTheRestDelivered(t *testing.T) {
	video := func(nals ...[]byte) sample {
		return sample{Codec: media.H264, Flags: media.UnitDamaged, PTS: 90000, DTS: 90000, NALs: nals}
	}
	sound := func(f media.UnitFlags, b []byte) sample {
		return sample{Track: 1, Codec: media.G711A, Flags: f, PTS: 90000, DTS: 90000, Payload: b}
	}
	p := join(startCode, slice264)
	two := join(p, startCode, nal("4101", 40))
	whole := packet(0xC0, 90000, false, alaw...)
	for name, tc := range map[string]struct {
		in   []byte
		unit media.Unit
		want []sample
	}{
		"packet says more than there is":         {packet(0xE0, 90000, false, two...)[:len(two)], at90000, []sample{video(slice264)}},
		"packet says too much":                   {join(stating(20, packet(0xE0, 90000, false, two...)), whole), at90000, []sample{video(slice264, nal("4101", 40)), sound(0, alaw)}},
		"packet says too little":                 {join(stating(-20, packet(0xE0, 90000, false, two...)), whole), at90000, []sample{video(slice264, nal("4101", 40)[:20]), sound(0, alaw)}},
		"bytes before the pack":                  {join([]byte{7}, packHeader, packet(0xE0, 90000, false, two...)), at90000, []sample{video(slice264, nal("4101", 40))}},
		"bytes behind the pack":                  {join(packet(0xE0, 90000, false, two...), []byte{7}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"bytes behind what follows a broken map": {join(broken(map264, 18), packet(0xE0, 90000, false, two...), []byte{7}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"rest of a picture":                      {join(packHeader, packet(0xE0, 90000, false, two[30:]...)), at90000, []sample{video(nal("4101", 40))}},
		"header longer than its packet":          {join([]byte{0, 0, 1, 0xE0, 0, 9, 0x80, 0, 20}, packet(0xE0, 90000, false, two...)), at90000, []sample{video(slice264, nal("4101", 40))}},
		"neither MPEG-2 nor MPEG-1":              {join([]byte{0, 0, 1, 0xBA, 0xFF, 0xFF}, packet(0xE0, 90000, false, two...)), at90000, []sample{video(slice264, nal("4101", 40))}},
		"the core knows":                         {packet(0xE0, 90000, false, two...), media.Unit{PTS: 90000, DTS: 90000, Flags: media.UnitDamaged}, []sample{video(slice264, nal("4101", 40))}},
		"sound cut short":                        {join(packet(0xE0, 90000, false, two...), whole[:len(whole)-20]), at90000, []sample{video(slice264, nal("4101", 40)), sound(media.UnitDamaged, alaw[:140])}},
		"structure cut short":                    {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xBB, 0}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"private stream cut short":               {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xBD, 0, 9, 1}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"map cut short":                          {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xBC, 0}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"header cut short":                       {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xE0, 0, 90, 0x80, 0, 9, 1}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"stamp cut short":                        {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xE0, 0, 90, 0x80, 0x80, 5, 0x21}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"length cut short":                       {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xE0, 0}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"stamp its header has no room for":       {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xE0, 0, 6, 0x80, 0x80, 3, 1, 2, 3}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"MPEG-1 header of nothing":               {join(packet(0xE0, 90000, false, two...), []byte{0, 0, 1, 0xE0, 0, 3, 0xFF, 0xFF, 0xFF}), at90000, []sample{video(slice264, nal("4101", 40))}},
		"nothing whole":                          {packet(0xE0, 90000, false, p...)[:40], at90000, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for size := 1; size < len(tc.in)+50; size += 1 + size/7 {
				r := newRig()
				r.send(join(packHeader, map264, packet(0xE0, 90000, false, key...)), 1400, nil)
				r.receive(at90000)
				r.send(tc.in, size, nil)
				got, err := r.receive(tc.unit)
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Fatalf("in packets of %d (-want +got):\n%s", size, diff)
				}
				var syntax *media.SyntaxError
				if errors.As(err, &syntax) != (tc.want == nil) {
					t.Fatalf("error %v", err)
				}
			}
		})
	}
}

// Whatever packet is lost, nothing is delivered that was not sent, and no
// picture is passed for whole that is not.
func TestEachLostPacketIsNoticed(t *testing.T) {
	whole := key264(900)
	tail := audio(media.G711A, 160)
	for _, size := range []int{10, 53, 100, 400} {
		r := newRig(track264, trackALaw)
		r.key(t, whole)
		stream := join(r.mux(t, whole), r.mux(t, tail))
		last := (len(stream) - 1) / size
		for lost := range last + 1 {
			r.send(stream, size, func(i int) bool { return i == lost })
			got, err := r.receive(at90000)
			if err != nil {
				continue // nothing usable
			}
			for _, s := range got {
				if s.Codec.Video() && s.Flags&media.UnitDamaged == 0 {
					t.Errorf("packets of %d, %d of %d lost: picture passed for whole", size, lost, last)
				}
				for _, n := range s.NALs {
					if !contains(whole.NALs, n) {
						t.Errorf("packets of %d, %d of %d lost: NAL unit of %d bytes was not sent", size, lost, last, len(n))
					}
				}
				if !s.Codec.Video() && s.Flags == 0 && !bytes.Equal(s.Payload, tail.Payload) {
					t.Errorf("packets of %d, %d of %d lost: sound passed for whole", size, lost, last)
				}
			}
		}
	}
}

func contains(nals [][]byte, n []byte) bool {
	for _, x := range nals {
		if bytes.Equal(x, n) {
			return true
		}
	}
	return false
}

func TestSlicesBehindALossAreDelivered(t *testing.T) {
	r := newRig(track264)
	r.key(t, key264(50))
	s := delta264(500)
	s.NALs = append(s.NALs, nal("4155", 500))
	r.send(r.mux(t, s), 100, func(i int) bool { return i == 6 }) // in the second slice
	r.expect(t, media.Unit{PTS: 97200}, sample{Codec: media.H264, Flags: media.UnitDamaged, PTS: 97200, DTS: 93600, NALs: [][]byte{s.NALs[0], s.NALs[2]}})
}

func TestLostAACFramesAreFlagged(t *testing.T) {
	r := newRig(track264, trackAAC)
	r.key(t, key264(50))
	adts, frames := aacFrames(100, 100, 100)
	unit := join(packet(0xC0, 90000, false, adts...), packet(0xC0, 99000, false, adts...))
	r.send(unit, 60, func(i int) bool { return i == 3 }) // in the second frame of the first packet
	frame := func(f media.UnitFlags, at media.Ticks, b []byte) sample {
		return sample{Track: 1, Codec: media.AAC, Flags: f, PTS: at, DTS: at, Payload: b}
	}
	r.expect(t, at90000, frame(media.UnitDamaged, 90000, frames[0]),
		frame(media.UnitDamaged, 99000, frames[0]), frame(0, 101089, frames[1]), frame(0, 103178, frames[2]))
}

func TestTracksAreToldOnceAndWhenTheyChange(t *testing.T) {
	r := newRig(track264, trackALaw)
	p := delta264(50)
	r.send(r.mux(t, p), 1400, nil)
	r.expect(t, at90000) // no parameter sets yet
	r.send(r.mux(t, audio(media.G711A, 160)), 1400, nil)
	r.expect(t, at90000) // sound alone: there may be video
	r.key(t, key264(50))
	r.key(t, key264(60))
	r.key(t, audio(media.G711A, 160))
	if diff := cmp.Diff([]media.Track{track264, trackALaw}, r.tracks); diff != "" || r.told != 1 {
		t.Fatalf("told %d times, tracks differ (-want +got):\n%s", r.told, diff)
	}
	had := r.tracks

	changed := key264(50) // another picture parameter set
	changed.NALs[2] = unhex("68eae3cb22c0")
	r.key(t, changed)
	want := track264
	want.Parameters = [][]byte{sps264, changed.NALs[2]}
	if diff := cmp.Diff([]media.Track{want, trackALaw}, r.tracks); diff != "" || r.told != 2 {
		t.Errorf("told %d times, tracks differ (-want +got):\n%s", r.told, diff)
	}
	if diff := cmp.Diff([]media.Track{track264, trackALaw}, had); diff != "" {
		t.Errorf("the old tracks were written (-want +got):\n%s", diff)
	}

	r.muxer.SetTracks([]media.Track{track265, trackULaw}) // another coding
	r.key(t, key265(50))
	r.key(t, audio(media.G711U, 160))
	if diff := cmp.Diff([]media.Track{track265, trackULaw}, r.tracks); diff != "" || r.told != 3 {
		t.Errorf("told %d times, tracks differ (-want +got):\n%s", r.told, diff)
	}
}

func TestParameterSetsMayComeOneByOne(t *testing.T) {
	r := newRig()
	r.send(join(packHeader, packet(0xE0, 90000, false, annexB(sps264)...)), 1400, nil)
	r.expect(t, at90000) // not a track yet
	r.send(join(packHeader, packet(0xE0, 90000, false, annexB(pps264)...)), 1400, nil)
	r.expect(t, at90000, sample{Codec: media.H264, PTS: 90000, DTS: 90000, NALs: [][]byte{pps264}})
	if diff := cmp.Diff([]media.Track{track264}, r.tracks); diff != "" {
		t.Errorf("tracks differ (-want +got):\n%s", diff)
	}
}

func TestCodingIsNotGuessedFromSlices(t *testing.T) {
	for head, want := range map[string]media.Codec{
		"6764": media.H264, "2764": media.H264, "4701": media.H264,
		"4001": media.H265, "4201": media.H265,
		"4101": 0, "419a": 0, "0201": 0, "2601": 0, "2801": 0, "4401": 0, "6588": 0, "68eb": 0, "4002": 0, "40": 0, "": 0,
	} {
		if got := sniff(unhex(head)); got != want {
			t.Errorf("sniff(%s) = %v, want %v", head, got, want)
		}
	}
}

func TestSoundAloneIsTakenForSuchAfterAWhile(t *testing.T) {
	pack := join(packHeader, packet(0xC0, 90000, false, alaw...))
	want := sample{Codec: media.G711A, PTS: 90000, DTS: 90000, Payload: alaw}
	r := newRig()
	for range patience - 1 {
		r.send(pack, 1400, nil)
		r.expect(t, at90000)
	}
	r.send(pack, 1400, nil)
	r.expect(t, at90000, want)

	r = newRig(trackALaw) // with a map there is nothing to wait for
	want.Payload = noise(1, 50)
	r.key(t, want)
}

func TestUnitsCannotGrowBeyondBounds(t *testing.T) {
	var many []byte
	for range maxNALs + 500 {
		many = append(many, 0, 0, 1, 0x41, 0x9A)
	}
	var frames []byte
	for range maxUnits + 500 {
		frames = aacConfig{2, 4, 1}.appendADTS(frames, 1)
		frames = append(frames, 0x21)
	}
	r := newRig()
	r.send(join(packHeader, mapOf(mapping{0xE0, typeH264}, mapping{0xC0, typeAAC}), packet(0xE0, 90000, false, key...),
		packet(0xE0, -1, false, many...), packet(0xC0, 90000, false, frames...)), 1400, nil)
	got, err := r.receive(at90000)
	if err != nil || len(got) != maxUnits || len(got[0].NALs) != maxNALs || got[0].Flags != media.UnitKey|media.UnitDamaged {
		t.Errorf("%d access units, error %v", len(got), err)
	}
}

func TestDiscontinuityIsPassedOnOncePerTrack(t *testing.T) {
	r := newRig()
	r.send(join(packHeader, map264, packet(0xE0, 90000, false, key...), packet(0xE0, 93600, false, annexB(slice264)...),
		packet(0xC0, 90000, false, alaw...), packet(0xC0, 91800, false, alaw...)), 1400, nil)
	got, _ := r.receive(media.Unit{PTS: 5, Flags: media.UnitDiscontinuity | media.UnitKey})
	var flags []media.UnitFlags
	for _, s := range got {
		flags = append(flags, s.Flags)
	}
	if diff := cmp.Diff([]media.UnitFlags{media.UnitKey | media.UnitDiscontinuity, 0, media.UnitDiscontinuity, 0}, flags); diff != "" {
		t.Errorf("flags differ (-want +got):\n%s", diff)
	}
}
