package manscdp

import "strings"

// A NodeKind is what a catalogue item stands for. The standard tells the kinds
// apart only by length and type digits of the identity (2022 Annex J, 2016 Annex O).
type NodeKind uint8

// The kinds of node.
const (
	NodeDevice NodeKind = iota // device, channel or anything else
	NodeRegion                 // 2, 4, 6 or 8 digits: a civil region
	NodeSystem                 // type 200: a platform
	NodeGroup                  // type 215: a business group
	NodeOrg                    // type 216: a virtual organisation
)

// KindOf returns the kind of node an identity denotes. It checks nothing else.
func KindOf(id string) NodeKind {
	if strings.Trim(id, "0123456789") != "" {
		return NodeDevice
	}
	switch len(id) {
	case 2, 4, 6, 8:
		return NodeRegion
	case 20:
		switch id[10:13] {
		case "200":
			return NodeSystem
		case "215":
			return NodeGroup
		case "216":
			return NodeOrg
		}
	}
	return NodeDevice
}

// An Item is one node of a catalogue (A.2.1 itemType, A.2.6 Catalog). Codes are
// raw text. Encode writes for regions, systems, groups and organisations only what
// the standard wants of them; for devices all that the edition has.
type Item struct {
	DeviceID        string
	Name            string
	Event           Event  // only in a CatalogNotify
	Status          Status // unknown is written as OFF
	Parental        Opt[int]
	ParentID        string // one or several identities joined by '/'
	BusinessGroupID string // of type 215
	Make
	Place
	Access
	Legacy
	Info Info
}

// Make says who built a device; both fields are mandatory for devices.
type Make struct {
	Manufacturer string
	Model        string
}

// Place says where a device is.
type Place struct {
	CivilCode string       // the region it hangs under: 2, 4, 6 or 8 digits
	Block     string       // code of the police organisation (GA/T 380)
	Address   string       // where it is installed
	Longitude Opt[float64] // degrees, WGS-84
	Latitude  Opt[float64] // degrees, WGS-84
}

// Access says how a device registers and is reached. A Password is neither read
// nor written.
type Access struct {
	RegisterWay       Opt[int] // 1 digest, 2 mutual password, 3 mutual certificate, 4 one-way certificate (2022); unset is written as 1
	Secrecy           Opt[int] // 0 no, 1 classified; unset is written as 0
	SecurityLevelCode string   // A, B or C of GB 35114 (2022)
	IPAddress         string
	Port              Opt[int]
}

// Legacy holds the fields of the 2011 and 2016 editions that 2022 dropped.
type Legacy struct {
	Owner       string
	SafetyWay   Opt[int] // 0 none, 2 S/MIME signature, 3 S/MIME encryption, 4 digest; unset is written as 0
	CertNum     string
	Certifiable Opt[int]
	ErrCode     Opt[int]
	EndTime     string // of the certificate, raw
}

// An Info holds the descriptive fields of a device (element Info of itemType).
type Info struct {
	Optics
	Streams
	Site
}

// Optics describes what a camera sees.
type Optics struct {
	PTZType                  Opt[int]     // 1 dome, 2 half dome, 3 fixed, 4 remote bullet, 5 remote half dome, 6 panoramic, 7 split
	PhotoelectricImagingType string       // 2022, '/'-list: 1 visible, 2 thermal, 3 radar, 4 X-ray, 5 depth, 9 other
	CapturePositionType      string       // 2022 Annex O
	PositionType             Opt[int]     // until 2016: kind of place
	RoomType                 Opt[int]     // 1 outdoor, 2 indoor
	UseType                  Opt[int]     // until 2016: 1 order, 2 traffic, 3 focus
	SupplyLightType          Opt[int]     // 1 none, 2 infra-red, 3 white, 4 laser, 9 other
	DirectionType            Opt[int]     // 1 east … 8 north-west
	HorizontalFieldAngle     Opt[float64] // degrees, 2022
	VerticalFieldAngle       Opt[float64] // degrees, 2022
	MaxViewDistance          Opt[float64] // metres, 2022
}

// Streams describes what a camera can send.
type Streams struct {
	Resolution           string   // '/'-list of codes of the SDP f= line
	StreamNumberList     string   // 2022, "0/1/2"
	DownloadSpeed        string   // '/'-list of multiples
	SVCSpaceSupportMode  Opt[int] // 0 to 3
	SVCTimeSupportMode   Opt[int] // 0 to 3
	SSVCRatioSupportList string   // 2022
	EncodeType           string   // 2022
	RecordSaveDays       Opt[int] // 2022
}

// Site describes why a device is where it is and whose it is. All of it is new
// in 2022.
type Site struct {
	MobileDeviceType         Opt[int] // 1 robot, 2 body-worn, 3 single soldier, 4 vehicle, 5 drone, 9 other
	GrassrootsCode           string   // the fifth region level: township and village, 3+3 digits
	PointType                Opt[int] // 1 class 1, 2 class 2, 3 class 3, 9 other
	PointCommonName          string
	MAC                      string // xx-xx-xx-xx-xx-xx
	FunctionType             string // '/'-list: 01 face … 99 other
	InstallTime              string // raw
	ManagementUnit           string
	ContactInfo              string
	IndustrialClassification string
}

// itemList is the DeviceList of a catalogue.
func itemList(fields func(*codec, *Item)) list[Item] {
	return list[Item]{
		name: "DeviceList", item: "Item", fields: fields,
		known: func(i *Item) bool { return i.DeviceID != "" },
	}
}

// walkItem reads or writes an item of a response.
func walkItem(c *codec, i *Item) {
	c.id("DeviceID", &i.DeviceID)
	if c.reading() {
		i.readEvent(c)
	}
	i.walkBody(c)
}

// walkChange reads or writes an item of a notify: only an addition or an update
// carries more than identity and event (2022 Annex N).
func walkChange(c *codec, i *Item) {
	c.id("DeviceID", &i.DeviceID)
	if c.reading() {
		i.readEvent(c)
		i.walkBody(c)
		return
	}
	event := i.Event.String()
	c.text("Event", &event)
	switch i.Event {
	case EventNone, EventAdd, EventUpdate:
		i.walkBody(c)
	}
}

func (i *Item) readEvent(c *codec) {
	var s string
	c.text("Event", &s)
	if i.Event = parseEvent(s); i.Event == EventNone && s != "" {
		c.doc.damage.Values++
	}
}

// walkBody reads everything, or writes what the kind of node has.
func (i *Item) walkBody(c *codec) {
	kind := NodeDevice
	if !c.reading() {
		kind = KindOf(i.DeviceID)
	}
	c.must("Name", &i.Name)
	switch kind {
	case NodeRegion:
	case NodeSystem:
		i.walkSystem(c)
	case NodeGroup:
		c.text("CivilCode", &i.CivilCode)
		c.text("ParentID", &i.ParentID)
	case NodeOrg:
		i.writeOrg(c)
	default:
		i.walkDevice(c)
	}
}

func (i *Item) walkSystem(c *codec) {
	c.must("Manufacturer", &i.Manufacturer)
	c.must("Model", &i.Model)
	c.text("CivilCode", &i.CivilCode)
	c.must("Address", &i.Address)
	c.text("ParentID", &i.ParentID)
	c.mustNumber("RegisterWay", &i.RegisterWay, 1)
	c.mustNumber("Secrecy", &i.Secrecy, 0)
	i.walkStatus(c)
}

// writeOrg places a virtual organisation. In 2022 its parent is named only if it
// is another organisation; before, peers expect the group there too.
func (i *Item) writeOrg(c *codec) {
	if c.version == Version2022 {
		parent := orgsOf(i.ParentID)
		c.text("ParentID", &parent)
		c.text("BusinessGroupID", &i.BusinessGroupID)
		return
	}
	parent := i.ParentID
	if parent == "" {
		parent = i.BusinessGroupID
	}
	c.text("ParentID", &parent)
	c.in("Info", func(c *codec) { c.text("BusinessGroupID", &i.BusinessGroupID) })
}

// orgsOf keeps the virtual organisations of a '/'-list.
func orgsOf(parents string) string {
	var orgs []string
	for id := range strings.SplitSeq(parents, "/") {
		if id = strings.TrimSpace(id); KindOf(id) == NodeOrg {
			orgs = append(orgs, id)
		}
	}
	return strings.Join(orgs, "/")
}

// walkDevice walks the fields in the order of the standard.
func (i *Item) walkDevice(c *codec) {
	legacy := c.reading() || c.version != Version2022
	modern := c.reading() || c.version == Version2022
	c.must("Manufacturer", &i.Manufacturer)
	c.must("Model", &i.Model)
	if legacy {
		c.must("Owner", &i.Owner)
	}
	c.text("CivilCode", &i.CivilCode)
	c.text("Block", &i.Block)
	c.must("Address", &i.Address)
	c.mustNumber("Parental", &i.Parental, 0)
	c.text("ParentID", &i.ParentID)
	if legacy {
		c.mustNumber("SafetyWay", &i.SafetyWay, 0)
	}
	c.mustNumber("RegisterWay", &i.RegisterWay, 1)
	if legacy {
		i.walkCertificate(c)
	}
	if modern {
		c.text("SecurityLevelCode", &i.SecurityLevelCode)
	}
	c.mustNumber("Secrecy", &i.Secrecy, 0)
	c.text("IPAddress", &i.IPAddress)
	c.number("Port", &i.Port)
	i.walkStatus(c)
	c.decimal("Longitude", &i.Longitude)
	c.decimal("Latitude", &i.Latitude)
	i.walkInfo(c, legacy, modern)
}

func (i *Item) walkCertificate(c *codec) {
	c.text("CertNum", &i.CertNum)
	c.number("Certifiable", &i.Certifiable)
	c.number("ErrCode", &i.ErrCode)
	c.text("EndTime", &i.EndTime)
}

// walkStatus is mandatory: what is not known to be on is off.
func (i *Item) walkStatus(c *codec) {
	if !c.reading() && i.Status == StatusUnknown {
		c.leaf("Status", StatusOff.String())
		return
	}
	c.state("Status", &i.Status, "ON", "OFF")
}

// walkInfo walks Info and BusinessGroupID, which stands in it until 2016 and
// beside it since 2022. Both places are read.
func (i *Item) walkInfo(c *codec, legacy, modern bool) {
	if modern {
		c.text("BusinessGroupID", &i.BusinessGroupID)
	}
	c.in("Info", func(c *codec) {
		i.Info.Optics.walk(c, legacy, modern)
		i.Info.Streams.walk(c, modern)
		if modern {
			i.Info.Site.walk(c)
		}
		if legacy && !(c.reading() && i.BusinessGroupID != "") {
			c.text("BusinessGroupID", &i.BusinessGroupID)
		}
	})
}

func (o *Optics) walk(c *codec, legacy, modern bool) {
	c.number("PTZType", &o.PTZType)
	if modern {
		c.text("PhotoelectricImagingType", &o.PhotoelectricImagingType)
		c.text("CapturePositionType", &o.CapturePositionType)
	}
	if legacy {
		c.number("PositionType", &o.PositionType)
	}
	c.number("RoomType", &o.RoomType)
	if legacy {
		c.number("UseType", &o.UseType)
	}
	c.number("SupplyLightType", &o.SupplyLightType)
	c.number("DirectionType", &o.DirectionType)
	if modern {
		c.decimal("HorizontalFieldAngle", &o.HorizontalFieldAngle)
		c.decimal("VerticalFieldAngle", &o.VerticalFieldAngle)
		c.decimal("MaxViewDistance", &o.MaxViewDistance)
	}
}

func (s *Streams) walk(c *codec, modern bool) {
	c.text("Resolution", &s.Resolution)
	if modern {
		c.text("StreamNumberList", &s.StreamNumberList)
	}
	c.text("DownloadSpeed", &s.DownloadSpeed)
	c.number("SVCSpaceSupportMode", &s.SVCSpaceSupportMode)
	c.number("SVCTimeSupportMode", &s.SVCTimeSupportMode)
	if modern {
		c.text("SSVCRatioSupportList", &s.SSVCRatioSupportList)
		c.text("EncodeType", &s.EncodeType)
		c.number("RecordSaveDays", &s.RecordSaveDays)
	}
}

func (s *Site) walk(c *codec) {
	c.number("MobileDeviceType", &s.MobileDeviceType)
	c.text("GrassrootsCode", &s.GrassrootsCode)
	c.number("PointType", &s.PointType)
	c.text("PointCommonName", &s.PointCommonName)
	c.text("MAC", &s.MAC)
	c.text("FunctionType", &s.FunctionType)
	c.text("InstallTime", &s.InstallTime)
	c.text("ManagementUnit", &s.ManagementUnit)
	c.text("ContactInfo", &s.ContactInfo)
	c.text("IndustrialClassification", &s.IndustrialClassification)
}
