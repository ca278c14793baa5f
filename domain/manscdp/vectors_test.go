package manscdp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A vector is a body as peers write it and the message it is. Bodies are written
// without the white space between elements.
type vector struct {
	body     string
	message  Message
	profile  Profile
	readOnly bool // the body is what others send; we write it otherwise
}

var v2022 = Profile{Version: Version2022}

const (
	camera = "33010200001320000001"
	lower  = "33010200002000000001"
)

func head(sn SN, id string) Head { return Head{SN: sn, DeviceID: id} }

func beijing(day, hour, minute, second int) time.Time {
	return time.Date(2026, 3, day, hour-8, minute, second, 0, time.UTC)
}

// vectors is one body of each command, by hand; it also seeds FuzzDecode.
var vectors = map[string]vector{
	"keepalive": {
		body:    `<Notify><CmdType>Keepalive</CmdType><SN>1001</SN><DeviceID>33010200002000000001</DeviceID><Status>OK</Status></Notify>`,
		message: &Keepalive{Head: head("1001", lower)},
	},
	"keepalive with faulty devices": {
		body:    `<Notify><CmdType>Keepalive</CmdType><SN>1001</SN><DeviceID>33010200002000000001</DeviceID><Status>ERROR</Status><Info><DeviceID>33010200001320000001</DeviceID><DeviceID>33010200001320000002</DeviceID></Info></Notify>`,
		message: &Keepalive{Head: head("1001", lower), Fault: true, Faulty: []string{camera, "33010200001320000002"}},
	},
	"catalog query": {
		body:    `<Query><CmdType>Catalog</CmdType><SN>248</SN><DeviceID>33010200002000000001</DeviceID></Query>`,
		message: &CatalogQuery{Head: head("248", lower)},
	},
	"catalog query of a time": {
		body:    `<Query><CmdType>Catalog</CmdType><SN>248</SN><DeviceID>330102</DeviceID><StartTime>2026-03-01T00:00:00</StartTime><EndTime>2026-03-02T00:00:00</EndTime></Query>`,
		message: &CatalogQuery{Head: head("248", "330102"), Start: beijing(1, 0, 0, 0), End: beijing(2, 0, 0, 0)},
	},
	"catalog response of 2022": {
		body: `<Response><CmdType>Catalog</CmdType><SN>248</SN><DeviceID>33010200002000000001</DeviceID><SumNum>6</SumNum><DeviceList Num="2">` +
			`<Item><DeviceID>330102</DeviceID><Name>Shangcheng</Name></Item>` +
			`<Item><DeviceID>33010200001320000001</DeviceID><Name>Gate-01</Name><Manufacturer>DemoCam</Manufacturer><Model>DC-200</Model><CivilCode>330102</CivilCode><Block>330102000000</Block><Address>North gate</Address><Parental>0</Parental><ParentID>33010200001180000001/33010200002160000001</ParentID><RegisterWay>1</RegisterWay><Secrecy>0</Secrecy><Status>ON</Status><Longitude>120.17</Longitude><Latitude>30.25</Latitude><BusinessGroupID>33010200002150000001</BusinessGroupID>` +
			`<Info><PTZType>3</PTZType><StreamNumberList>0/1</StreamNumberList><DownloadSpeed>1/2/4</DownloadSpeed><GrassrootsCode>000000</GrassrootsCode><PointType>2</PointType></Info></Item>` +
			`</DeviceList></Response>`,
		message: &CatalogResponse{Head: head("248", lower), SumNum: 6, Items: []Item{
			{DeviceID: "330102", Name: "Shangcheng"},
			gate(),
		}},
		profile: v2022,
	},
	"catalog response of 2016": {
		body: `<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>33010200002000000001</DeviceID><SumNum>1</SumNum><DeviceList Num="1">` +
			`<Item><DeviceID>33010200001320000001</DeviceID><Name>Gate-01</Name><Manufacturer>DemoCam</Manufacturer><Model>DC-200</Model><Owner>police</Owner><CivilCode>330102</CivilCode><Block>330102000000</Block><Address>North gate</Address><Parental>0</Parental><ParentID>33010200001180000001/33010200002160000001</ParentID><SafetyWay>0</SafetyWay><RegisterWay>1</RegisterWay><Secrecy>0</Secrecy><Status>ON</Status><Longitude>120.17</Longitude><Latitude>30.25</Latitude>` +
			`<Info><PTZType>3</PTZType><DownloadSpeed>1/2/4</DownloadSpeed><BusinessGroupID>33010200002150000001</BusinessGroupID></Info></Item></DeviceList></Response>`,
		message: &CatalogResponse{Head: head("1", lower), SumNum: 1, Items: []Item{gate2016()}},
	},
	"catalog response without items": {
		body:    `<Response><CmdType>Catalog</CmdType><SN>248</SN><DeviceID>33010200002000000001</DeviceID><SumNum>0</SumNum></Response>`,
		message: &CatalogResponse{Head: head("248", lower)},
	},
	"catalog response with an empty list": {
		body:    `<Response><CmdType>Catalog</CmdType><SN>248</SN><DeviceID>33010200002000000001</DeviceID><SumNum>0</SumNum><DeviceList Num="0"></DeviceList></Response>`,
		message: &CatalogResponse{Head: head("248", lower)}, readOnly: true,
	},
	"catalog tree of 2022": {
		body: `<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>33010200002000000001</DeviceID><SumNum>4</SumNum><DeviceList Num="4">` +
			`<Item><DeviceID>33010200002000000001</DeviceID><Name>L</Name><Manufacturer>Demo</Manufacturer><Model>VP-1</Model><CivilCode>330102</CivilCode><Address>hall</Address><RegisterWay>1</RegisterWay><Secrecy>0</Secrecy><Status>ON</Status></Item>` +
			`<Item><DeviceID>33010200002150000001</DeviceID><Name>group</Name><CivilCode>330102</CivilCode><ParentID>33010200002000000001</ParentID></Item>` +
			`<Item><DeviceID>33010200002160000001</DeviceID><Name>org</Name><BusinessGroupID>33010200002150000001</BusinessGroupID></Item>` +
			`<Item><DeviceID>33010200002160000002</DeviceID><Name>sub</Name><ParentID>33010200002160000001</ParentID><BusinessGroupID>33010200002150000001</BusinessGroupID></Item>` +
			`</DeviceList></Response>`,
		message: &CatalogResponse{Head: head("1", lower), SumNum: 4, Items: []Item{
			{DeviceID: lower, Name: "L", Status: StatusOn, Make: Make{"Demo", "VP-1"}, Place: Place{CivilCode: "330102", Address: "hall"}, Access: Access{RegisterWay: Some(1), Secrecy: Some(0)}},
			{DeviceID: "33010200002150000001", Name: "group", ParentID: lower, Place: Place{CivilCode: "330102"}},
			{DeviceID: "33010200002160000001", Name: "org", BusinessGroupID: "33010200002150000001"},
			{DeviceID: "33010200002160000002", Name: "sub", ParentID: "33010200002160000001", BusinessGroupID: "33010200002150000001"},
		}},
		profile: v2022,
	},
	"catalog notify": {
		body: `<Notify><CmdType>Catalog</CmdType><SN>12</SN><DeviceID>33010200002000000001</DeviceID><SumNum>2</SumNum><DeviceList Num="2">` +
			`<Item><DeviceID>33010200001320000002</DeviceID><Event>OFF</Event></Item><Item><DeviceID>33010200001320000009</DeviceID><Event>DEL</Event></Item></DeviceList></Notify>`,
		message: &CatalogNotify{Head: head("12", lower), Items: []Item{
			{DeviceID: "33010200001320000002", Event: EventOff}, {DeviceID: "33010200001320000009", Event: EventDelete},
		}},
	},
	"catalog notify, event last, sum with blanks": {
		body:    `<Notify><CmdType>Catalog</CmdType><SN>12</SN><DeviceID>1</DeviceID><SumNum> 1 </SumNum><DeviceList Num=" 3 "><Item><DeviceID>33010200002150000001</DeviceID><Name>g</Name><Event>add</Event></Item></DeviceList></Notify>`,
		message: &CatalogNotify{Head: head("12", "1"), Items: []Item{{DeviceID: "33010200002150000001", Name: "g", Event: EventAdd}}}, readOnly: true,
	},
	"device info query": {
		body:    `<Query><CmdType>DeviceInfo</CmdType><SN>401</SN><DeviceID>33010200002000000001</DeviceID></Query>`,
		message: &DeviceInfoQuery{head("401", lower)},
	},
	"device info response": {
		body:    `<Response><CmdType>DeviceInfo</CmdType><SN>401</SN><DeviceID>33010200002000000001</DeviceID><DeviceName>District platform</DeviceName><Result>OK</Result><Manufacturer>Demo</Manufacturer><Model>VP-1</Model><Firmware>1.4.0</Firmware><Channel>128</Channel><ExtraInfo>a=1</ExtraInfo><ExtraInfo>b</ExtraInfo></Response>`,
		message: &DeviceInfoResponse{Head: head("401", lower), DeviceName: "District platform", Result: ResultOK, Manufacturer: "Demo", Model: "VP-1", Firmware: "1.4.0", Channel: Some(128), Extra: []string{"a=1", "b"}},
	},
	"device status query": {
		body:    `<Query><CmdType>DeviceStatus</CmdType><SN>402</SN><DeviceID>33010200001320000001</DeviceID></Query>`,
		message: &DeviceStatusQuery{head("402", camera)},
	},
	"device status response": {
		body: `<Response><CmdType>DeviceStatus</CmdType><SN>402</SN><DeviceID>33010200001320000001</DeviceID><Result>OK</Result><Online>ONLINE</Online><Status>OK</Status><Encode>ON</Encode><Record>OFF</Record><DeviceTime>2026-03-01T08:00:05</DeviceTime>` +
			`<Alarmstatus Num="1"><Item><DeviceID>33010200001340000001</DeviceID><DutyStatus>ONDUTY</DutyStatus></Item></Alarmstatus></Response>`,
		message: &DeviceStatusResponse{Head: head("402", camera), Result: ResultOK, Online: StatusOn, Health: ResultOK, Encoding: StatusOn, Recording: StatusOff,
			DeviceTime: beijing(1, 8, 0, 5), Alarms: []AlarmDuty{{"33010200001340000001", "ONDUTY"}}},
	},
	"config download query": {
		body:    `<Query><CmdType>ConfigDownload</CmdType><SN>403</SN><DeviceID>33010200001320000001</DeviceID><ConfigType>BasicParam/OSDConfig</ConfigType></Query>`,
		message: &ConfigDownloadQuery{Head: head("403", camera), Types: []string{"BasicParam", "OSDConfig"}},
	},
	"config download response": {
		body: `<Response><CmdType>ConfigDownload</CmdType><SN>403</SN><DeviceID>33010200001320000001</DeviceID><Result>OK</Result><BasicParam><Name>Gate-01</Name><Expiration>86400</Expiration><HeartBeatInterval>60</HeartBeatInterval><HeartBeatCount>3</HeartBeatCount></BasicParam></Response>`,
		message: &ConfigDownloadResponse{Head: head("403", camera), Result: ResultOK,
			Config: Config{Basic: &BasicParam{"Gate-01", Some(86400), Some(60), Some(3)}}},
	},
	"config download of a snapshot, other name": {
		body: `<Response><CmdType>ConfigDownload</CmdType><SN>403</SN><DeviceID>33010200001320000001</DeviceID><Result>OK</Result><SnapShot><SnapNum>1</SnapNum></SnapShot></Response>`,
		message: &ConfigDownloadResponse{Head: head("403", camera), Result: ResultOK,
			Config: Config{SnapShot: &SnapShotConfig{SnapNum: Some(1)}}}, readOnly: true,
	},
	"device config": {
		body:    `<Control><CmdType>DeviceConfig</CmdType><SN>404</SN><DeviceID>33010200001320000001</DeviceID><BasicParam><Name>Gate-01</Name><HeartBeatInterval>60</HeartBeatInterval></BasicParam></Control>`,
		message: &DeviceConfig{Head: head("404", camera), Config: Config{Basic: &BasicParam{Name: "Gate-01", HeartBeatInterval: Some(60)}}},
	},
	"device config of pictures": {
		body: `<Control><CmdType>DeviceConfig</CmdType><SN>802</SN><DeviceID>33010200001320000001</DeviceID><SnapShotConfig><SnapNum>3</SnapNum><Interval>1</Interval><UploadURL>http://192.0.2.11:8089/snap/9b1d4f</UploadURL><SessionID>0c1d2e3f-5566-4788-99aa-bbccddeeff00</SessionID></SnapShotConfig></Control>`,
		message: &DeviceConfig{Head: head("802", camera), Config: Config{SnapShot: &SnapShotConfig{Some(3), Some(1),
			"http://192.0.2.11:8089/snap/9b1d4f", "0c1d2e3f-5566-4788-99aa-bbccddeeff00"}}},
		profile: v2022,
	},
	"device config of text in the picture": {
		body: `<Control><CmdType>DeviceConfig</CmdType><SN>808</SN><DeviceID>33010200001320000001</DeviceID><OSDConfig><Length>1920</Length><Width>1080</Width><TimeX>40</TimeX><TimeY>40</TimeY><TimeEnable>1</TimeEnable><TimeType>0</TimeType><TextEnable>1</TextEnable><SumNum>1</SumNum><Item><Text>Gate-01</Text><X>40</X><Y>1000</Y></Item></OSDConfig></Control>`,
		message: &DeviceConfig{Head: head("808", camera), Config: Config{OSD: &OSDConfig{Some(1920), Some(1080), Some(40), Some(40), Some(1), Some(0), Some(1),
			[]OSDText{{"Gate-01", Some(40), Some(1000)}}}}},
		profile: v2022,
	},
	"device config response": {
		body:    `<Response><CmdType>DeviceConfig</CmdType><SN>404</SN><DeviceID>33010200001320000001</DeviceID><Result>OK</Result></Response>`,
		message: &DeviceConfigResponse{Head: head("404", camera), Result: ResultOK},
	},
	"preset query": {
		body:    `<Query><CmdType>PresetQuery</CmdType><SN>405</SN><DeviceID>33010200001320000001</DeviceID></Query>`,
		message: &PresetQuery{head("405", camera)},
	},
	"preset response": {
		body:    `<Response><CmdType>PresetQuery</CmdType><SN>405</SN><DeviceID>33010200001320000001</DeviceID><SumNum>2</SumNum><PresetList Num="2"><Item><PresetID>1</PresetID><PresetName>door</PresetName></Item><Item><PresetID>2</PresetID><PresetName>yard</PresetName></Item></PresetList></Response>`,
		message: &PresetResponse{Head: head("405", camera), SumNum: 2, Presets: []Preset{{"1", "door"}, {"2", "yard"}}},
		profile: v2022,
	},
	"preset response of 2016 without presets": {
		body:    `<Response><CmdType>PresetQuery</CmdType><SN>405</SN><DeviceID>33010200001320000001</DeviceID><PresetList Num="0"></PresetList></Response>`,
		message: &PresetResponse{Head: head("405", camera)},
	},
	"home position query": {
		body:    `<Query><CmdType>HomePositionQuery</CmdType><SN>406</SN><DeviceID>33010200001320000001</DeviceID></Query>`,
		message: &HomePositionQuery{head("406", camera)},
	},
	"home position response": {
		body:    `<Response><CmdType>HomePositionQuery</CmdType><SN>406</SN><DeviceID>33010200001320000001</DeviceID><HomePosition><Enabled>1</Enabled><ResetTime>60</ResetTime><PresetIndex>1</PresetIndex></HomePosition></Response>`,
		message: &HomePositionResponse{Head: head("406", camera), Home: &HomePosition{true, Some(60), Some(1)}},
	},
	"home position response, other name": {
		body:    `<Response><CmdType>HomePosition</CmdType><SN>406</SN><DeviceID>33010200001320000001</DeviceID><Result>ERROR</Result><Reason>no</Reason></Response>`,
		message: &HomePositionResponse{Head: head("406", camera), Result: ResultError, Reason: "no"}, readOnly: true,
	},
	"position query": {
		body:    `<Query><CmdType>MobilePosition</CmdType><SN>407</SN><DeviceID>33010200001380000001</DeviceID><Interval>5</Interval></Query>`,
		message: &MobilePositionQuery{Head: head("407", "33010200001380000001"), Interval: Some(5)},
	},
	"position notify of 2016": {
		body: `<Notify><CmdType>MobilePosition</CmdType><SN>9</SN><DeviceID>33010200001380000001</DeviceID><Time>2026-03-01T08:01:00</Time><Longitude>120.17</Longitude><Latitude>30.25</Latitude><Speed>12.5</Speed><Direction>90</Direction><Altitude>8</Altitude></Notify>`,
		message: &MobilePositionNotify{Head: head("9", "33010200001380000001"), Time: beijing(1, 8, 1, 0), SumNum: 1, Positions: []Position{
			{"33010200001380000001", beijing(1, 8, 1, 0), Some(120.17), Some(30.25), Some(12.5), Some(90.), Some(8.), Opt[float64]{}}}},
	},
	"position notify of 2022": {
		body: `<Notify><CmdType>MobilePosition</CmdType><SN>10</SN><DeviceID>33010200002000000001</DeviceID><Time>2026-03-01T08:01:02</Time><SumNum>1</SumNum><DeviceList Num="1"><Item><DeviceID>33010200001380000001</DeviceID><CaptureTime>2026-03-01T08:01:00</CaptureTime><Longitude>120.17</Longitude><Latitude>30.25</Latitude><Speed>12.5</Speed><Direction>0</Direction><Altitude>8</Altitude><Height>1.5</Height></Item></DeviceList></Notify>`,
		message: &MobilePositionNotify{Head: head("10", lower), Time: beijing(1, 8, 1, 2), SumNum: 1, Positions: []Position{
			{"33010200001380000001", beijing(1, 8, 1, 0), Some(120.17), Some(30.25), Some(12.5), Some(0.), Some(8.), Some(1.5)}}},
		profile: v2022,
	},
	"alarm notify": {
		body:    `<Notify><CmdType>Alarm</CmdType><SN>501</SN><DeviceID>33010200001340000001</DeviceID><AlarmPriority>2</AlarmPriority><AlarmMethod>5</AlarmMethod><AlarmTime>2026-03-01T08:02:11</AlarmTime><AlarmDescription>tripwire</AlarmDescription><Info><AlarmType>5</AlarmType></Info></Notify>`,
		message: &AlarmNotify{Head: head("501", "33010200001340000001"), Priority: Some(2), Method: Some(5), Time: beijing(1, 8, 2, 11), Description: "tripwire", Type: Some(5)},
	},
	"alarm notify in lower case": {
		body:    `<notify><cmdType>ALARM</cmdType><sn>501</sn><deviceid>33010200001340000001</deviceid><alarmpriority>1</alarmpriority><info><alarmType>6</alarmType><AlarmTypeParam><EventType>1</EventType></AlarmTypeParam></info></notify>`,
		message: &AlarmNotify{Head: head("501", "33010200001340000001"), Priority: Some(1), Type: Some(6), EventType: Some(1)}, readOnly: true,
	},
	"alarm response": {
		body:    `<Response><CmdType>Alarm</CmdType><SN>501</SN><DeviceID>33010200001340000001</DeviceID><Result>OK</Result></Response>`,
		message: &AlarmResponse{Head: head("501", "33010200001340000001"), Result: ResultOK},
	},
	"alarm query": {
		body:    `<Query><CmdType>Alarm</CmdType><SN>502</SN><DeviceID>33010200002000000001</DeviceID><StartAlarmPriority>0</StartAlarmPriority><EndAlarmPriority>0</EndAlarmPriority><AlarmMethod>0</AlarmMethod></Query>`,
		message: &AlarmQuery{Head: head("502", lower), StartPriority: Some(0), EndPriority: Some(0), Method: "0"},
	},
	"record query": {
		body:    `<Query><CmdType>RecordInfo</CmdType><SN>701</SN><DeviceID>33010200001320000001</DeviceID><StartTime>2026-03-01T00:00:00</StartTime><EndTime>2026-03-01T23:59:59</EndTime><Secrecy>0</Secrecy><Type>all</Type></Query>`,
		message: &RecordInfoQuery{Head: head("701", camera), Start: beijing(1, 0, 0, 0), End: beijing(1, 23, 59, 59), Secrecy: Some(0), Type: "all"},
	},
	"record response": {
		body: `<Response><CmdType>RecordInfo</CmdType><SN>701</SN><DeviceID>33010200001320000001</DeviceID><Name>Gate-01</Name><SumNum>2</SumNum><RecordList Num="2">` +
			`<Item><DeviceID>33010200001320000001</DeviceID><Name>Gate-01</Name><FilePath>/rec/0800</FilePath><Address>North gate</Address><StartTime>2026-03-01T08:00:00</StartTime><EndTime>2026-03-01T08:30:00</EndTime><Secrecy>0</Secrecy><Type>time</Type><RecorderID>33010200001180000001</RecorderID><FileSize>187000000000</FileSize></Item>` +
			`<Item><DeviceID>33010200001320000001</DeviceID><Name>Gate-01</Name><FilePath>/rec/0830</FilePath><Address>North gate</Address><StartTime>2026-03-01T08:30:00</StartTime><EndTime>2026-03-01T09:00:00</EndTime><Secrecy>0</Secrecy><Type>time</Type></Item>` +
			`</RecordList></Response>`,
		message: &RecordInfoResponse{Head: head("701", camera), Name: "Gate-01", SumNum: 2, Records: []Record{
			{DeviceID: camera, Name: "Gate-01", FilePath: "/rec/0800", Address: "North gate", Start: beijing(1, 8, 0, 0), End: beijing(1, 8, 30, 0), Secrecy: Some(0), Type: "time", RecorderID: "33010200001180000001", FileSize: Some[int64](187000000000)},
			{DeviceID: camera, Name: "Gate-01", FilePath: "/rec/0830", Address: "North gate", Start: beijing(1, 8, 30, 0), End: beijing(1, 9, 0, 0), Secrecy: Some(0), Type: "time"},
		}},
	},
	"ptz": {
		body:    control(`<PTZCmd>A50F010280000037</PTZCmd><Info><ControlPriority>5</ControlPriority></Info>`),
		message: &DeviceControl{Head: head("510", camera), Command: &PTZCommand{Hex: "A50F010280000037"}, Priority: Some(5)},
	},
	"ptz with the name of a preset": {
		body:    control(`<PTZCmd>A50F01810005003B</PTZCmd><PTZCmdParams><PresetName>door</PresetName></PTZCmdParams>`),
		message: &DeviceControl{Head: head("510", camera), Command: &PTZCommand{Hex: "A50F01810005003B", PresetName: "door"}},
	},
	"ptz that says nothing": {body: control(`<PTZCmd></PTZCmd>`), message: order(&PTZCommand{})},
	"ptz that says nothing beside another": {
		body: control(`<PTZCmd></PTZCmd><IFrameCmd>Send</IFrameCmd>`), message: order(&KeyFrame{}), readOnly: true,
	},
	"restart":            {body: control(`<TeleBoot>Boot</TeleBoot>`), message: order(&TeleBoot{})},
	"record":             {body: control(`<RecordCmd>Record</RecordCmd><StreamNumber>1</StreamNumber>`), message: order(&Recording{On: true, StreamNumber: Some(1)})},
	"stop record":        {body: control(`<RecordCmd>StopRecord</RecordCmd>`), message: order(&Recording{})},
	"guard":              {body: control(`<GuardCmd>SetGuard</GuardCmd>`), message: order(&Guard{On: true})},
	"reset guard":        {body: control(`<GuardCmd>ResetGuard</GuardCmd>`), message: order(&Guard{})},
	"reset alarm":        {body: control(`<AlarmCmd>ResetAlarm</AlarmCmd><Info><AlarmMethod>2</AlarmMethod></Info>`), message: order(&AlarmReset{Method: "2"})},
	"key frame":          {body: control(`<IFrameCmd>Send</IFrameCmd>`), message: order(&KeyFrame{})},
	"misspelt key frame": {body: control(`<IFameCmd>Send</IFameCmd>`), message: order(&KeyFrame{}), readOnly: true},
	"drag in": {body: control(`<DragZoomIn><Length>1920</Length><Width>1080</Width><MidPointX>960</MidPointX><MidPointY>540</MidPointY><LengthX>480</LengthX><LengthY>270</LengthY></DragZoomIn>`),
		message: order(&DragZoom{Box: Box{1920, 1080, 960, 540, 480, 270}})},
	"drag out": {body: control(`<DragZoomOut><Length>1920</Length><Width>1080</Width><MidPointX>960</MidPointX><MidPointY>540</MidPointY><LengthX>480</LengthX><LengthY>270</LengthY></DragZoomOut>`),
		message: order(&DragZoom{Out: true, Box: Box{1920, 1080, 960, 540, 480, 270}})},
	"home position": {body: control(`<HomePosition><Enabled>1</Enabled><ResetTime>60</ResetTime><PresetIndex>1</PresetIndex></HomePosition>`),
		message: order(&HomePosition{true, Some(60), Some(1)})},
	"precise": {body: control(`<PTZPreciseCtrl><Pan>45</Pan><Tilt>0</Tilt><Zoom>2</Zoom></PTZPreciseCtrl>`),
		message: order(&PTZPrecise{Some(45.), Some(0.), Some(2.)})},
	"upgrade": {body: control(`<DeviceUpgrade><Firmware>V2.1.0</Firmware><FileURL>http://192.0.2.11:8088/fw/dc200-2.1.0.bin</FileURL><Manufacturer>DemoCam</Manufacturer><SessionID>7e2f90c1-4b7d-4c53-9d40-a1b2c3d4e5f6</SessionID></DeviceUpgrade>`),
		message: order(&DeviceUpgrade{"V2.1.0", "http://192.0.2.11:8088/fw/dc200-2.1.0.bin", "DemoCam", "7e2f90c1-4b7d-4c53-9d40-a1b2c3d4e5f6"})},
	"format":          {body: control(`<FormatSDCard>0</FormatSDCard>`), message: order(&FormatSDCard{})},
	"unknown command": {body: control(`<GuardCmd>Maybe</GuardCmd>`), message: order(nil), readOnly: true},
	"track": {body: control(`<TargetTrack>Manual</TargetTrack><DeviceID2>33010200001320000012</DeviceID2><TargetArea><Length>1920</Length><Width>1080</Width><MidPointX>700</MidPointX><MidPointY>400</MidPointY><LengthX>120</LengthX><LengthY>260</LengthY></TargetArea>`),
		message: order(&TargetTrack{"Manual", "33010200001320000012", &Box{1920, 1080, 700, 400, 120, 260}})},
	"control response": {
		body:    `<Response><CmdType>DeviceControl</CmdType><SN>511</SN><DeviceID>33010200001320000001</DeviceID><Result>OK</Result></Response>`,
		message: &DeviceControlResponse{Head: head("511", camera), Result: ResultOK},
	},
	"broadcast notify": {
		body:    `<Notify><CmdType>Broadcast</CmdType><SN>601</SN><SourceID>33010000002000000001</SourceID><TargetID>33010200001370000001</TargetID></Notify>`,
		message: &BroadcastNotify{head("601", ""), "33010000002000000001", "33010200001370000001"},
	},
	"broadcast response": {
		body:    `<Response><CmdType>Broadcast</CmdType><SN>601</SN><DeviceID>33010200001370000001</DeviceID><Result>OK</Result></Response>`,
		message: &BroadcastResponse{Head: head("601", "33010200001370000001"), Result: ResultOK},
	},
	"media status": {
		body:    `<Notify><CmdType>MediaStatus</CmdType><SN>77</SN><DeviceID>33010200001320000001</DeviceID><NotifyType>121</NotifyType></Notify>`,
		message: &MediaStatus{head("77", camera), EndOfFile},
	},
	"upgrade result": {
		body:    `<Notify><CmdType>DeviceUpgradeResult</CmdType><SN>19</SN><DeviceID>33010200001320000001</DeviceID><SessionID>7e2f90c1-4b7d-4c53-9d40-a1b2c3d4e5f6</SessionID><UpgradeResult>OK</UpgradeResult><Firmware>V2.1.0</Firmware></Notify>`,
		message: &UpgradeResult{Head: head("19", camera), SessionID: "7e2f90c1-4b7d-4c53-9d40-a1b2c3d4e5f6", Result: ResultOK, Firmware: "V2.1.0"},
	},
	"pictures uploaded": {
		body:    `<Notify><CmdType>UploadSnapShotFinished</CmdType><SN>20</SN><DeviceID>33010200001320000001</DeviceID><SessionID>0c1d2e3f-5566-4788-99aa-bbccddeeff00</SessionID><SnapShotList><SnapShotFileID>33010200001320000001022026030108030012301</SnapShotFileID></SnapShotList></Notify>`,
		message: &SnapShotFinished{head("20", camera), "0c1d2e3f-5566-4788-99aa-bbccddeeff00", []string{"33010200001320000001022026030108030012301"}},
	},
	"video upload": {
		body:    `<Notify><CmdType>VideoUploadNotify</CmdType><SN>21</SN><DeviceID>33010200001380000001</DeviceID><Time>2026-03-01T08:01:00</Time></Notify>`,
		message: &VideoUploadNotify{Head: head("21", "33010200001380000001"), Time: beijing(1, 8, 1, 0)},
	},
	"direction query": {
		body:    `<Query><CmdType>PTZPosition</CmdType><SN>804</SN><DeviceID>33010200001320000001</DeviceID></Query>`,
		message: &PTZPositionQuery{head("804", camera)},
	},
	"direction response": {
		body: `<Response><CmdType>PTZPosition</CmdType><SN>804</SN><DeviceID>33010200001320000001</DeviceID><Pan>45</Pan><Tilt>0</Tilt><Zoom>2</Zoom><HorizontalFieldAngle>58</HorizontalFieldAngle><VerticalFieldAngle>33</VerticalFieldAngle><MaxViewDistance>120</MaxViewDistance></Response>`,
		message: &PTZPositionResponse{Head: head("804", camera), Position: PTZPosition{
			PTZPrecise{Some(45.), Some(0.), Some(2.)}, Some(58.), Some(33.), Some(120.)}},
	},
	"direction notify": {
		body:    `<Notify><CmdType>PTZPosition</CmdType><SN>804</SN><DeviceID>33010200001320000001</DeviceID><Pan>45</Pan></Notify>`,
		message: &PTZPositionNotify{Head: head("804", camera), Position: PTZPosition{PTZPrecise: PTZPrecise{Pan: Some(45.)}}},
	},
	"card query": {
		body:    `<Query><CmdType>SDCardStatus</CmdType><SN>805</SN><DeviceID>33010200001320000001</DeviceID></Query>`,
		message: &SDCardStatusQuery{head("805", camera)},
	},
	"card response": {
		body: `<Response><CmdType>SDCardStatus</CmdType><SN>805</SN><DeviceID>33010200001320000001</DeviceID><SumNum>1</SumNum><SDCardStatusInfo Num="1"><Item><ID>1</ID><HddName>sd1</HddName><Status>formatting</Status><FormatProgress>40</FormatProgress><Capacity>65536</Capacity><FreeSpace>0</FreeSpace></Item></SDCardStatusInfo></Response>`,
		message: &SDCardStatusResponse{Head: head("805", camera), SumNum: 1, Cards: []SDCard{
			{Some(1), "sd1", "formatting", Some(40), Some[int64](65536), Some[int64](0)}}},
	},
	"cruise list query": {
		body:    `<Query><CmdType>CruiseTrackListQuery</CmdType><SN>807</SN><DeviceID>33010200001320000001</DeviceID></Query>`,
		message: &CruiseTrackListQuery{head("807", camera)},
	},
	"cruise list response": {
		body:    `<Response><CmdType>CruiseTrackListQuery</CmdType><SN>807</SN><DeviceID>33010200001320000001</DeviceID><SumNum>1</SumNum><CruiseTrackList Num="1"><CruiseTrack><Number>0</Number><Name>round</Name></CruiseTrack></CruiseTrackList></Response>`,
		message: &CruiseTrackListResponse{Head: head("807", camera), SumNum: 1, Tracks: []CruiseTrack{{Some(0), "round"}}},
	},
	"cruise query": {
		body:    `<Query><CmdType>CruiseTrackQuery</CmdType><SN>807</SN><DeviceID>33010200001320000001</DeviceID><Number>0</Number></Query>`,
		message: &CruiseTrackQuery{head("807", camera), Some(0)},
	},
	"cruise response": {
		body: `<Response><CmdType>CruiseTrackQuery</CmdType><SN>807</SN><DeviceID>33010200001320000001</DeviceID><Number>0</Number><Name>round</Name><SumNum>2</SumNum><CruisePointList Num="2"><CruisePoint><PresetIndex>1</PresetIndex><StayTime>10</StayTime><Speed>6</Speed></CruisePoint><CruisePoint><PresetIndex>2</PresetIndex><StayTime>10</StayTime><Speed>6</Speed></CruisePoint></CruisePointList></Response>`,
		message: &CruiseTrackResponse{Head: head("807", camera), CruiseTrack: CruiseTrack{Some(0), "round"}, SumNum: 2,
			Points: []CruisePoint{{Some(1), Some(10), Some(6)}, {Some(2), Some(10), Some(6)}}},
	},
	"unknown": {
		body:    `<Response><CmdType>TimeSync</CmdType><SN>9</SN><DeviceID>33010200001320000001</DeviceID><Result>ERROR</Result></Response>`,
		message: &Unknown{Head: head("9", camera), Root: Response, CmdType: "TimeSync", Result: ResultError},
	},
}

func control(command string) string {
	return `<Control><CmdType>DeviceControl</CmdType><SN>510</SN><DeviceID>33010200001320000001</DeviceID>` + command + `</Control>`
}

func order(c Command) *DeviceControl { return &DeviceControl{Head: head("510", camera), Command: c} }

func gate() Item {
	return Item{
		DeviceID: camera, Name: "Gate-01", Status: StatusOn, Parental: Some(0),
		ParentID: "33010200001180000001/33010200002160000001", BusinessGroupID: "33010200002150000001",
		Make:   Make{"DemoCam", "DC-200"},
		Place:  Place{"330102", "330102000000", "North gate", Some(120.17), Some(30.25)},
		Access: Access{RegisterWay: Some(1), Secrecy: Some(0)},
		Info: Info{Optics{PTZType: Some(3)}, Streams{StreamNumberList: "0/1", DownloadSpeed: "1/2/4"},
			Site{GrassrootsCode: "000000", PointType: Some(2)}},
	}
}

func gate2016() Item {
	it := gate()
	it.Legacy = Legacy{Owner: "police", SafetyWay: Some(0)}
	it.Info = Info{Optics: Optics{PTZType: Some(3)}, Streams: Streams{DownloadSpeed: "1/2/4"}}
	return it
}

func TestVectors(t *testing.T) {
	for name, v := range vectors {
		t.Run(name, func(t *testing.T) {
			got, err := Decode([]byte(v.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.message, got); diff != "" {
				t.Errorf("decoded (-want +got)\n%s", diff)
			}
			if v.readOnly {
				return
			}
			body, err := Encode(v.message, v.profile)
			if err != nil {
				t.Fatal(err)
			}
			want := `<?xml version="1.0" encoding="` + v.profile.charset().String() + `"?>` + v.body
			if diff := cmp.Diff(want, strings.ReplaceAll(string(body), "\r\n", "")); diff != "" {
				t.Errorf("encoded (-want +got)\n%s", diff)
			}
		})
	}
}

// Every command the decoder knows has a vector, so that no type goes untested.
func TestEveryCommandHasAVector(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range vectors {
		root, cmd := NameOf(v.message)
		seen[root.String()+" "+cmd] = true
	}
	for _, m := range allMessages() {
		root, cmd := NameOf(m)
		if !seen[root.String()+" "+cmd] {
			t.Errorf("no vector for %s %s", root, cmd)
		}
	}
}
