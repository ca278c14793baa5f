package manscdp

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func page(items string) string {
	return `<?xml version="1.0" encoding="GB2312"?><Response><CmdType>Catalog</CmdType><SN>9</SN><DeviceID>1</DeviceID><SumNum>3</SumNum><DeviceList Num="3">` + items
}

const (
	item1    = `<Item><DeviceID>33010200001320000001</DeviceID><Name>one</Name><Status>ON</Status></Item>`
	item2    = `<Item><DeviceID>33010200001320000002</DeviceID><Name>two</Name><Status>ON</Status></Item>`
	item3    = `<Item><DeviceID>33010200001320000003</DeviceID><Name>three</Name><Status>ON</Status></Item>`
	pageTail = `</DeviceList></Response>`
)

// dirtyCases are bodies as careless devices send them; got is "last digit of the
// identity=name:status" of each item that must be kept. They also seed FuzzDecode.
var dirtyCases = map[string]struct {
	body string
	got  string
	lost int
	tags bool // markup was repaired
}{
	"intact":                    {page(item1 + item2 + item3 + pageTail), "1=one:ON 2=two:ON 3=three:ON", 0, false},
	"cut in an item":            {page(item1 + item2 + item3[:60]), "1=one:ON 2=two:ON", 1, true},
	"cut in a tag":              {page(item1 + item2 + item3[:len(item3)-3]), "1=one:ON 2=two:ON", 1, true},
	"cut in an identity":        {page(item1 + item3[:30]), "1=one:ON", 1, true},
	"cut after the items":       {page(item1 + item2 + item3), "1=one:ON 2=two:ON 3=three:ON", 0, true},
	"no end of an item":         {page(strings.TrimSuffix(item1, "</Item>") + item2 + item3 + pageTail), "1=one:ON 2=two:ON 3=three:ON", 0, true},
	"no end of the last item":   {page(item1 + item2 + strings.TrimSuffix(item3, "</Item>") + pageTail), "1=one:ON 2=two:ON 3=three:ON", 0, true},
	"no end of a name":          {page(item1 + strings.Replace(item2, "</Name>", "", 1) + item3 + pageTail), "1=one:ON 2=two:ON 3=three:ON", 0, true},
	"no end of an identity":     {page(item1 + strings.Replace(item2, "</DeviceID>", "", 1) + item3 + pageTail), "1=one:ON 3=three:ON", 1, true},
	"misspelt end":              {page(strings.Replace(item1, "</Name>", "</Nmae>", 1) + item2 + pageTail), "1=one:ON 2=two:ON", 0, true},
	"end twice":                 {page(strings.Replace(item1, "</Name>", "</Name></Name>", 1) + item2 + pageTail), "1=one:ON 2=two:ON", 0, true},
	"list ended twice":          {page(item1 + "</DeviceList>" + item2 + pageTail), "1=one:ON 2=two:ON", 0, true},
	"two lists":                 {page(item1 + `</DeviceList><DeviceList Num="1">` + item2 + pageTail), "1=one:ON 2=two:ON", 0, false},
	"no list":                   {strings.Replace(page(item1+item2+"</Response>"), `<DeviceList Num="3">`, "", 1), "1=one:ON 2=two:ON", 0, false},
	"comma between items":       {page(item1 + "," + item2 + pageTail), "1=one:ON 2=two:ON", 0, false},
	"text in the list":          {page("x" + item1 + item2 + pageTail), "1=one:ON 2=two:ON", 0, true},
	"unescaped ampersand":       {page(strings.Replace(item1, "one", "a & b&c; &#x4E2D;&#0;", 1) + pageTail), "1=a & b&c; 中:ON", 0, false},
	"unescaped less-than":       {page(strings.Replace(item1, "one", "a < b", 1) + item2 + pageTail), "1=a < b:ON 2=two:ON", 0, true},
	"less-than before a letter": {page(strings.Replace(item1, "one", "a<b", 1) + item2 + pageTail), "1=a<b:ON 2=two:ON", 0, true},
	"quote not closed":          {strings.Replace(page(item1+pageTail), `"3">`, `"3>`, 1), "1=one:ON", 0, true},
	"greater-than in a quote":   {strings.Replace(page(item1+pageTail), `"3">`, `"3>">`, 1), "1=one:ON", 0, false},
	"comment and CDATA":         {page(strings.Replace(item1, "one", "<!-- <x> -->a<![CDATA[<&b>]]>", 1) + pageTail), "1=a<&b>:ON", 0, false},
	"comment not closed":        {page(item1 + "<!-- " + item2 + pageTail), "1=one:ON 2=two:ON", 0, true},
	"instruction in an item":    {page(strings.Replace(item1, "<Name>", "<?x y?><Name>", 1) + pageTail), "1=one:ON", 0, false},
	"item without identity":     {page(`<Item><Name>x</Name></Item>` + item1 + pageTail), "1=one:ON", 1, false},
	"empty elements":            {page(`<Item/>` + strings.Replace(item1, "<Name>one</Name>", "<Name/>", 1) + pageTail), "1=:ON", 1, false},
	"unknown elements":          {page(strings.Replace(item1, "<Name>", "<Foo a='1'><Name>bar</Name></Foo><Name>", 1) + pageTail), "1=one:ON", 0, false},
	"status words":              {page(strings.Replace(item1, "ON<", "ok<", 1) + strings.Replace(item2, "ON<", "OnLine<", 1) + strings.Replace(item3, "ON<", "1<", 1) + pageTail), "1=one:ON 2=two:ON 3=three:ON", 0, false},
	"off words":                 {page(strings.Replace(item1, "ON<", "OFFLINE<", 1) + strings.Replace(item2, "ON<", " <", 1) + strings.Replace(item3, "ON<", "VLOST<", 1) + pageTail), "1=one:OFF 2=two: 3=three:OFF", 0, false},
	"junk around":               {"\xef\xbb\xbf junk " + page(item1+pageTail) + "\x00\x00junk <x>", "1=one:ON", 0, false},
	"line ends and blanks":      {strings.ReplaceAll(strings.ReplaceAll(page(item1+pageTail), "><", "> \r\n\t<"), "one", "\r\n one \t"), "1=one:ON", 0, false},
}

func TestWholeItemsSurviveDirt(t *testing.T) {
	for name, tc := range dirtyCases {
		t.Run(name, func(t *testing.T) {
			m, err := Decode([]byte(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range m.(*CatalogResponse).Items {
				if len(i.DeviceID) != 20 {
					t.Errorf("identity %q", i.DeviceID)
				}
				got = append(got, i.DeviceID[19:]+"="+i.Name+":"+i.Status.String())
			}
			if diff := cmp.Diff(tc.got, strings.Join(got, " ")); diff != "" {
				t.Errorf("items (-want +got)\n%s", diff)
			}
			if d := m.Header().Damage; d.Items != tc.lost || (d.Tags > 0) != tc.tags {
				t.Errorf("damage %+v, want %d items lost, markup repaired %v", d, tc.lost, tc.tags)
			}
		})
	}
}

// Wherever a page is cut, the items before the cut are all there and none after
// it appears with a shortened identity.
func TestCutAnywhereKeepsWhatWasWhole(t *testing.T) {
	whole := page(item1 + item2 + item3 + pageTail)
	for n := range len(whole) {
		m, err := Decode([]byte(whole[:n]))
		if err != nil {
			if strings.Contains(whole[:n], "</CmdType>") {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		r, ok := m.(*CatalogResponse)
		if !ok {
			t.Fatalf("cut at %d: a %T", n, m)
		}
		if got, want := len(r.Items), strings.Count(whole[:n], "</Item>"); got < want || got > want+1 {
			t.Fatalf("cut at %d: %d items, want %d", n, got, want)
		}
		for _, i := range r.Items {
			if len(i.DeviceID) != 20 || i.Status != StatusOn {
				t.Fatalf("cut at %d: item %+v", n, i)
			}
		}
	}
}

func TestUnreadableValuesAreLeftOut(t *testing.T) {
	body := page(`<Item><DeviceID>33010200001320000001</DeviceID><Longitude>NaN</Longitude><Latitude>1e300</Latitude><Port>99999999999</Port><HorizontalFieldAngle/>` +
		`<Parental>yes</Parental><Event>gone</Event><Info><MaxViewDistance>0x10</MaxViewDistance><VerticalFieldAngle>2000000000</VerticalFieldAngle><PTZType> 1 </PTZType></Info></Item>` + pageTail)
	m, err := Decode([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := []Item{{DeviceID: camera, Info: Info{Optics: Optics{PTZType: Some(1)}}}}
	if diff := cmp.Diff(want, m.(*CatalogResponse).Items); diff != "" {
		t.Error(diff)
	}
	if d := m.Header().Damage; d != (Damage{Values: 7}) {
		t.Errorf("damage %+v", d)
	}
}

func TestMissingSumCountsThePage(t *testing.T) {
	for _, sum := range []string{"", "<SumNum></SumNum>", "<SumNum>-4</SumNum>", "<SumNum>x</SumNum>"} {
		m, err := Decode([]byte(strings.Replace(page(item1+item2+pageTail), "<SumNum>3</SumNum>", sum, 1)))
		if err != nil || m.(*CatalogResponse).SumNum != 2 {
			t.Errorf("%q: %+v, %v", sum, m, err)
		}
	}
}

// bombs are bodies made to exhaust a reader; each must be refused at that offset.
// They also seed FuzzDecode.
var bombs = map[string]struct {
	body   string
	offset int
	want   string
}{
	"nesting":           {strings.Repeat("<a>", 21000), 48, "levels"},
	"nested controls":   {"<Control>" + strings.Repeat("<Info>", 10000), 9 + 15*6, "levels"},
	"attributes":        {"<Query " + strings.Repeat(`a="" `, 12000) + ">", 0, "attributes"},
	"items":             {"<Response><CmdType>Catalog</CmdType><DeviceList>" + strings.Repeat("<Item/>", 20000), 48 + 10000*7, "items"},
	"unclosed items":    {"<Response><CmdType>Catalog</CmdType><DeviceList>" + strings.Repeat("<Item>", 20000), 48 + 10000*6, "items"},
	"elements":          {"<Query>" + strings.Repeat("<a/>", 70000), 7 + 4*(maxElements-2), "elements"},
	"billion laughs":    {`<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><Query>&b;</Query>`, 21, "no document type"},
	"external entity":   {`<!DOCTYPE x SYSTEM "file:///etc/passwd"><Query/>`, 0, "no document type"},
	"entity in the end": {`<Query><CmdType>Catalog</CmdType><!ENTITY a "b"></Query>`, 33, "no document type"},
	"too large":         {strings.Repeat(" ", MaxBody+1), MaxBody, "bytes"},
	"empty":             {"", 0, "root element"},
	"blank":             {" \r\n", 0, "root element"},
	"text":              {"hello", 0, "root element"},
	"foreign root":      {"<?xml version='1.0'?><SIP_XML><CmdType>Catalog</CmdType></SIP_XML>", 22, "root Control"},
	"no command":        {"<Query><SN>1</SN></Query>", 1, "a command"},
	"command cut off":   {"<Query><SN>1</SN><CmdType>Cata", 1, "a command"},
	"endless number":    {"<Query><CmdType>Catalog</CmdType><SN>" + strings.Repeat("1", 65) + "</SN></Query>", 1, "a number"},
}

func TestBombsAreRefused(t *testing.T) {
	for name, tc := range bombs {
		t.Run(name, func(t *testing.T) {
			m, err := Decode([]byte(tc.body))
			se, ok := errors.AsType[*SyntaxError](err)
			if !ok || m != nil {
				t.Fatalf("%T, %v", m, err)
			}
			if se.Offset != tc.offset || !strings.Contains(se.Want, tc.want) {
				t.Errorf("%v, want offset %d and %q", err, tc.offset, tc.want)
			}
		})
	}
}

// slowCases are the dearest bodies of 63 KB found so far for each part of the
// decoder.
func slowCases() map[string]string {
	const size = 63 << 10
	fill := func(prefix, unit string) string {
		return prefix + strings.Repeat(unit, (size-len(prefix))/len(unit))
	}
	catalog := "<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceList>"
	return map[string]string{
		"nesting":            fill("", "<a>"),
		"less-than":          fill("<Query><CmdType>Catalog</CmdType>", "<"),
		"comment starts":     fill("<Query><CmdType>Catalog</CmdType>", "<!--"),
		"section starts":     fill("<Query><CmdType>Catalog</CmdType><SN>", "<![CDATA["),
		"instruction starts": fill("<Query><CmdType>Catalog</CmdType>", "<?"),
		"quotes":             fill("<Query><CmdType>Catalog</CmdType>", `<a b="`),
		"children of one":    fill(catalog+"<Item>", "<x/>"),
		"children alike":     fill(catalog+"<Item>", "<InfoXx/>"),
		"items":              fill(catalog, "<Item><DeviceID>1</DeviceID></Item>"),
		"one long name":      fill("<Query><CmdType>Catalog</CmdType><", "a"),
		"one long text":      fill("<Query><CmdType>Catalog</CmdType><SN>", "\xB1\xB1"),
		"entities":           fill(catalog+"<Item><DeviceID>1</DeviceID><Name>", "&amp"),
		"end tags":           fill("<Query><CmdType>Catalog</CmdType>", "</a>"),
		"control characters": fill("<Query><CmdType>Catalog</CmdType>", "\x01"),
		"nested sections":    fill(catalog+"<Item><DeviceID>1</DeviceID><Name>", "<![CDATA[]]><!---->"),
		"unended texts":      fill(catalog+"<Item>", "<a>b"),
		"foreign bytes":      fill(catalog+"<Item><DeviceID>1</DeviceID>", "<Name>\xff"),
	}
}

// A body of 63 KB costs at most 4 MB of memory however it is made. What it costs in time is
// told by BenchmarkEvil: a timed test fails on a busy machine.
func TestEvilBodiesAreCheap(t *testing.T) {
	for name, body := range slowCases() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = Decode([]byte(body))
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: %d bytes", name, n)
		}
	}
}

func BenchmarkEvil(b *testing.B) {
	for name, body := range slowCases() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				_, _ = Decode([]byte(body))
			}
		})
	}
}

// pageOf returns a catalogue page of about 64 KB.
func pageOf(b testing.TB) []byte {
	m := &CatalogResponse{Head: head("1", lower), SumNum: 5000}
	for i := range 92 {
		it := gate()
		it.Name, it.Address = "上城区北门枪机"+strconv.Itoa(i), "北京路与解放路口西北角"
		m.Items = append(m.Items, it)
	}
	body, err := Encode(m, v2022)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func BenchmarkDecodePage(b *testing.B) {
	body := pageOf(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodePage(b *testing.B) {
	body := pageOf(b)
	m, err := Decode(body)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encode(m, v2022); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeKeepalive(b *testing.B) {
	body := []byte(vectors["keepalive"].body)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
