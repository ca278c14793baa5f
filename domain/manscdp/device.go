package manscdp

import (
	"strings"
	"time"
)

// Keepalive is the heartbeat of a registered server or device (A.2.5).
type Keepalive struct {
	Head
	Fault  bool     // Status ERROR: alive, but something is wrong
	Off    bool     // Status OFF, not standard: the sender calls itself offline
	Faulty []string // identities of devices with a fault (Info)
}

func (*Keepalive) name() (Root, string) { return Notify, "Keepalive" }

func (m *Keepalive) walk(c *codec) {
	status := "OK"
	switch {
	case m.Off:
		status = "OFF"
	case m.Fault:
		status = "ERROR"
	}
	c.text("Status", &status)
	if c.reading() {
		m.Fault = strings.EqualFold(status, "ERROR")
		m.Off = strings.EqualFold(status, "OFF")
	}
	c.in("Info", func(c *codec) { c.texts("DeviceID", &m.Faulty) })
}

// DeviceInfoQuery asks who a device is (A.2.4).
type DeviceInfoQuery struct{ Head }

func (*DeviceInfoQuery) name() (Root, string) { return Query, "DeviceInfo" }
func (*DeviceInfoQuery) walk(*codec)          {}

// DeviceInfoResponse says who a device is (A.2.6). All but Result is optional.
type DeviceInfoResponse struct {
	Head
	DeviceName   string
	Result       Result
	Manufacturer string
	Model        string
	Firmware     string
	Channel      Opt[int] // number of video inputs
	Extra        []string // ExtraInfo (2022)
}

func (*DeviceInfoResponse) name() (Root, string) { return Response, "DeviceInfo" }

func (m *DeviceInfoResponse) walk(c *codec) {
	c.text("DeviceName", &m.DeviceName)
	c.result("Result", &m.Result)
	c.text("Manufacturer", &m.Manufacturer)
	c.text("Model", &m.Model)
	c.text("Firmware", &m.Firmware)
	c.number("Channel", &m.Channel)
	c.extra(&m.Extra)
}

// DeviceStatusQuery asks how a device is (A.2.4).
type DeviceStatusQuery struct{ Head }

func (*DeviceStatusQuery) name() (Root, string) { return Query, "DeviceStatus" }
func (*DeviceStatusQuery) walk(*codec)          {}

// DeviceStatusResponse says how a device is (A.2.6). Result, Online and Health are
// mandatory.
type DeviceStatusResponse struct {
	Head
	Result     Result
	Online     Status
	Health     Result // element Status: OK or ERROR
	Reason     string // of a bad Health
	Encoding   Status
	Recording  Status
	DeviceTime time.Time // the device's own clock, UTC
	Alarms     []AlarmDuty
	Extra      []string // ExtraInfo (2022)
}

// An AlarmDuty is the state of one alarm input.
type AlarmDuty struct {
	DeviceID string
	Status   string // ONDUTY, OFFDUTY or ALARM
}

func (*DeviceStatusResponse) name() (Root, string) { return Response, "DeviceStatus" }

func (m *DeviceStatusResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.state("Online", &m.Online, "ONLINE", "OFFLINE")
	c.result("Status", &m.Health)
	c.text("Reason", &m.Reason)
	c.state("Encode", &m.Encoding, "ON", "OFF")
	c.state("Record", &m.Recording, "ON", "OFF")
	c.instant("DeviceTime", &m.DeviceTime)
	list[AlarmDuty]{
		name: "Alarmstatus", item: "Item",
		fields: func(c *codec, a *AlarmDuty) {
			c.id("DeviceID", &a.DeviceID)
			c.must("DutyStatus", &a.Status)
		},
		known: func(a *AlarmDuty) bool { return a.DeviceID != "" },
	}.walk(c, &m.Alarms)
	c.extra(&m.Extra)
}

// SDCardStatusQuery asks how the memory cards of a device are (2022, A.2.4).
type SDCardStatusQuery struct{ Head }

func (*SDCardStatusQuery) name() (Root, string) { return Query, "SDCardStatus" }
func (*SDCardStatusQuery) walk(*codec)          {}

// SDCardStatusResponse says how the memory cards are (2022, A.2.6).
type SDCardStatusResponse struct {
	Head
	Result Result // some devices only say ERROR
	SumNum int    // cards in all pages
	Cards  []SDCard
}

// A SDCard is one memory card.
type SDCard struct {
	ID             Opt[int] // from 1
	HddName        string
	Status         string     // ok, formatting, unformatted, idle or error
	FormatProgress Opt[int]   // per cent
	Capacity       Opt[int64] // MB
	FreeSpace      Opt[int64] // MB
}

func (*SDCardStatusResponse) name() (Root, string) { return Response, "SDCardStatus" }

func (m *SDCardStatusResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.sumNum(&m.SumNum)
	list[SDCard]{name: "SDCardStatusInfo", item: "Item", fields: func(c *codec, s *SDCard) {
		c.number("ID", &s.ID)
		c.text("HddName", &s.HddName)
		c.text("Status", &s.Status)
		c.number("FormatProgress", &s.FormatProgress)
		c.integer("Capacity", &s.Capacity, 64)
		c.integer("FreeSpace", &s.FreeSpace, 64)
	}}.walk(c, &m.Cards)
	c.sumDefault(&m.SumNum, len(m.Cards))
}

// UpgradeResult reports how a DeviceUpgrade ended, usually after the device has
// started again (2022, A.2.5 DeviceUpgradeResult).
type UpgradeResult struct {
	Head
	SessionID    string // of the DeviceUpgrade
	Result       Result // element UpgradeResult
	Firmware     string // now running
	FailedReason string // 01 download timed out, 02 package damaged, 03 system error, 99 other
}

func (*UpgradeResult) name() (Root, string) { return Notify, "DeviceUpgradeResult" }

func (m *UpgradeResult) walk(c *codec) {
	c.must("SessionID", &m.SessionID)
	c.result("UpgradeResult", &m.Result)
	c.text("Firmware", &m.Firmware)
	c.text("UpgradeFailedReason", &m.FailedReason)
}
