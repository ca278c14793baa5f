package manscdp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func cameras(n int) []Item {
	items := make([]Item, n)
	for i := range items {
		items[i] = gate()
		items[i].DeviceID = fmt.Sprintf("3301020000132%07d", i)
		items[i].Name = "上城区北门㙍头枪机" + items[i].DeviceID[i%20:]
	}
	return items
}

func TestPagesStayWithinTheLimit(t *testing.T) {
	for _, limit := range []int{1, 900, 1300, 60 << 10, 0} {
		for _, p := range []Profile{{}, v2022, {Charset: UTF8}} {
			m := &CatalogResponse{Head: head("5", lower), Items: cameras(200), Extra: []string{"cap=1"}}
			pages, err := m.Pages(p, limit)
			if err != nil {
				t.Fatal(err)
			}
			var all []Item
			for _, page := range pages {
				body, err := Encode(page, p)
				if err != nil {
					t.Fatal(err)
				}
				if limit > 0 && len(body) > limit && len(page.Items) > 1 {
					t.Errorf("limit %d: %d bytes with %d items", limit, len(body), len(page.Items))
				}
				if page.SumNum != 200 || page.SN != "5" || len(page.Items) == 0 {
					t.Errorf("limit %d: sum %d, SN %s, %d items", limit, page.SumNum, page.SN, len(page.Items))
				}
				all = append(all, page.Items...)
			}
			if diff := cmp.Diff(m.Items, all); diff != "" {
				t.Errorf("limit %d: %s", limit, diff)
			}
			if limit == 0 && len(pages) != 1 || limit == 1 && len(pages) != 200 {
				t.Errorf("limit %d: %d pages", limit, len(pages))
			}
		}
	}
}

// A page that takes one item more would be too large: pages are well filled.
func TestPagesAreFull(t *testing.T) {
	m := &CatalogResponse{Head: head("5", lower), Items: cameras(50)}
	pages, err := m.Pages(v2022, 5000)
	if err != nil {
		t.Fatal(err)
	}
	for i, page := range pages[:len(pages)-1] {
		more := *page
		more.Items = append(slices.Clone(page.Items), pages[i+1].Items[0])
		body, err := Encode(&more, v2022)
		if err != nil || len(body) < 5000-10 {
			t.Errorf("page %d has room: %d bytes, %v", i, len(body), err)
		}
	}
}

func TestNothingIsOnePageWithoutAList(t *testing.T) {
	pages, err := (&CatalogResponse{Head: head("5", lower), SumNum: 9}).Pages(v2022, 1300)
	if err != nil || len(pages) != 1 || pages[0].SumNum != 0 || len(pages[0].Items) != 0 {
		t.Fatalf("%+v, %v", pages, err)
	}
	records, err := (&RecordInfoResponse{Head: head("5", lower)}).Pages(v2022, 1300)
	if err != nil || len(records) != 1 || records[0].SumNum != 0 {
		t.Fatalf("%+v, %v", records, err)
	}
}

func TestPagesOfTenThousand(t *testing.T) {
	m := &CatalogNotify{Head: head("5", lower), Items: make([]Item, MaxItems+1)}
	for i := range m.Items {
		m.Items[i] = Item{DeviceID: camera, Event: EventOff}
	}
	pages, err := m.Pages(v2022, 0)
	if err != nil || len(pages) != 2 || len(pages[0].Items) != MaxItems {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		if _, err := Encode(page, v2022); err != nil {
			t.Error(err)
		}
	}
}

func TestPagesReportWhatCannotBeWritten(t *testing.T) {
	if pages, err := (&CatalogResponse{Extra: make([]string, MaxExtraInfos+1)}).Pages(v2022, 0); err == nil || len(pages) > 0 {
		t.Errorf("%v, %v", pages, err)
	}
}

var noon = time.Date(2026, 3, 1, 4, 0, 0, 0, time.UTC)

func TestCatalogueIsCompleteWhenAllArrived(t *testing.T) {
	items := cameras(10)
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	if a.Complete() || !a.Partial() || a.Want() != -1 || !a.Deadline().Equal(noon.Add(120*time.Second)) {
		t.Fatalf("before the first page: %+v", a)
	}
	first := &CatalogResponse{SumNum: 10, Items: items[:6]}
	for range 2 {
		if a.Add(noon.Add(time.Minute), first) {
			t.Fatal("a page sent twice completed the answer")
		}
	}
	if got := a.Deadline().Sub(noon); got != 65*time.Second {
		t.Errorf("deadline after %v", got)
	}
	if a.Expired(noon.Add(64*time.Second)) || !a.Expired(noon.Add(65*time.Second)) {
		t.Error("the deadline is not where it is said to be")
	}
	if !a.Add(noon.Add(66*time.Second), &CatalogResponse{SumNum: 10, Items: items[6:]}) || a.Partial() {
		t.Error("not complete after all items")
	}
	if diff := cmp.Diff(items, a.Items()); diff != "" {
		t.Error(diff)
	}
}

func TestEmptyCatalogueIsComplete(t *testing.T) {
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	if !a.Add(noon, &CatalogResponse{}) || a.Partial() || len(a.Items()) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestSlowAnswerEndsAtTheLatest(t *testing.T) {
	a := NewCatalogAssembler(AssemblerConfig{Idle: time.Minute, Total: 90 * time.Second}, noon)
	a.Add(noon.Add(80*time.Second), &CatalogResponse{SumNum: 2, Items: cameras(1)})
	if got := a.Deadline().Sub(noon); got != 90*time.Second {
		t.Errorf("deadline after %v", got)
	}
}

func TestLostOrTooManyItemsMakeAnAnswerPartial(t *testing.T) {
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	a.Add(noon, &CatalogResponse{Head: Head{Damage: Damage{Items: 1}}, SumNum: 1, Items: cameras(1)})
	if !a.Complete() || !a.Partial() {
		t.Error("a damaged page was taken for the whole truth")
	}
	b := NewCatalogAssembler(AssemblerConfig{Max: 3}, noon)
	if b.Add(noon, &CatalogResponse{SumNum: 3, Items: cameras(9)}); len(b.Items()) != 3 || !b.Partial() {
		t.Errorf("%d items kept, partial %v", len(b.Items()), b.Partial())
	}
}

func TestNodeListedTwiceGetsBothParents(t *testing.T) {
	one, two := gate(), gate()
	one.ParentID, one.Status = nvr, StatusOff
	two.ParentID = org + "/" + nvr
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	if !a.Add(noon, &CatalogResponse{SumNum: 2, Items: []Item{one, two}}) {
		t.Error("not complete although both listings arrived")
	}
	if got := a.Items(); len(got) != 1 || got[0].ParentID != nvr+"/"+org || got[0].Status != StatusOn {
		t.Errorf("%+v", got)
	}
}

// A node listed under ever new parents does not grow without end.
func TestParentsOfOneNodeAreBounded(t *testing.T) {
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	for i := range 1000 {
		it := node(camera, fmt.Sprintf("3301020000216%07d", i))
		a.Add(noon, &CatalogResponse{SumNum: 2000, Items: []Item{it}})
	}
	if n := len(a.Items()[0].ParentID); n > maxParents+1 || n < maxParents-21 {
		t.Errorf("%d bytes of parents", n)
	}
}

// A peer that counts each page for itself is not done after the first.
func TestLargestSumCounts(t *testing.T) {
	items := cameras(4)
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	a.Add(noon, &CatalogResponse{SumNum: 4, Items: items[:2]})
	if a.Add(noon, &CatalogResponse{SumNum: 1, Items: items[2:3]}) || a.Want() != 4 {
		t.Errorf("complete with 3 of 4, want %d", a.Want())
	}
}

func TestRecordsCountOnce(t *testing.T) {
	rec := Record{DeviceID: camera, Start: beijing(1, 8, 0, 0), End: beijing(1, 9, 0, 0), FilePath: "a"}
	other, later := rec, rec
	other.FilePath = "b"
	later.End = beijing(1, 10, 0, 0)
	a := NewRecordAssembler(AssemblerConfig{}, noon)
	if a.Add(noon, &RecordInfoResponse{SumNum: 3, Records: []Record{rec, rec, other}}) {
		t.Error("complete with a record counted twice")
	}
	if !a.Add(noon, &RecordInfoResponse{SumNum: 3, Records: []Record{rec, later}}) || len(a.Records()) != 3 {
		t.Errorf("%d records", len(a.Records()))
	}
}

// Pages, bodies and assembler together lose nothing, whatever order and however
// often the pages come.
func TestPagesComeTogetherAgain(t *testing.T) {
	m := &CatalogResponse{Head: head("5", lower), Items: cameras(60)}
	pages, err := m.Pages(Profile{}, 1300)
	if err != nil {
		t.Fatal(err)
	}
	a := NewCatalogAssembler(AssemblerConfig{}, noon)
	for i := range len(pages) * 2 {
		body, err := Encode(pages[(i*7)%len(pages)], Profile{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		a.Add(noon, got.(*CatalogResponse))
	}
	if a.Partial() || len(a.Items()) != 60 {
		t.Errorf("%d items, want %d", len(a.Items()), a.Want())
	}
}
