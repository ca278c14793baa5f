package sip

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// recordQueries are queries for recordings, and what they ask for; they seed FuzzInbound.
var recordQueries = map[string]struct {
	body  string // between EndTime and the end
	want  domain.RecordFilter
	field string // of the error
}{
	"as the standard has it": {"<Secrecy>0</Secrecy><Type>all</Type>", domain.RecordFilter{}, ""},
	"nothing more":           {"", domain.RecordFilter{}, ""},
	"scheduled":              {"<Type>Time</Type>", domain.RecordFilter{OneKind: true}, ""},
	"alarm":                  {"<Type>ALARM</Type>", domain.RecordFilter{OneKind: true, Kind: domain.RecordAlarm}, ""},
	"manual, classified":     {"<Secrecy>1</Secrecy><Type>manual</Type>", domain.RecordFilter{OneKind: true, Kind: domain.RecordManual, Secret: true}, ""},
	"indistinct":             {"<IndistinctQuery>1</IndistinctQuery>", domain.RecordFilter{Indistinct: true}, ""},
	"distinct":               {"<IndistinctQuery>0</IndistinctQuery>", domain.RecordFilter{}, ""},
	"address and recorder": {"<FilePath>/rec/0800</FilePath><RecorderID>33010200001180000001</RecorderID>",
		domain.RecordFilter{Path: "/rec/0800", Recorder: "33010200001180000001"}, ""},
	"unknown kind":     {"<Type>motion</Type>", domain.RecordFilter{}, "Type"},
	"address too long": {"<FilePath>" + strings.Repeat("x", maxPath+1) + "</FilePath>", domain.RecordFilter{}, "FilePath"},
}

func recordBody(more string) string {
	return `<?xml version="1.0" encoding="GB18030"?><Query><CmdType>RecordInfo</CmdType><SN>701</SN><DeviceID>33010200001320000001</DeviceID>` +
		"<StartTime>2026-03-01T00:00:00</StartTime><EndTime>2026-03-01T23:59:59</EndTime>" + more + "</Query>"
}

func TestRecordQueriesAreRead(t *testing.T) {
	for name, tc := range recordQueries {
		t.Run(name, func(t *testing.T) {
			m, err := manscdp.Decode([]byte(recordBody(tc.body)))
			if err != nil {
				t.Fatal(err)
			}
			f, err := filterOf(m.(*manscdp.RecordInfoQuery))
			field := ""
			if se, ok := err.(*SyntaxError); ok {
				field = se.Field
			}
			if field != tc.field || field == "" && f != tc.want {
				t.Errorf("%+v %v", f, err)
			}
		})
	}
}

// TestRecordQueryAndAnswerNameBothParties: with all that narrows a query, and where a
// recording is found.
func TestRecordQueryAndAnswerNameBothParties(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		fx := domain.Query{Peer: lowerRef(), Kind: domain.QueryRecords, SN: 7, Target: domain.NodeID(camera),
			Range: domain.Range{From: from, To: from.Add(time.Hour)}, Asker: deskParty.ID,
			Filter: domain.RecordFilter{OneKind: true, Kind: domain.RecordManual, Secret: true, Path: "a/b", Recorder: "r", Indistinct: true}}
		w.up.answer(func(tag domain.Tag) domain.Effect { fx.Tag = tag; return fx })
		if in := expect[domain.QueryIn](w.down); in.Filter != fx.Filter || in.Asker != fx.Asker || in.Range != fx.Range {
			t.Errorf("%+v", in)
		}
		records := []domain.Recording{{Channel: camera, Range: domain.Range{From: from, To: from.Add(1500 * time.Millisecond)},
			Kind: domain.RecordManual, Path: "a/b", Recorder: string(district), Location: string(district)}}
		w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendRecords{Tag: tag, Peer: upperRef(), SN: 7, Channel: camera, Sum: 1, Records: records, Asker: fx.Asker, Owner: district}
		})
		in := expect[domain.RecordsIn](w.up)
		records[0].Range.To = from.Add(2 * time.Second) // nothing is cut off
		if diff := cmp.Diff(records, in.Records); diff != "" || in.Asker != fx.Asker || in.Owner != district {
			t.Error(diff, in)
		}
	})
}

func TestRecordQueryOfAStandardPeerHasNothingOfTheDistrict(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		seen := 0
		w.net.setLoss(func(_, _ addr, data []byte) bool {
			if bytes.Contains(data, []byte("RecordInfo")) {
				seen++
			}
			if bytes.Contains(bytes.ToLower(data), []byte("x-district")) {
				t.Errorf("sent: %s", data)
			}
			return false
		})
		w.up.answer(func(tag domain.Tag) domain.Effect {
			return domain.Query{Tag: tag, Peer: lowerRef(), Kind: domain.QueryRecords, SN: 7, Target: domain.NodeID(camera),
				Range: domain.Range{From: time.Unix(1772323200, 0), To: time.Unix(1772326800, 0)}}
		})
		w.down.answer(func(tag domain.Tag) domain.Effect {
			return domain.SendRecords{Tag: tag, Peer: upperRef(), SN: 7, Channel: camera}
		})
		if expect[domain.RecordsIn](w.up); seen != 2 {
			t.Errorf("%d messages seen", seen)
		}
	})
}

func TestExtraInfoThatCannotBeUsedIsPassedOver(t *testing.T) {
	for _, s := range []string{"", "asker=" + string(city), extraPrefix, extraPrefix + "asker=x;owner=y", extraPrefix + "owner=" + string(city) + "-7",
		extraPrefix + "asker=" + string(city) + "-x", extraPrefix + ";;=;asker"} {
		if asker, owner := parseExtra([]string{s}); asker != "" || owner != "" {
			t.Errorf("%q: %q %q", s, asker, owner)
		}
	}
}
