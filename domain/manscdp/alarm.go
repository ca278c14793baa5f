package manscdp

import "time"

// AlarmNotify reports an alarm, in a MESSAGE or to a subscriber (A.2.5). The
// receiver answers with an AlarmResponse. DeviceID is the alarm input or the
// ten-digit alarm centre.
type AlarmNotify struct {
	Head
	Priority    Opt[int]  // 1 highest to 4
	Method      Opt[int]  // 1 phone, 2 device, 3 SMS, 4 GPS, 5 video, 6 device fault, 7 other
	Time        time.Time // UTC; the zero Time if unreadable
	Description string
	Longitude   Opt[float64] // degrees
	Latitude    Opt[float64] // degrees
	Type        Opt[int]     // its meaning depends on Method
	EventType   Opt[int]     // of an intrusion: 1 enter, 2 leave
	Extra       []string     // ExtraInfo (2022)
}

func (*AlarmNotify) name() (Root, string) { return Notify, "Alarm" }

func (m *AlarmNotify) walk(c *codec) {
	c.number("AlarmPriority", &m.Priority)
	c.number("AlarmMethod", &m.Method)
	c.instant("AlarmTime", &m.Time)
	c.text("AlarmDescription", &m.Description)
	c.decimal("Longitude", &m.Longitude)
	c.decimal("Latitude", &m.Latitude)
	c.in("Info", func(c *codec) {
		c.number("AlarmType", &m.Type)
		c.in("AlarmTypeParam", func(c *codec) { c.number("EventType", &m.EventType) })
	})
	c.extra(&m.Extra)
}

// AlarmResponse acknowledges an AlarmNotify (A.2.6).
type AlarmResponse struct {
	Head
	Result Result
	Extra  []string // ExtraInfo (2022)
}

func (*AlarmResponse) name() (Root, string) { return Response, "Alarm" }

func (m *AlarmResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.extra(&m.Extra)
}

// AlarmQuery is the body of a SUBSCRIBE to alarms (A.2.4); some products also
// send it as a plain query.
type AlarmQuery struct {
	Head
	StartPriority Opt[int] // 0: all
	EndPriority   Opt[int] // 0: all
	Method        string   // 0 all, or a combination like 1/2
	Type          string
	Start, End    time.Time // range of a plain query
}

func (*AlarmQuery) name() (Root, string) { return Query, "Alarm" }

func (m *AlarmQuery) walk(c *codec) {
	c.number("StartAlarmPriority", &m.StartPriority)
	c.number("EndAlarmPriority", &m.EndPriority)
	c.text("AlarmMethod", &m.Method)
	c.text("AlarmType", &m.Type)
	c.instant("StartAlarmTime", &m.Start)
	c.instant("EndAlarmTime", &m.End)
}
