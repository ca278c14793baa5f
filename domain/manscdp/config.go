package manscdp

// ConfigDownloadQuery asks for settings of a device (A.2.4). The answer may come
// in several responses with one SN, one a type.
type ConfigDownloadQuery struct {
	Head
	Types []string // BasicParam, OSDConfig, …: the names of the blocks of Config
}

func (*ConfigDownloadQuery) name() (Root, string) { return Query, "ConfigDownload" }
func (m *ConfigDownloadQuery) walk(c *codec)      { c.slashed("ConfigType", &m.Types) }

// ConfigDownloadResponse carries settings (A.2.6). Result OK with no block is how
// a device says that it does not know the type.
type ConfigDownloadResponse struct {
	Head
	Result Result
	Reason string // non-standard
	Config
}

func (*ConfigDownloadResponse) name() (Root, string) { return Response, "ConfigDownload" }

func (m *ConfigDownloadResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.text("Reason", &m.Reason)
	m.Config.walk(c)
}

// DeviceConfig changes settings of a device, which answers with one
// DeviceConfigResponse for all blocks (A.2.3.2).
type DeviceConfig struct {
	Head
	Config
	Extra []string // ExtraInfo (2022)
}

func (*DeviceConfig) name() (Root, string) { return Control, "DeviceConfig" }

func (m *DeviceConfig) walk(c *codec) {
	m.Config.walk(c)
	c.extra(&m.Extra)
}

// DeviceConfigResponse is the outcome of a DeviceConfig (A.2.6).
type DeviceConfigResponse struct {
	Head
	Result Result
	Reason string // non-standard
}

func (*DeviceConfigResponse) name() (Root, string) { return Response, "DeviceConfig" }

func (m *DeviceConfigResponse) walk(c *codec) {
	c.result("Result", &m.Result)
	c.text("Reason", &m.Reason)
}

// A Config holds blocks of settings (A.2.1); nil blocks are absent. The SVAC
// blocks are not read: they configure a codec this system does not touch.
type Config struct {
	Basic          *BasicParam
	VideoOption    *VideoParamOpt    // read only
	VideoAttribute []StreamAttribute // VideoParamAttribute; 2022, as all that follows
	RecordPlan     *VideoRecordPlan
	AlarmRecord    *VideoAlarmRecord
	Mask           *PictureMask
	Mirror         Opt[int] // FrameMirror: 0 none, 1 left-right, 2 up-down, 3 both
	AlarmReport    *AlarmReport
	OSD            *OSDConfig
	SnapShot       *SnapShotConfig
}

func (f *Config) walk(c *codec) {
	block(c, "BasicParam", &f.Basic, (*codec).basicParam)
	block(c, "VideoParamOpt", &f.VideoOption, (*codec).videoParamOpt)
	list[StreamAttribute]{name: "VideoParamAttribute", item: "Item", fields: (*codec).streamAttribute}.walk(c, &f.VideoAttribute)
	block(c, "VideoRecordPlan", &f.RecordPlan, (*codec).videoRecordPlan)
	block(c, "VideoAlarmRecord", &f.AlarmRecord, (*codec).videoAlarmRecord)
	block(c, "PictureMask", &f.Mask, (*codec).pictureMask)
	c.number("FrameMirror", &f.Mirror)
	block(c, "AlarmReport", &f.AlarmReport, (*codec).alarmReport)
	block(c, "OSDConfig", &f.OSD, (*codec).osdConfig)
	if c.reading() {
		block(c, "SnapShot", &f.SnapShot, (*codec).snapShotConfig) // so named in one clause of 2022
	}
	block(c, "SnapShotConfig", &f.SnapShot, (*codec).snapShotConfig)
}

// BasicParam is how a device registers.
type BasicParam struct {
	Name              string
	Expiration        Opt[int] // of a registration, seconds
	HeartBeatInterval Opt[int] // seconds
	HeartBeatCount    Opt[int] // missed heartbeats until offline
}

func (c *codec) basicParam(b *BasicParam) {
	c.text("Name", &b.Name)
	c.number("Expiration", &b.Expiration)
	c.number("HeartBeatInterval", &b.HeartBeatInterval)
	c.number("HeartBeatCount", &b.HeartBeatCount)
}

// VideoParamOpt is what a device can do.
type VideoParamOpt struct {
	DownloadSpeed string // '/'-list of multiples
	Resolution    string // '/'-list of codes of the SDP f= line
}

func (c *codec) videoParamOpt(v *VideoParamOpt) {
	c.text("DownloadSpeed", &v.DownloadSpeed)
	c.text("Resolution", &v.Resolution)
}

// A StreamAttribute is the encoding of one stream, in codes of the SDP f= line.
type StreamAttribute struct {
	StreamNumber Opt[int] // 0 main
	VideoFormat  string
	Resolution   string
	FrameRate    string
	BitRateType  string
	VideoBitRate string // kbit/s, for a constant bit rate
}

func (c *codec) streamAttribute(s *StreamAttribute) {
	c.number("StreamNumber", &s.StreamNumber)
	c.text("VideoFormat", &s.VideoFormat)
	c.text("Resolution", &s.Resolution)
	c.text("FrameRate", &s.FrameRate)
	c.text("BitRateType", &s.BitRateType)
	c.text("VideoBitRate", &s.VideoBitRate)
}

// VideoRecordPlan is when a device records.
type VideoRecordPlan struct {
	Enable       bool
	Days         []RecordSchedule // at most 7
	StreamNumber Opt[int]
}

// A RecordSchedule is the plan for one day of the week.
type RecordSchedule struct {
	WeekDay  Opt[int]      // 1 Monday to 7 Sunday
	Segments []TimeSegment // at most 8
}

// A TimeSegment is a part of a day.
type TimeSegment struct {
	StartHour, StartMin, StartSec Opt[int]
	StopHour, StopMin, StopSec    Opt[int]
}

func (c *codec) videoRecordPlan(v *VideoRecordPlan) {
	c.flag("RecordEnable", &v.Enable)
	c.length("RecordScheduleSumNum", len(v.Days))
	list[RecordSchedule]{item: "RecordSchedule", fields: func(c *codec, r *RecordSchedule) {
		c.number("WeekDayNum", &r.WeekDay)
		c.length("TimeSegmentSumNum", len(r.Segments))
		list[TimeSegment]{item: "TimeSegment", fields: (*codec).timeSegment}.walk(c, &r.Segments)
	}}.walk(c, &v.Days)
	c.number("StreamNumber", &v.StreamNumber)
}

func (c *codec) timeSegment(t *TimeSegment) {
	c.number("StartHour", &t.StartHour)
	c.number("StartMin", &t.StartMin)
	c.number("StartSec", &t.StartSec)
	c.number("StopHour", &t.StopHour)
	c.number("StopMin", &t.StopMin)
	c.number("StopSec", &t.StopSec)
}

// length is the number of items that follow: written, never believed.
func (c *codec) length(name string, n int) {
	if !c.reading() {
		count := Some(n)
		c.number(name, &count)
	}
}

// VideoAlarmRecord is how a device records an alarm.
type VideoAlarmRecord struct {
	Enable        bool
	RecordTime    Opt[int] // seconds after the alarm
	PreRecordTime Opt[int] // seconds before it
	StreamNumber  Opt[int]
}

func (c *codec) videoAlarmRecord(v *VideoAlarmRecord) {
	c.flag("RecordEnable", &v.Enable)
	c.number("RecordTime", &v.RecordTime)
	c.number("PreRecordTime", &v.PreRecordTime)
	c.number("StreamNumber", &v.StreamNumber)
}

// PictureMask hides regions of the picture.
type PictureMask struct {
	On      bool
	Regions []MaskRegion // at most 4
}

// A MaskRegion is one hidden rectangle.
type MaskRegion struct {
	Seq   Opt[int] // 1 to 4
	Point string   // "left,top,right,bottom" in pixels
}

func (c *codec) pictureMask(m *PictureMask) {
	c.flag("On", &m.On)
	c.length("SumNum", len(m.Regions))
	list[MaskRegion]{name: "RegionList", item: "Item", fields: func(c *codec, r *MaskRegion) {
		c.number("Seq", &r.Seq)
		c.text("Point", &r.Point)
	}}.walk(c, &m.Regions)
}

// AlarmReport is which detections a device reports.
type AlarmReport struct {
	MotionDetection bool
	FieldDetection  bool
}

func (c *codec) alarmReport(a *AlarmReport) {
	c.flag("MotionDetection", &a.MotionDetection)
	c.flag("FieldDetection", &a.FieldDetection)
}

// OSDConfig is what a device writes into the picture; positions in pixels.
type OSDConfig struct {
	Length, Width Opt[int] // of the picture the positions refer to
	TimeX, TimeY  Opt[int]
	TimeEnable    Opt[int] // 0 or 1
	TimeType      Opt[int] // 0 "YYYY-MM-DD HH:MM:SS", 1 the Chinese form
	TextEnable    Opt[int] // 0 or 1
	Texts         []OSDText
}

// An OSDText is one line in the picture.
type OSDText struct {
	Text string // at most 32 characters
	X, Y Opt[int]
}

func (c *codec) osdConfig(o *OSDConfig) {
	c.number("Length", &o.Length)
	c.number("Width", &o.Width)
	c.number("TimeX", &o.TimeX)
	c.number("TimeY", &o.TimeY)
	c.number("TimeEnable", &o.TimeEnable)
	c.number("TimeType", &o.TimeType)
	c.number("TextEnable", &o.TextEnable)
	c.length("SumNum", len(o.Texts))
	list[OSDText]{item: "Item", fields: func(c *codec, t *OSDText) {
		c.text("Text", &t.Text)
		c.number("X", &t.X)
		c.number("Y", &t.Y)
	}}.walk(c, &o.Texts)
}

// SnapShotConfig orders pictures; a SnapShotFinished tells which were uploaded.
type SnapShotConfig struct {
	SnapNum   Opt[int] // 1 to 10
	Interval  Opt[int] // seconds, from 1
	UploadURL string   // as the device can reach it
	SessionID string   // 32 to 128 letters, digits and dashes
}

func (c *codec) snapShotConfig(s *SnapShotConfig) {
	c.number("SnapNum", &s.SnapNum)
	c.number("Interval", &s.Interval)
	c.text("UploadURL", &s.UploadURL)
	c.text("SessionID", &s.SessionID)
}
