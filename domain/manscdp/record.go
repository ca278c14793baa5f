package manscdp

import "time"

// RecordInfoQuery asks which recordings of a channel exist (A.2.4).
type RecordInfoQuery struct {
	Head
	Start, End   time.Time // of the range wanted; mandatory
	FilePath     string
	Address      string
	Secrecy      Opt[int] // 0 no, 1 classified
	Type         string   // time, alarm, manual or all
	RecorderID   string
	Indistinct   Opt[int] // 0: where To says; 1: central and front-end, merged
	StreamNumber Opt[int] // 2022
	AlarmMethod  string   // 2022
	AlarmType    string   // 2022
}

func (*RecordInfoQuery) name() (Root, string) { return Query, "RecordInfo" }

func (m *RecordInfoQuery) walk(c *codec) {
	c.instant("StartTime", &m.Start)
	c.instant("EndTime", &m.End)
	c.text("FilePath", &m.FilePath)
	c.text("Address", &m.Address)
	c.number("Secrecy", &m.Secrecy)
	c.text("Type", &m.Type)
	c.text("RecorderID", &m.RecorderID)
	c.number("IndistinctQuery", &m.Indistinct)
	if c.reading() || c.version == Version2022 {
		c.number("StreamNumber", &m.StreamNumber)
		c.text("AlarmMethod", &m.AlarmMethod)
		c.text("AlarmType", &m.AlarmType)
	}
}

// RecordInfoResponse is one page of the answer to a RecordInfoQuery (A.2.6).
// SumNum is the number of recordings in all pages, as claimed; a page without it
// counts its own.
type RecordInfoResponse struct {
	Head
	Name    string // of the channel
	SumNum  int
	Records []Record
	Extra   []string // ExtraInfo (2022)
}

// A Record is one recording as a peer knows it.
type Record struct {
	DeviceID     string // the channel
	Name         string
	FilePath     string
	Address      string
	Start, End   time.Time  // UTC
	Secrecy      Opt[int]   // unset is written as 0
	Type         string     // time, alarm or manual
	RecorderID   string     // who recorded it
	FileSize     Opt[int64] // bytes
	Location     string     // RecordLocation: identity of where it lies; mandatory for an indistinct query
	StreamNumber Opt[int]   // 2022
}

func (*RecordInfoResponse) name() (Root, string) { return Response, "RecordInfo" }

func (m *RecordInfoResponse) walk(c *codec) {
	c.text("Name", &m.Name)
	c.sumNum(&m.SumNum)
	recordList().walk(c, &m.Records)
	c.sumDefault(&m.SumNum, len(m.Records))
	c.extra(&m.Extra)
}

func recordList() list[Record] {
	return list[Record]{
		name: "RecordList", item: "Item", fields: walkRecord,
		known: func(r *Record) bool { return r.DeviceID != "" },
	}
}

func walkRecord(c *codec, r *Record) {
	c.id("DeviceID", &r.DeviceID)
	c.must("Name", &r.Name)
	c.id("FilePath", &r.FilePath)
	c.text("Address", &r.Address)
	c.instant("StartTime", &r.Start)
	c.instant("EndTime", &r.End)
	c.mustNumber("Secrecy", &r.Secrecy, 0)
	c.text("Type", &r.Type)
	c.text("RecorderID", &r.RecorderID)
	c.integer("FileSize", &r.FileSize, 64)
	c.text("RecordLocation", &r.Location)
	if c.reading() || c.version == Version2022 {
		c.number("StreamNumber", &r.StreamNumber)
	}
}
