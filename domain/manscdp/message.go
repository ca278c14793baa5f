package manscdp

import (
	"fmt"
	"strconv"
	"strings"
)

// A Root is the root element of a body (A.2.1): who asks what kind of thing.
type Root uint8

// The four root elements.
const (
	Control  Root = iota + 1 // do something (A.2.3)
	Query                    // answer a question, also the body of SUBSCRIBE (A.2.4)
	Notify                   // something happened (A.2.5)
	Response                 // the answer to one of the others (A.2.6)
)

// String returns the name of the root element.
func (r Root) String() string {
	switch r {
	case Control:
		return "Control"
	case Query:
		return "Query"
	case Notify:
		return "Notify"
	case Response:
		return "Response"
	}
	return ""
}

func rootOf(name []byte) Root {
	for r := Control; r <= Response; r++ {
		if foldEqual(name, r.String()) {
			return r
		}
	}
	return 0
}

// A Head is what every body has (A.2). Messages embed it.
type Head struct {
	SN       SN     // of the command; an answer echoes it
	DeviceID string // raw: usually a 20-digit code, for regions 2, 4, 6 or 8 digits
	Damage   Damage // what Decode had to repair; Encode ignores it
}

// Header returns the head of the message, to read or to rewrite in place.
func (h *Head) Header() *Head { return h }

// A Message is one MANSCDP body: one of the pointer types of this package, told
// apart by a type switch. A body of another command is an *Unknown.
type Message interface {
	// Header returns the message's own head.
	Header() *Head
	// name returns root and CmdType as they are written.
	name() (Root, string)
	// walk reads or writes what follows the head.
	walk(c *codec)
}

// NameOf returns the root element and the CmdType of m, as written on the wire.
func NameOf(m Message) (Root, string) { return m.name() }

// Unknown is a body whose command this package has no type for. It carries
// enough to answer it, and as a Response with Result ERROR it is that answer.
type Unknown struct {
	Head
	Root    Root
	CmdType string
	Result  Result // of a Response
	Reason  string // of a Response, non-standard
}

func (m *Unknown) name() (Root, string) { return m.Root, m.CmdType }

func (m *Unknown) walk(c *codec) {
	c.result("Result", &m.Result)
	c.text("Reason", &m.Reason)
}

// Encode writes m as a body for a peer of that profile: XML declaration, root,
// fields in the order of the standard, CRLF line ends, in the profile's charset.
// Text is cleaned of characters XML forbids and of white space around it. The
// error tells what cannot be written; m is only read.
func Encode(m Message, p Profile) ([]byte, error) {
	root, cmd := m.name()
	out, err := appendMessage(nil, m, p)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", root, cmd, err)
	}
	return out, nil
}

func appendMessage(out []byte, m Message, p Profile) ([]byte, error) {
	root, cmd := m.name()
	if root.String() == "" {
		return nil, ErrRoot
	}
	c := codec{out: out, version: p.Version}
	c.out = append(c.out, `<?xml version="1.0" encoding="`+p.charset().String()+"\"?>\r\n<"+root.String()+">\r\n"...)
	c.leaf("CmdType", cmd)
	c.leaf("SN", string(m.Header().SN))
	c.text("DeviceID", &m.Header().DeviceID)
	m.walk(&c)
	c.end(root.String())
	if c.err != nil {
		return nil, c.err
	}
	wire, err := toWire(c.out, p.charset())
	if err == nil && len(wire) > MaxBody {
		err = ErrTooLarge
	}
	return wire, err
}

// Decode reads a body, judging its charset by declaration and bytes. The message
// is a fresh value that shares no memory with body. Its Head.Damage tells what was
// repaired or lost. The error is always a *SyntaxError: there is no root element
// of the four, no CmdType, a bound was exceeded or a document type declared.
func Decode(body []byte) (Message, error) { return DecodeAs(body, Auto) }

// DecodeAs is Decode for a peer whose charset is known better than its bodies
// tell: any charset but Auto overrides declaration and bytes.
func DecodeAs(body []byte, order Charset) (Message, error) {
	if len(body) > MaxBody {
		return nil, &SyntaxError{Offset: MaxBody, Want: "at most " + strconv.Itoa(MaxBody) + " bytes"}
	}
	clean := stripControls(body)
	doc, err := scan(clean)
	if err != nil {
		return nil, shifted(err, body, clean)
	}
	doc.text = newTextDecoder(clean, order)
	m, err := doc.message()
	if err != nil {
		return nil, shifted(err, body, clean)
	}
	if len(clean) != len(body) && doc.damage.Tags > 0 {
		doc.damage.Offset = originalOffset(body, doc.damage.Offset)
	}
	m.Header().Damage = doc.damage
	return m, nil
}

// shifted makes the offset of a *SyntaxError one in the body as received.
func shifted(err error, body, clean []byte) error {
	if e, ok := err.(*SyntaxError); ok && len(clean) != len(body) {
		return &SyntaxError{Offset: originalOffset(body, e.Offset), Field: e.Field, Want: e.Want}
	}
	return err
}

// message builds the message the document holds.
func (d *document) message() (Message, error) {
	top := d.elements[0].first
	at := int(d.elements[top].name.from)
	root := rootOf(d.bytes(d.elements[top].name))
	if root == 0 {
		return nil, &SyntaxError{Offset: at, Want: "root Control, Query, Notify or Response"}
	}
	c := &codec{doc: d, at: top}
	var cmd string
	c.id("CmdType", &cmd)
	if cmd == "" || len(cmd) > maxSN {
		return nil, &SyntaxError{Offset: at, Field: "CmdType", Want: "a command"}
	}
	m := newMessage(root, strings.ToLower(cmd))
	if m == nil {
		m = &Unknown{Root: root, CmdType: cmd}
	}
	return m, c.readHead(m.Header(), m, at)
}

func (c *codec) readHead(h *Head, m Message, at int) error {
	var sn string
	c.text("SN", &sn)
	if len(sn) > maxSN {
		return &SyntaxError{Offset: at, Field: "SN", Want: "a number"}
	}
	h.SN = SN(sn)
	c.id("DeviceID", &h.DeviceID)
	m.walk(c)
	return nil
}

// newMessage returns the empty message for a root and a CmdType in lower case,
// nil if there is none.
func newMessage(root Root, cmd string) Message {
	switch root {
	case Control:
		return newControl(cmd)
	case Query:
		return newQuery(cmd)
	case Notify:
		return newNotify(cmd)
	}
	return newResponse(cmd)
}

func newControl(cmd string) Message {
	switch cmd {
	case "devicecontrol":
		return new(DeviceControl)
	case "deviceconfig":
		return new(DeviceConfig)
	}
	return nil
}

func newQuery(cmd string) Message {
	switch cmd {
	case "catalog":
		return new(CatalogQuery)
	case "deviceinfo":
		return new(DeviceInfoQuery)
	case "devicestatus":
		return new(DeviceStatusQuery)
	case "recordinfo":
		return new(RecordInfoQuery)
	case "configdownload":
		return new(ConfigDownloadQuery)
	case "presetquery":
		return new(PresetQuery)
	case "alarm":
		return new(AlarmQuery)
	case "mobileposition":
		return new(MobilePositionQuery)
	case "homepositionquery":
		return new(HomePositionQuery)
	case "ptzposition":
		return new(PTZPositionQuery)
	case "sdcardstatus":
		return new(SDCardStatusQuery)
	case "cruisetracklistquery":
		return new(CruiseTrackListQuery)
	case "cruisetrackquery":
		return new(CruiseTrackQuery)
	}
	return nil
}

func newNotify(cmd string) Message {
	switch cmd {
	case "keepalive":
		return new(Keepalive)
	case "catalog":
		return new(CatalogNotify)
	case "alarm":
		return new(AlarmNotify)
	case "mobileposition":
		return new(MobilePositionNotify)
	case "mediastatus":
		return new(MediaStatus)
	case "broadcast":
		return new(BroadcastNotify)
	case "deviceupgraderesult":
		return new(UpgradeResult)
	case "uploadsnapshotfinished":
		return new(SnapShotFinished)
	case "videouploadnotify":
		return new(VideoUploadNotify)
	case "ptzposition":
		return new(PTZPositionNotify)
	}
	return nil
}

func newResponse(cmd string) Message {
	switch cmd {
	case "catalog":
		return new(CatalogResponse)
	case "deviceinfo":
		return new(DeviceInfoResponse)
	case "devicestatus":
		return new(DeviceStatusResponse)
	case "recordinfo":
		return new(RecordInfoResponse)
	case "configdownload":
		return new(ConfigDownloadResponse)
	case "presetquery":
		return new(PresetResponse)
	case "alarm":
		return new(AlarmResponse)
	case "broadcast":
		return new(BroadcastResponse)
	case "devicecontrol":
		return new(DeviceControlResponse)
	case "deviceconfig":
		return new(DeviceConfigResponse)
	case "homepositionquery", "homeposition": // the latter from Dahua's 2016 firmware
		return new(HomePositionResponse)
	case "ptzposition":
		return new(PTZPositionResponse)
	case "sdcardstatus":
		return new(SDCardStatusResponse)
	case "cruisetracklistquery":
		return new(CruiseTrackListResponse)
	case "cruisetrackquery":
		return new(CruiseTrackResponse)
	}
	return nil
}
