package manscdp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

func gb(t testing.TB, s string) string {
	t.Helper()
	out, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	if err != nil {
		t.Fatalf("encode %q: %v", s, err)
	}
	return out
}

func infoBody(encoding, name string) []byte {
	decl := ""
	if encoding != "" {
		decl = `<?xml version="1.0" encoding="` + encoding + `"?>` + "\r\n"
	}
	return []byte(decl + "<Response><CmdType>DeviceInfo</CmdType><SN>7</SN><DeviceID>33010200001180000001</DeviceID><DeviceName>" +
		name + "</DeviceName><Result>OK</Result></Response>")
}

func TestBytesWinOverDeclaration(t *testing.T) {
	for name, tc := range map[string]struct {
		encoding string
		text     string
		utf8     bool
		order    Charset
		want     string // empty: as text
	}{
		"GB18030 as declared":                   {encoding: "GB18030", text: "上城区北门枪机"},
		"GB2312 as declared":                    {encoding: "GB2312", text: "上城区北门枪机"},
		"lower-case gbk":                        {encoding: "gbk", text: "哈尔滨站前"},
		"rare characters declared GB2312":       {encoding: "GB2312", text: "㙍头镇𠮷祥路"},
		"UTF-8 as declared":                     {encoding: "UTF-8", text: "㙍头镇𠮷祥路", utf8: true},
		"UTF-8 declared GB2312, odd":            {encoding: "GB2312", text: "北门口", utf8: true},
		"UTF-8 declared GB2312, even":           {encoding: "GB2312", text: "北门", utf8: true},
		"GB declared UTF-8":                     {encoding: "UTF-8", text: "北门枪机"},
		"GB undeclared":                         {text: "北门枪机"},
		"UTF-8 undeclared":                      {text: "北门枪机", utf8: true},
		"GB that looks like two-byte UTF-8":     {encoding: "GB2312", text: "联通"},
		"two-byte UTF-8 only when told":         {encoding: "GB2312", text: "Ελλάς", utf8: true, order: UTF8},
		"order GB2312 means GB18030":            {encoding: "UTF-8", text: "𠮷", order: GB2312},
		"order GB18030 over UTF-8 bytes":        {encoding: "UTF-8", text: "北门", utf8: true, order: GB18030, want: "鍖楅棬"},
		"unknown declaration":                   {encoding: "windows-1251", text: "北门枪机"},
		"euro sign and full width":              {encoding: "GB18030", text: "€１２３　四"},
		"private use of vendors":                {encoding: "GB18030", text: "\uE900\uF8FF"},
		"user-defined characters are replaced":  {encoding: "UTF-8", text: "北\uE000门\uE864", utf8: true, want: "北\uFFFD门\uFFFD"},
		"declaration with single quotes forged": {encoding: `GB2312' standalone='yes`, text: "北门枪机"},
	} {
		t.Run(name, func(t *testing.T) {
			text := tc.text
			if !tc.utf8 {
				text = gb(t, text)
			}
			m, err := DecodeAs(infoBody(tc.encoding, text), tc.order)
			if err != nil {
				t.Fatal(err)
			}
			want := tc.want
			if want == "" {
				want = tc.text
			}
			if got := m.(*DeviceInfoResponse).DeviceName; got != want {
				t.Errorf("name %q, want %q", got, want)
			}
			if d := m.Header().Damage; d.Any() {
				t.Errorf("damage %+v in an intact body", d)
			}
		})
	}
}

// A body is never taken for UTF-8 because of everyday characters: all pairs of
// GB2312 level 1 hanzi, in one byte alignment or the other.
func TestEverydayHanziAreNeverMistaken(t *testing.T) {
	var pool []byte
	for lead := byte(0xB0); lead <= 0xD7; lead++ {
		for trail := 0xA1; trail <= 0xFE; trail++ {
			pool = append(pool, lead, byte(trail))
		}
	}
	for i := 0; i < len(pool); i += 2 {
		for j := 0; j < len(pool); j += 94 { // every lead, with different trails
			b := []byte{pool[i], pool[i+1], pool[j], pool[j+1]}
			if utf8.Valid(b) && bytes.ContainsFunc(b, func(r rune) bool { return r >= 0x800 }) {
				t.Fatalf("% X is UTF-8 with a long sequence", b)
			}
		}
	}
}

func TestEveryLegalCharacterSurvives(t *testing.T) {
	var all strings.Builder
	for r := rune(0x21); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) && legal(r) && (r < 0xE000 || r > lastUserDefined) {
			all.WriteRune(r)
		}
	}
	for _, cs := range []Charset{GB2312, GB18030, UTF8} {
		runes := []rune(all.String())
		for len(runes) > 0 {
			n := min(len(runes), 60000)
			want := string(runes[:n])
			runes = runes[n:]
			body, err := Encode(&DeviceInfoResponse{DeviceName: want}, Profile{Charset: cs})
			if err != nil {
				t.Fatal(err)
			}
			m, err := DecodeAs(body, cs)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.(*DeviceInfoResponse).DeviceName; got != want {
				t.Fatalf("%v: %s", cs, firstDifference(got, want))
			}
		}
	}
}

func firstDifference(got, want string) string {
	g, w := []rune(got), []rune(want)
	for i := range w {
		if i >= len(g) || g[i] != w[i] {
			return fmt.Sprintf("%U became %U", w[i], g[min(i, len(g)-1)])
		}
	}
	return "trailing characters"
}

// The scanner works on undecoded bytes; that is sound because markup bytes never
// occur inside a multi-byte character.
func TestMarkupNeverHidesInACharacter(t *testing.T) {
	enc := simplifiedchinese.GB18030.NewEncoder()
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		b, err := enc.Bytes([]byte(string(r)))
		if err != nil {
			t.Fatalf("%U: %v", r, err)
		}
		if bytes.ContainsAny(b, "<>&\"'=/!?;\x00\x01\x1f\x7f") {
			t.Fatalf("%U is % X", r, b)
		}
	}
}

func TestDeclarationFollowsTheProfile(t *testing.T) {
	for want, p := range map[string]Profile{
		"GB2312":  {},
		"GB18030": {Version: Version2022},
		"UTF-8":   {Version: Version2011, Charset: UTF8},
	} {
		body, err := Encode(&DeviceInfoQuery{Head: Head{SN: "1", DeviceID: "34"}}, p)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(body, []byte(`<?xml version="1.0" encoding="`+want+`"?>`+"\r\n<Query>")) {
			t.Errorf("%+v declares %.60q, want %s", p, body, want)
		}
	}
}

func TestVersionFromHeader(t *testing.T) {
	for header, want := range map[string]Version{
		"": Version2016, "1.0": Version2011, "1.1": Version2011, "2.0": Version2016,
		"3.0": Version2022, "4.0": Version2022, "x": Version2016, "30": Version2016,
	} {
		if got := ParseVersion(header); got != want {
			t.Errorf("ParseVersion(%q) = %v, want %v", header, got, want)
		}
	}
	for _, v := range []Version{Version2011, Version2016, Version2022} {
		if got := ParseVersion(v.String()); got != v {
			t.Errorf("ParseVersion(%q) = %v", v, got)
		}
	}
}

// Damaged bytes in one text cost that text only.
func TestBrokenTextCostsItselfOnly(t *testing.T) {
	body := "<?xml version=\"1.0\" encoding=\"GB2312\"?><Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>1</DeviceID>" +
		"<SumNum>1</SumNum><DeviceList Num=\"1\"><Item><DeviceID>33010200001320000001</DeviceID><Name>" + gb(t, "北门") +
		"</Name><Address>" + gb(t, "路口") + "\xB0</Address><CivilCode>330102</CivilCode><Status>ON</Status></Item></DeviceList></Response>"
	m, err := Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	item := m.(*CatalogResponse).Items[0]
	if item.DeviceID != "33010200001320000001" || item.Name != "北门" || item.CivilCode != "330102" || item.Status != StatusOn {
		t.Errorf("item %+v", item)
	}
	if item.Address != "路口\uFFFD" || m.Header().Damage.Values != 1 {
		t.Errorf("address %q, damage %+v", item.Address, m.Header().Damage)
	}
}

// A device that pastes a foreign text into its answer is understood all the same,
// unless a charset was ordered.
func TestForeignTextIsReadAsWhatItIs(t *testing.T) {
	for name, tc := range map[string]struct{ most, one, want string }{
		"GB in UTF-8": {"解放路口", gb(t, "北门"), "北门"},
		"UTF-8 in GB": {gb(t, "解放路口"), "北门口", "北门口"},
	} {
		body := "<Response><CmdType>DeviceInfo</CmdType><DeviceName>" + tc.one + "</DeviceName><Model>" + tc.most +
			"</Model><Firmware>" + tc.most + "</Firmware></Response>"
		m, err := Decode([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		got := m.(*DeviceInfoResponse)
		if got.DeviceName != tc.want || got.Model != "解放路口" || got.Damage.Any() {
			t.Errorf("%s: %+v", name, got)
		}
	}
	m, err := DecodeAs([]byte("<Response><CmdType>DeviceInfo</CmdType><DeviceName>"+gb(t, "北门")+"</DeviceName></Response>"), UTF8)
	if err != nil || m.(*DeviceInfoResponse).DeviceName == "北门" || m.Header().Damage.Values != 1 {
		t.Errorf("ordered UTF-8: %+v, %v", m, err)
	}
}

func TestControlCharactersVanish(t *testing.T) {
	body := bytes.ReplaceAll(infoBody("UTF-8", "Gate\x01-\x0001\x7f"), []byte("<SN>"), []byte("<S\x00N>"))
	m, err := Decode(append(body, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*DeviceInfoResponse); got.DeviceName != "Gate-01" || got.SN != "7" || got.Damage.Any() {
		t.Errorf("%+v", got)
	}
	out, err := Encode(&DeviceInfoResponse{DeviceName: " a\x00b\x1f<&>\u0085c\xffd\r\n"}, Profile{Charset: UTF8})
	if err != nil || !bytes.Contains(out, []byte("<DeviceName>ab&lt;&amp;&gt;c\uFFFDd</DeviceName>")) {
		t.Errorf("%q %v", out, err)
	}
}

func TestOffsetsCountReceivedBytes(t *testing.T) {
	_, err := Decode([]byte("\x00\x00  <Query>\x01\x00<!DOCTYPE x></Query>"))
	se, ok := errors.AsType[*SyntaxError](err)
	if !ok || se.Offset != 13 {
		t.Errorf("%v, want offset 13", err)
	}
	m, err := Decode([]byte("\x00\x00<Query><CmdType>Catalog</CmdType></x></Query>"))
	if err != nil || m.Header().Damage != (Damage{Tags: 1, Offset: 35}) {
		t.Errorf("%+v, %v", m, err)
	}
}
