package manscdp

import (
	"fmt"
	"slices"
	"testing"

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
