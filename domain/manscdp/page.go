package manscdp

import "fmt"

// A pageRange is the items from one index up to another that make a page.
type pageRange struct{ from, to int }

// paginate fills pages greedily: each holds as many items as fit limit bytes
// beside overhead, at least one, at most MaxItems.
func paginate(sizes []int, overhead, limit int) []pageRange {
	var pages []pageRange
	from, used := 0, overhead
	for i, size := range sizes {
		if i > from && (used+size > limit || i-from == MaxItems) {
			pages = append(pages, pageRange{from, i})
			from, used = i, overhead
		}
		used += size
	}
	return append(pages, pageRange{from, len(sizes)})
}

// pages splits items of an otherwise complete body. empty is the message without
// items; what it needs is what every page needs.
func (l list[T]) pages(empty Message, items []T, p Profile, limit int) ([]pageRange, error) {
	body, err := Encode(empty, p)
	if err != nil {
		return nil, err
	}
	wrapper := len("<"+l.name+` Num="10000">`) + len("\r\n</"+l.name+">\r\n") + len("10000") // SumNum
	sizes := make([]int, len(items))
	c := codec{version: p.Version}
	for i := range items {
		c.out = c.out[:0]
		l.writeItem(&c, &items[i])
		if c.err != nil {
			return nil, fmt.Errorf("item %d: %w", i, c.err)
		}
		wire, err := toWire(c.out, p.charset())
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		sizes[i] = len(wire)
	}
	if limit <= 0 || limit > MaxBody {
		limit = MaxBody
	}
	return paginate(sizes, len(body)+wrapper, limit), nil
}

// Pages splits m into bodies of at most limit bytes as encoded for p, each with
// the number of all items as SumNum (2022 Annex M, 2016 Annex N). An item that
// alone exceeds limit gets a page of its own. No items make one page with SumNum 0
// and no list. A limit of 0 means MaxBody; 1300 less the SIP headers suits UDP (RFC
// 3261 clause 18.1.1). The pages share the items of m.
func (m *CatalogResponse) Pages(p Profile, limit int) ([]*CatalogResponse, error) {
	empty := *m
	empty.SumNum, empty.Items = len(m.Items), nil
	ranges, err := itemList(walkItem).pages(&empty, m.Items, p, limit)
	pages := make([]*CatalogResponse, len(ranges))
	for i, r := range ranges {
		page := empty
		page.Items = m.Items[r.from:r.to:r.to]
		pages[i] = &page
	}
	return pages, err
}

// Pages splits m into bodies of at most limit bytes, like CatalogResponse.Pages;
// a notify counts only its own items. Each page needs a SN of its own, which the
// caller sets.
func (m *CatalogNotify) Pages(p Profile, limit int) ([]*CatalogNotify, error) {
	empty := *m
	empty.Items = nil
	ranges, err := itemList(walkChange).pages(&empty, m.Items, p, limit)
	pages := make([]*CatalogNotify, len(ranges))
	for i, r := range ranges {
		page := empty
		page.Items = m.Items[r.from:r.to:r.to]
		pages[i] = &page
	}
	return pages, err
}

// Pages splits m into bodies of at most limit bytes, like CatalogResponse.Pages.
func (m *RecordInfoResponse) Pages(p Profile, limit int) ([]*RecordInfoResponse, error) {
	empty := *m
	empty.SumNum, empty.Records = len(m.Records), nil
	ranges, err := recordList().pages(&empty, m.Records, p, limit)
	pages := make([]*RecordInfoResponse, len(ranges))
	for i, r := range ranges {
		page := empty
		page.Records = m.Records[r.from:r.to:r.to]
		pages[i] = &page
	}
	return pages, err
}
