package sip

import (
	"math"
	"slices"
	"strings"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// parseSN reads the SN of a body. It is written back as the same number.
func parseSN(sn manscdp.SN) (int, error) {
	n, ok := sn.Number()
	if !ok || n > math.MaxInt32 {
		return 0, &SyntaxError{0, "SN", "a number up to 2147483647"}
	}
	return int(n), nil
}

func formatSN(n int) manscdp.SN { return manscdp.NewSN(uint32(n)) }

// parseNode reads the id of a node: 20 digits, or a civil code of 2, 4, 6 or 8.
func parseNode(s string) (domain.NodeID, bool) {
	switch len(s) {
	case 2, 4, 6, 8, 20:
		return domain.NodeID(s), !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	}
	return "", false
}

func nodeOf(h *manscdp.Head) (domain.NodeID, error) {
	id, ok := parseNode(h.DeviceID)
	if !ok {
		return "", &SyntaxError{0, "DeviceID", "20 digits, or 2, 4, 6 or 8 of a region"}
	}
	return id, nil
}

// itemOf returns an item as the processor knows it; false without a usable id.
func itemOf(m *manscdp.Item) (domain.Item, bool) {
	id, ok := parseNode(m.DeviceID)
	it := domain.Item{ID: id, Name: m.Name, Parent: parentOf(m), Maker: m.Manufacturer, Model: m.Model,
		Address: m.Address, Host: m.IPAddress, Children: m.Parental.Or(0) == 1}
	it.Group, _ = parseNode(m.BusinessGroupID)
	it.Region = regionOf(m.CivilCode)
	if g, ok := parseNode(m.Info.GrassrootsCode); ok && len(g) == 6 && g != "000000" {
		it.Grassroots = string(g)
	}
	if m.Status == manscdp.StatusOn {
		it.Status = domain.StatusOn
	}
	if ptz := m.Info.PTZType.Or(0); ptz > 0 && ptz < 256 {
		it.PTZ = uint8(ptz)
	}
	if list := m.Info.StreamNumberList; list != "" {
		it.Streams = uint8(min(strings.Count(list, "/")+1, 8))
	}
	return it, ok
}

// parentOf returns the last usable id of ParentID: vendors write the system first
// and the nearest organisation last.
func parentOf(m *manscdp.Item) domain.NodeID {
	parts := strings.Split(m.ParentID, "/")
	slices.Reverse(parts)
	for _, part := range parts {
		if id, ok := parseNode(strings.TrimSpace(part)); ok && string(id) != m.DeviceID {
			return id
		}
	}
	return ""
}

// regionOf returns a civil code; of a longer code, such as an organisation's, the
// district.
func regionOf(s string) domain.NodeID {
	if len(s) > 8 {
		s = s[:6]
	}
	id, _ := parseNode(s)
	return id
}

// itemFrom returns an item as it travels.
func itemFrom(it domain.Item) manscdp.Item {
	m := manscdp.Item{DeviceID: string(it.ID), Name: it.Name, Status: manscdp.StatusOff, ParentID: string(it.Parent),
		BusinessGroupID: string(it.Group)}
	m.Manufacturer, m.Model = it.Maker, it.Model
	m.CivilCode, m.Address, m.IPAddress = string(it.Region), it.Address, it.Host
	m.Info.GrassrootsCode = it.Grassroots
	if it.Status == domain.StatusOn {
		m.Status = manscdp.StatusOn
	}
	if it.Children {
		m.Parental = manscdp.Some(1)
	} else {
		m.Parental = manscdp.Some(0)
	}
	if it.PTZ > 0 {
		m.Info.PTZType = manscdp.Some(int(it.PTZ))
	}
	if it.Streams > 0 {
		m.Info.StreamNumberList = "0/1/2/3/4/5/6/7"[:2*min(it.Streams, 8)-1]
	}
	return m
}

func eventOf(e manscdp.Event) (domain.ItemEvent, bool) {
	i := slices.Index(wireEvents(), e)
	return domain.ItemEvent(max(i, 0)), i >= 0
}

// wireEvents are the events of the wire, in the order of domain.ItemEvent.
func wireEvents() []manscdp.Event {
	return []manscdp.Event{manscdp.EventOn, manscdp.EventOff, manscdp.EventVideoLost, manscdp.EventDefect,
		manscdp.EventAdd, manscdp.EventDelete, manscdp.EventUpdate}
}

// recordOf returns a recording; false if it has no extent.
func recordOf(r *manscdp.Record, channel domain.Code) (domain.Recording, bool) {
	rec := domain.Recording{Channel: channel, Range: domain.Range{From: r.Start, To: r.End},
		Bytes: r.FileSize.Or(0), Path: clean(r.FilePath, maxPath), Recorder: clean(r.RecorderID, 64),
		Location: clean(r.Location, 64)}
	if c, err := domain.ParseCode(r.DeviceID); err == nil {
		rec.Channel = c
	}
	rec.Kind, _ = kindOf(r.Type)
	return rec, !r.Start.IsZero() && r.End.After(r.Start)
}

func recordFrom(rec domain.Recording, name string) manscdp.Record {
	r := manscdp.Record{DeviceID: string(rec.Channel), Name: name, FilePath: rec.Path, Start: rec.Range.From,
		End: domain.WholeSecond(rec.Range.To), Type: kindName(rec.Kind), RecorderID: rec.Recorder, Location: rec.Location}
	if rec.Bytes > 0 {
		r.FileSize = manscdp.Some(rec.Bytes)
	}
	return r
}

func resultOf(ok bool) manscdp.Result {
	if ok {
		return manscdp.ResultOK
	}
	return manscdp.ResultError
}

func statusFrom(on bool) manscdp.Status {
	if on {
		return manscdp.StatusOn
	}
	return manscdp.StatusOff
}

func infoFrom(sn int, d domain.DeviceInfo) *manscdp.DeviceInfoResponse {
	return &manscdp.DeviceInfoResponse{Head: manscdp.Head{SN: formatSN(sn), DeviceID: string(d.ID)}, DeviceName: d.Name,
		Result: resultOf(d.OK), Manufacturer: d.Maker, Model: d.Model, Firmware: d.Firmware, Channel: manscdp.Some(d.Channels)}
}

func infoOf(m *manscdp.DeviceInfoResponse, id domain.NodeID) domain.DeviceInfo {
	return domain.DeviceInfo{ID: id, Name: m.DeviceName, Maker: m.Manufacturer, Model: m.Model, Firmware: m.Firmware,
		Channels: max(m.Channel.Or(0), 0), OK: m.Result != manscdp.ResultError}
}

func stateFrom(sn int, s domain.DeviceState) *manscdp.DeviceStatusResponse {
	return &manscdp.DeviceStatusResponse{Head: manscdp.Head{SN: formatSN(sn), DeviceID: string(s.ID)}, Result: resultOf(s.OK),
		Online: statusFrom(s.Online), Health: resultOf(s.Healthy), Reason: s.Reason, Recording: statusFrom(s.Recording),
		Encoding: statusFrom(s.Online), DeviceTime: s.Clock}
}

func stateOf(m *manscdp.DeviceStatusResponse, id domain.NodeID) domain.DeviceState {
	return domain.DeviceState{ID: id, OK: m.Result != manscdp.ResultError, Online: m.Online == manscdp.StatusOn,
		Healthy: m.Health != manscdp.ResultError, Recording: m.Recording == manscdp.StatusOn, Reason: m.Reason,
		Clock: m.DeviceTime}
}
