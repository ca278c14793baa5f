package onvif

import "encoding/base64"

func decodeBase64(s string) ([]byte, error) { return base64.StdEncoding.DecodeString(s) }

// soap wraps a body in an envelope with the prefixes of the first vendor.
func soap(body string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:tds="` + nsDevice + `" xmlns:trt="` + nsMedia +
		`" xmlns:tr2="` + nsMedia2 + `" xmlns:tptz="` + nsPTZ + `" xmlns:tt="` + nsSchema + `">
<SOAP-ENV:Header/><SOAP-ENV:Body>` + body + `</SOAP-ENV:Body></SOAP-ENV:Envelope>`
}

// plain wraps a body without any prefix: default namespaces throughout.
func plain(body string) string {
	return `<Envelope xmlns="http://www.w3.org/2003/05/soap-envelope"><Body>` + body + `</Body></Envelope>`
}

const fakeTime = `<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>
<tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone><tt:UTCDateTime>
<tt:Time><tt:Hour>%H%</tt:Hour><tt:Minute>%M%</tt:Minute><tt:Second>%S%</tt:Second></tt:Time>
<tt:Date><tt:Year>%Y%</tt:Year><tt:Month>%O%</tt:Month><tt:Day>%D%</tt:Day></tt:Date></tt:UTCDateTime>
</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>`

// modern is a dome with media2, whose own idea of its address is wrong.
var modern = map[string]string{
	"GetSystemDateAndTime": soap(fakeTime),
	"GetDeviceInformation": soap(`<tds:GetDeviceInformationResponse><tds:Manufacturer> Acme </tds:Manufacturer><tds:Model>Dome 4K</tds:Model>
<tds:FirmwareVersion>V1.2.3</tds:FirmwareVersion><tds:SerialNumber>AC2024-0001</tds:SerialNumber><tds:HardwareId>88</tds:HardwareId></tds:GetDeviceInformationResponse>`),
	"GetNetworkInterfaces": soap(`<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="lo"><tt:Enabled>true</tt:Enabled><tt:Info><tt:Name>lo</tt:Name>
<tt:HwAddress>00:00:00:00:00:00</tt:HwAddress></tt:Info></tds:NetworkInterfaces><tds:NetworkInterfaces token="eth0"><tt:Enabled>true</tt:Enabled>
<tt:Info><tt:Name>eth0</tt:Name><tt:HwAddress>02-1A-2B-3C-4D-5E</tt:HwAddress></tt:Info></tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>`),
	"GetServices": soap(`<tds:GetServicesResponse>
<tds:Service><tds:Namespace>` + nsDevice + `</tds:Namespace><tds:XAddr>http://192.168.1.64:80/onvif/device_service</tds:XAddr></tds:Service>
<tds:Service><tds:Namespace>` + nsMedia + `</tds:Namespace><tds:XAddr>http://192.168.1.64:80/onvif/media</tds:XAddr></tds:Service>
<tds:Service><tds:Namespace>` + nsMedia2 + `</tds:Namespace><tds:XAddr> http://192.168.1.64:80/onvif/media2 </tds:XAddr></tds:Service>
<tds:Service><tds:Namespace>` + nsPTZ + `</tds:Namespace><tds:XAddr>http://192.168.1.64:80/onvif/ptz</tds:XAddr></tds:Service>
<tds:Service><tds:Namespace>` + nsImaging + `</tds:Namespace><tds:XAddr>http://192.168.1.64:80/onvif/imaging</tds:XAddr></tds:Service>
<tds:Service><tds:Namespace>urn:vendor</tds:Namespace><tds:XAddr>ftp://x/</tds:XAddr></tds:Service>
</tds:GetServicesResponse>`),
	"GetProfiles": soap(`<tr2:GetProfilesResponse>
<tr2:Profiles token="p2" fixed="true"><tr2:Name>jpeg</tr2:Name><tr2:Configurations><tr2:VideoSource token="vs"><tt:SourceToken>src1</tt:SourceToken></tr2:VideoSource>
<tr2:VideoEncoder token="v2"><tt:Encoding>JPEG</tt:Encoding><tt:Resolution><tt:Width>7680</tt:Width><tt:Height>4320</tt:Height></tt:Resolution></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>
<tr2:Profiles token="p1"><tr2:Name>sub</tr2:Name><tr2:Configurations><tr2:VideoSource token="vs"><tt:SourceToken>src1</tt:SourceToken></tr2:VideoSource>
<tr2:VideoEncoder token="v1" GovLength="50"><tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>640</tt:Width><tt:Height>360</tt:Height></tt:Resolution>
<tt:RateControl ConstantBitRate="true"><tt:FrameRateLimit>12.5</tt:FrameRateLimit><tt:BitrateLimit>512</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>
<tr2:Profiles token="p0"><tr2:Name>main</tr2:Name><tr2:Configurations><tr2:VideoSource token="vs"><tt:SourceToken>src1</tt:SourceToken></tr2:VideoSource>
<tr2:VideoEncoder token="v0"><tt:Encoding>H265</tt:Encoding><tt:Resolution><tt:Width>3840</tt:Width><tt:Height>2160</tt:Height></tt:Resolution>
<tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit><tt:BitrateLimit>8192</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder>
<tr2:AudioEncoder token="a0"><tt:Encoding>MP4A-LATM</tt:Encoding><tt:Bitrate>64</tt:Bitrate><tt:SampleRate>48</tt:SampleRate></tr2:AudioEncoder>
<tr2:PTZ token="ptz0"><tt:NodeToken>n</tt:NodeToken></tr2:PTZ></tr2:Configurations></tr2:Profiles></tr2:GetProfilesResponse>`),
	"GetStreamUri":            soap(`<tr2:GetStreamUriResponse><tr2:Uri>rtsp://u:p@192.168.1.64:8554/main?x=1&amp;y=2</tr2:Uri></tr2:GetStreamUriResponse>`),
	"SetSynchronizationPoint": soap(`<tr2:SetSynchronizationPointResponse/>`),
	"GetSnapshotUri":          soap(`<tr2:GetSnapshotUriResponse><tr2:Uri>http://192.168.1.64/snap.jpg</tr2:Uri></tr2:GetSnapshotUriResponse>`),
	"GetStatus": soap(`<tptz:GetStatusResponse><tptz:PTZStatus><tt:Position><tt:PanTilt x="0.5" y="-0.25" space="http://www.onvif.org/ver10/tptz/PanTiltSpaces/PositionGenericSpace"/>
<tt:Zoom x="1"/></tt:Position><tt:MoveStatus><tt:PanTilt>IDLE</tt:PanTilt><tt:Zoom>MOVING</tt:Zoom></tt:MoveStatus><tt:UtcTime>2024-01-01T00:00:00Z</tt:UtcTime></tptz:PTZStatus></tptz:GetStatusResponse>`),
	"GetPresets": soap(`<tptz:GetPresetsResponse><tptz:Preset token="1"><tt:Name>gate</tt:Name></tptz:Preset>
<tptz:Preset token="2"><tt:Name>yard</tt:Name><tt:PTZPosition><tt:Zoom x="0.1"/></tt:PTZPosition></tptz:Preset></tptz:GetPresetsResponse>`),
	"SetPreset":            soap(`<tptz:SetPresetResponse><tptz:PresetToken>7</tptz:PresetToken></tptz:SetPresetResponse>`),
	"ContinuousMove":       soap(`<tptz:ContinuousMoveResponse/>`),
	"AbsoluteMove":         soap(`<tptz:AbsoluteMoveResponse/>`),
	"RelativeMove":         soap(`<tptz:RelativeMoveResponse/>`),
	"Stop":                 soap(`<tptz:StopResponse/>`),
	"GotoPreset":           soap(`<tptz:GotoPresetResponse/>`),
	"RemovePreset":         soap(`<tptz:RemovePresetResponse/>`),
	"SendAuxiliaryCommand": soap(`<tptz:SendAuxiliaryCommandResponse><tptz:AuxiliaryResponse>OK</tptz:AuxiliaryResponse></tptz:SendAuxiliaryCommandResponse>`),
	"Move":                 soap(`<timg:MoveResponse/>`),
	"GetMoveOptions": soap(`<timg:GetMoveOptionsResponse><timg:MoveOptions><tt:Continuous><tt:Speed><tt:Min>-7</tt:Min><tt:Max>5.0</tt:Max></tt:Speed></tt:Continuous>
</timg:MoveOptions></timg:GetMoveOptionsResponse>`),
	"SystemReboot":         soap(`<tds:SystemRebootResponse><tds:Message>Rebooting in 30 seconds</tds:Message></tds:SystemRebootResponse>`),
	"SetSystemDateAndTime": soap(`<tds:SetSystemDateAndTimeResponse/>`),
}

// old is a two-channel encoder box of 2010: no GetServices, ver10 media only, no
// prefixes, no network interfaces to tell, and the right address.
var old = map[string]string{
	"GetSystemDateAndTime": plain(`<GetSystemDateAndTimeResponse xmlns="` + nsDevice + `"><SystemDateAndTime><DateTimeType>Manual</DateTimeType>
<UTCDateTime><Time><Hour>%H%</Hour><Minute>%M%</Minute><Second>%S%</Second></Time><Date><Year>%Y%</Year><Month>%O%</Month><Day>%D%</Day></Date></UTCDateTime>
</SystemDateAndTime></GetSystemDateAndTimeResponse>`),
	"GetDeviceInformation": plain(`<GetDeviceInformationResponse xmlns="` + nsDevice + `"><Manufacturer>Old &amp; Sons</Manufacturer><Model>E2</Model>
<FirmwareVersion>1</FirmwareVersion><SerialNumber>SN-77</SerialNumber></GetDeviceInformationResponse>`),
	"GetCapabilities": plain(`<GetCapabilitiesResponse xmlns="` + nsDevice + `"><Capabilities><Device xmlns="` + nsSchema + `"><XAddr>http://%HOST%/onvif/device_service</XAddr></Device>
<Media xmlns="` + nsSchema + `"><XAddr>http://%HOST%/m</XAddr></Media></Capabilities></GetCapabilitiesResponse>`),
	"GetProfiles": plain(`<GetProfilesResponse xmlns="` + nsMedia + `">
<Profiles token="a"><Name xmlns="` + nsSchema + `">one</Name><VideoSourceConfiguration token="x"><SourceToken>in1</SourceToken></VideoSourceConfiguration>
<VideoEncoderConfiguration token="x"><Name>e</Name><Encoding>H264</Encoding><Resolution><Width>704</Width><Height>576</Height></Resolution>
<RateControl><FrameRateLimit>25</FrameRateLimit><EncodingInterval>1</EncodingInterval><BitrateLimit>1024</BitrateLimit></RateControl><H264><GovLength>25</GovLength></H264></VideoEncoderConfiguration>
<AudioEncoderConfiguration token="x"><Encoding>G711</Encoding><Bitrate>64</Bitrate><SampleRate>8000</SampleRate></AudioEncoderConfiguration></Profiles>
<Profiles token="b"><Name>two</Name><VideoSourceConfiguration token="y"><SourceToken>in2</SourceToken></VideoSourceConfiguration>
<VideoEncoderConfiguration token="y"><Encoding>MPEG4</Encoding><Resolution><Width>352</Width><Height>288</Height></Resolution></VideoEncoderConfiguration></Profiles>
<Profiles token="c"><Name>metadata only</Name></Profiles></GetProfilesResponse>`),
	"GetStreamUri": plain(`<GetStreamUriResponse xmlns="` + nsMedia + `"><MediaUri><Uri xmlns="` + nsSchema + `">rtsp://10.9.9.9/ch1</Uri>
<InvalidAfterConnect>false</InvalidAfterConnect></MediaUri></GetStreamUriResponse>`),
	"GetSnapshotUri": plain(`<GetSnapshotUriResponse xmlns="` + nsMedia + `"><MediaUri><Uri>file:///etc/passwd</Uri></MediaUri></GetSnapshotUriResponse>`),
}
