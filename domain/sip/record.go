package sip

import (
	"strings"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// maxPath bounds the address of a recording, in bytes.
const maxPath = 256

// recordQuery writes a query for recordings.
func recordQuery(head manscdp.Head, fx domain.Query) manscdp.Message {
	m := &manscdp.RecordInfoQuery{Head: head, Start: fx.Range.From, End: domain.WholeSecond(fx.Range.To), Secrecy: manscdp.Some(0),
		Type: "all", FilePath: fx.Filter.Path, RecorderID: fx.Filter.Recorder}
	if fx.Filter.OneKind {
		m.Type = kindName(fx.Filter.Kind)
	}
	if fx.Filter.Secret {
		m.Secrecy = manscdp.Some(1)
	}
	if fx.Filter.Indistinct {
		m.Indistinct = manscdp.Some(1)
	}
	return m
}

// recordsAsked reads one. What it has besides (Address, and of the edition of 2022
// stream number and alarms) narrows nothing: we have one recording of a channel, and
// where its camera stands is not asked of the data manager.
func recordsAsked(r *request, m *manscdp.RecordInfoQuery) (func(domain.Ref) domain.Event, error) {
	if m.Start.IsZero() || !m.End.After(m.Start) {
		return nil, &SyntaxError{0, "StartTime", "a beginning before EndTime"}
	}
	filter, err := filterOf(m)
	if err != nil {
		return nil, err
	}
	asker := header(r, headerAsker)
	if _, err := domain.ParseParty(asker, "", ""); err != nil {
		asker = ""
	}
	return answerIn(m.Header(), func(ref domain.Ref, sn int, id domain.NodeID) domain.Event {
		return domain.QueryIn{Ref: ref, Origin: r.origin, Kind: domain.QueryRecords, SN: sn, Target: id,
			Range: domain.Range{From: m.Start, To: m.End}, Filter: filter, Asker: asker}
	})
}

func filterOf(m *manscdp.RecordInfoQuery) (domain.RecordFilter, error) {
	f := domain.RecordFilter{Secret: m.Secrecy.Or(0) == 1, Path: m.FilePath, Recorder: m.RecorderID,
		Indistinct: m.Indistinct.Or(0) == 1}
	switch kind, ok := kindOf(m.Type); {
	case ok:
		f.Kind, f.OneKind = kind, true
	case m.Type != "" && !strings.EqualFold(m.Type, "all"):
		return f, &SyntaxError{0, "Type", "time, alarm, manual or all"}
	}
	if len(f.Path) > maxPath || len(f.Recorder) > 64 {
		return f, &SyntaxError{0, "FilePath", "256 bytes at most, and a RecorderID of 64"}
	}
	return f, nil
}

// kindNames are the kinds of recordings on the wire, in the order of domain.RecordKind.
func kindNames() [3]string { return [3]string{"time", "alarm", "manual"} }

func kindName(k domain.RecordKind) string { return kindNames()[k%3] }

// kindOf reads a kind; what is none is taken for scheduled.
func kindOf(s string) (domain.RecordKind, bool) {
	for i, name := range kindNames() {
		if strings.EqualFold(s, name) {
			return domain.RecordKind(i), true
		}
	}
	return domain.RecordScheduled, false
}

// extraPrefix begins the ExtraInfo that names both parties of a query (QUERY-904).
const extraPrefix = "X-District: "

// extraOf writes it; nothing for a peer that did not agree on it.
func extraOf(asker string, owner domain.Code) []string {
	if asker == "" && owner == "" {
		return nil
	}
	return []string{extraPrefix + "asker=" + clean(asker, 64) + ";owner=" + string(owner)}
}

// parseExtra reads it. What cannot be used is as if it had not been told.
func parseExtra(all []string) (asker string, owner domain.Code) {
	for _, s := range all {
		rest, ours := strings.CutPrefix(s, extraPrefix)
		for field := range strings.SplitSeq(rest, ";") {
			name, value, _ := strings.Cut(field, "=")
			_, bad := domain.ParseParty(value, "", "")
			switch {
			case !ours || bad != nil:
			case name == "asker":
				asker = value
			case name == "owner":
				owner, _ = domain.ParseCode(value)
			}
		}
	}
	return asker, owner
}
