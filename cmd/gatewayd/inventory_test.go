package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
	"districtgateway/storage"
)

const self = domain.Code("33010600002000000001")

func channel(n string) domain.Code { return domain.Code("330106000013200000" + n) }

// stock returns an inventory of two encoders.
func stock(t *testing.T) *inventory {
	t.Helper()
	v := newInventory(self)
	for _, c := range []camera{
		{Name: "北门", Identity: "mac:00:11:22:33:44:55", Address: "http://10.0.0.5/onvif/device_service"},
		{Identity: "serial:acme/s-77", Maker: "Acme", Model: "X", Address: "10.0.0.6:8080"},
	} {
		if _, err := v.add(c); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestEncoderIsFoundAgainAtAnotherAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		identity, address string
		want              domain.Code
	}{
		"hardware address, moved":      {"mac:00:11:22:33:44:55", "http://10.9.9.9/x", channel("01")},
		"as people write it":           {"00-11-22-33-44-55", "", channel("01")},
		"serial":                       {"serial:Acme/S-77", "http://10.9.9.9/x", channel("02")},
		"stranger":                     {"mac:aa:aa:aa:aa:aa:aa", "http://10.9.9.9/x", ""},
		"stranger at a known place":    {"mac:aa:aa:aa:aa:aa:aa", "http://10.0.0.5/x", ""},
		"entered by its address":       {"", "10.0.0.5", channel("01")},
		"nothing is nobody's identity": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got domain.Code
			if c := stock(t).find(tc.identity, tc.address); c != nil {
				got = c.Code
			}
			if got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAddressFindsOnlyWhatHasNoIdentityYet(t *testing.T) {
	v := newInventory(self)
	if _, err := v.add(camera{Address: "10.0.0.7"}); err != nil {
		t.Fatal(err)
	}
	if c := v.find("mac:01:02:03:04:05:06", "http://10.0.0.7:80/onvif/device_service"); c == nil {
		t.Error("not found by the address it was entered with")
	}
}

func TestEncoderEnteredByRTSPIsNotAdoptedAgain(t *testing.T) {
	v := newInventory(self)
	if _, err := v.add(camera{RTSP: "rtsp://10.0.0.9:8554/main"}); err != nil {
		t.Fatal(err)
	}
	if !v.takenByRTSP("http://10.0.0.9:80/onvif/device_service") || v.takenByRTSP("http://10.0.0.91/onvif/device_service") {
		t.Error("hosts are not told apart")
	}
}

func TestReplacementKeepsCodeAndName(t *testing.T) {
	v := stock(t)
	given, err := v.replace(channel("01"), "s-77", at(1))
	if err != nil || given != channel("02") {
		t.Fatalf("gave up %q, %v", given, err)
	}
	c := v.find("serial:acme/s-77", "")
	if c == nil || c.Code != channel("01") || c.Name != "北门" || c.Model != "X" || len(v.cameras) != 1 {
		t.Errorf("after replacement: %+v of %d", c, len(v.cameras))
	}
	if v.find("mac:00:11:22:33:44:55", "") != nil {
		t.Error("the broken encoder still has a code")
	}
	if _, err := v.replace(channel("99"), "x", at(1)); !errors.Is(err, errNoCode) {
		t.Errorf("unknown code: %v", err)
	}
}

func TestFreeCodesFillHoles(t *testing.T) {
	v := stock(t)
	delete(v.cameras, channel("01"))
	if c, err := v.free(); c != channel("01") || err != nil {
		t.Errorf("got %s, %v", c, err)
	}
	if _, err := v.add(camera{Code: channel("02")}); !errors.Is(err, errCodeUsed) {
		t.Errorf("a code given twice: %v", err)
	}
}

// listCases also seed the fuzzer.
var listCases = map[string]struct {
	text  string
	want  []codeLine
	fault string
}{
	"columns in any order": {"\ufeffName,CODE,identity\n南门,33010600001320000077,00-11-22-33-44-55\n",
		[]codeLine{{channel("77"), "南门", "00-11-22-33-44-55", ""}}, ""},
	"no header":  {"33010600001320000077,x,y\n", nil, "want code, and identity or address"},
	"short code": {"code,address\n330106,10.0.0.1\n33010600001320000078,10.0.0.2\n", []codeLine{{channel("78"), "", "", "10.0.0.2"}}, "line 2: id \"330106\": want 20 digits"},
	"nowhere":    {"code,address\n33010600001320000077,\n", nil, "line 2: code 33010600001320000077: want identity or address"},
	"twice":      {"code,address\n33010600001320000077,a\n33010600001320000077,b\n", []codeLine{{channel("77"), "", "", "a"}}, "line 3: code 33010600001320000077 is already on line 2"},
	"ragged":     {"code,address\n1,2,3\n", nil, "wrong number of fields"},
	"empty":      {"", nil, "header line: EOF"},
}

func TestCodeListFaultsNameTheirLine(t *testing.T) {
	for name, tc := range listCases {
		t.Run(name, func(t *testing.T) {
			got, err := readCodes(strings.NewReader(tc.text))
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
			if (err != nil) != (tc.fault != "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("error %v, want %q", err, tc.fault)
			}
		})
	}
}

func TestCodeListMovesKnownEncodersAndWaitsForOthers(t *testing.T) {
	v := stock(t)
	moved, err := v.assign([]codeLine{
		{Code: channel("50"), Identity: "00:11:22:33:44:55"},
		{Code: channel("51"), Name: "new", Identity: "aa:bb:cc:dd:ee:ff"},
		{Code: channel("52"), Address: "rtsp://10.0.0.9/main"},
		{Code: channel("02"), Identity: "aa:bb:cc:dd:ee:ff"},
	}, at(1))
	if d := cmp.Diff(map[domain.Code]domain.Code{channel("01"): channel("50")}, moved); d != "" {
		t.Error(d)
	}
	if !errors.Is(err, errCodeUsed) {
		t.Errorf("a code of another encoder: %v", err)
	}
	if c := v.find("mac:00:11:22:33:44:55", ""); c == nil || c.Code != channel("50") || c.Name != "北门" {
		t.Errorf("moved: %+v", c)
	}
	if c := v.find("mac:aa:bb:cc:dd:ee:ff", ""); c == nil || c.Code != channel("51") {
		t.Errorf("waiting: %+v", c)
	}
	if c := v.cameras[channel("52")]; c == nil || c.RTSP == "" || c.Address != "" {
		t.Errorf("plain RTSP: %+v", c)
	}
}

// at is an hour of a day.
func at(hour int) time.Time { return time.Date(2026, 3, 1, hour, 0, 0, 0, time.UTC) }

// What was recorded of an encoder is found under the code it has now, and under
// that alone, however often it moved and whoever had the code before or after.
func TestFootageFollowsItsEncoder(t *testing.T) {
	const a, b = "00:11:22:33:44:55", "s-77"
	v := stock(t) // a has 01, b has 02, from the beginning
	move := func(hour int, code, identity string) {
		if _, err := v.assign([]codeLine{{Code: channel(code), Identity: identity}}, at(hour)); err != nil {
			t.Fatal(err)
		}
	}
	move(1, "50", a) // 01 is free
	move(2, "01", b) // 02 is free
	move(3, "02", a) // a leaves 50
	move(4, "50", a) // and comes back to it
	tenure := func(code string, from, until, left int) storage.Tenure {
		hour := func(n int) (t time.Time) {
			if n > 0 {
				t = at(n)
			}
			return t
		}
		return storage.Tenure{Channel: string(channel(code)), From: hour(from), Until: hour(until), Left: hour(left)}
	}
	for code, want := range map[string][]storage.Tenure{
		"50": {tenure("50", 4, 0, 0), tenure("01", 0, 2, 1), tenure("50", 0, 4, 3), tenure("02", 3, 0, 4)},
		"01": {tenure("01", 2, 0, 0), tenure("02", 0, 3, 2)},
		"77": {tenure("77", 0, 0, 0)}, // nobody's
	} {
		if d := cmp.Diff(want, v.footage(channel(code))); d != "" {
			t.Errorf("%s: %s", code, d)
		}
	}
	if d := cmp.Diff([]domain.Code{channel("01"), channel("50")}, v.holders(channel("02"))); d != "" {
		t.Error(d)
	}
	if c, err := v.free(); c != channel("03") || err != nil {
		t.Errorf("free is %s, which others have footage under (%v)", c, err)
	}
}

// An encoder that takes the place of another brings what was recorded of it.
func TestReplacementBringsItsFootage(t *testing.T) {
	v := stock(t)
	if _, err := v.replace(channel("01"), "s-77", at(5)); err != nil {
		t.Fatal(err)
	}
	want := []storage.Tenure{{Channel: string(channel("01"))}, {Channel: string(channel("02")), Left: at(5)}}
	if d := cmp.Diff(want, v.footage(channel("01"))); d != "" {
		t.Error(d)
	}
}

// The history of codes is kept with the encoder.
func TestCodesOfAnEncoderSurviveARestart(t *testing.T) {
	v := stock(t)
	if _, err := v.assign([]codeLine{{Code: channel("50"), Identity: "s-77"}}, at(1)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v.cameras[channel("50")])
	if err != nil {
		t.Fatal(err)
	}
	again := newInventory(self)
	again.cameras[channel("50")] = &camera{}
	if err := json.Unmarshal(text, again.cameras[channel("50")]); err != nil {
		t.Fatal(err)
	}
	again.cameras[channel("50")].Code = channel("50")
	if d := cmp.Diff(v.footage(channel("50")), again.footage(channel("50"))); d != "" {
		t.Error(d)
	}
}

func FuzzReadCodes(f *testing.F) {
	for _, tc := range listCases {
		f.Add(tc.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, _ := readCodes(strings.NewReader(text))
		v := newInventory(self)
		_, _ = v.assign(lines, at(1))
		if len(v.cameras) > len(lines) {
			t.Errorf("%d cameras from %d lines", len(v.cameras), len(lines))
		}
	})
}
