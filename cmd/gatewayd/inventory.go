package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"districtgateway/domain"
	"districtgateway/storage"
)

// A camera is one channel of our own in the inventory: the code it was given, and
// how the encoder behind it is known and reached. It is kept in the state file.
type camera struct {
	Code     domain.Code
	Name     string
	Identity string // key of the encoder ("mac:…", "serial:…"), with "#2" for its second video source; empty until seen
	Maker    string
	Model    string
	Address  string // ONVIF address where it was last found; empty for plain RTSP
	RTSP     string // plain RTSP: the main stream
	SubRTSP  string
	SDP      string // file that describes what an encoder sends by itself; empty: it is asked
	PTZ      bool

	Since  time.Time // when it was given Code; zero: from the beginning
	Former []former  // codes under which there is footage of it, too
}

// A former is a code that a channel had, or its encoder before it came to the
// channel.
type former struct {
	Code        domain.Code
	Since, Left time.Time
}

// leave notes that c gives up its code at now.
func (c *camera) leave(now time.Time) {
	c.Former = append(c.Former, former{c.Code, c.Since, now})
}

// Errors of the inventory.
var (
	errNoCode   = errors.New("no channel with that code")
	errCodeUsed = errors.New("code is in use")
	errNoFree   = errors.New("no free code left in this domain")
)

// An inventory gives encoders their codes and finds them again. It is pure.
type inventory struct {
	self    domain.Code
	cameras map[domain.Code]*camera
}

func newInventory(self domain.Code) *inventory {
	return &inventory{self: self, cameras: map[domain.Code]*camera{}}
}

// list returns the cameras by code.
func (v *inventory) list() []*camera {
	all := make([]*camera, 0, len(v.cameras))
	for _, c := range v.cameras {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *camera) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return all
}

// sameIdentity compares two identities, each the key of an encoder or what a
// person wrote for it: the bare hardware address or serial number.
func sameIdentity(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	a, b = bareIdentity(a), bareIdentity(b)
	return a != "" && b != "" && (a == b || strings.HasSuffix(a, "/"+b) || strings.HasSuffix(b, "/"+a))
}

// bareIdentity strips the kind from a key and writes hardware addresses one way.
func bareIdentity(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if kind, rest, ok := strings.Cut(s, ":"); ok && (kind == "mac" || kind == "serial" || kind == "uuid") {
		s = rest
	}
	if hw, err := net.ParseMAC(s); err == nil {
		return hw.String()
	}
	return s
}

// splitSource splits the identity of a camera into the encoder's key and the
// number of the video source, from 0.
func splitSource(identity string) (key string, source int) {
	key, n, ok := strings.Cut(identity, "#")
	if ok {
		if v, err := strconv.Atoi(n); err == nil && v > 0 {
			return key, v - 1
		}
	}
	return key, 0
}

// isHardwareAddress reports whether an identity is one, with or without its kind
// and the number of a video source.
func isHardwareAddress(identity string) bool {
	key, _ := splitSource(identity)
	hw, err := net.ParseMAC(bareIdentity(key))
	return err == nil && len(hw) == 6
}

// find returns the camera of an encoder: by its identity or, where either side has
// none (not seen yet, or entered by address), by its address.
func (v *inventory) find(identity, address string) *camera {
	for _, c := range v.list() {
		if sameIdentity(identity, c.Identity) {
			return c
		}
	}
	for _, c := range v.list() {
		if (c.Identity == "" || identity == "") && c.Address != "" && sameHost(c.Address, address) {
			return c
		}
	}
	return nil
}

// takenByRTSP reports whether a camera is entered by an rtsp:// address on the
// host of an ONVIF address: it would be taken into service twice otherwise.
func (v *inventory) takenByRTSP(address string) bool {
	host, _, _ := strings.Cut(hostOf(address), ":")
	for _, c := range v.cameras {
		if at, _, _ := strings.Cut(hostOf(c.RTSP), ":"); c.RTSP != "" && at == host {
			return true
		}
	}
	return false
}

// sameHost compares two ONVIF addresses by host and port.
func sameHost(a, b string) bool { return hostOf(a) == hostOf(b) }

// hostOf strips scheme, path and the default port from an ONVIF address.
func hostOf(address string) string {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	}
	address, _, _ = strings.Cut(address, "/")
	address = address[strings.LastIndexByte(address, '@')+1:] // who may enter is nobody's business
	return strings.TrimSuffix(address, ":80")
}

// Serial numbers of channels: the last seven digits of a code, of which the first
// is the network identifier in the edition of 2022.
const maxSerial = 999_999

// free returns the first code of this domain, type 132, that is not in use and
// has no footage of a channel that moved on.
func (v *inventory) free() (domain.Code, error) {
	for n := 1; n <= maxSerial; n++ {
		c := domain.Code(fmt.Sprintf("%s%d0%06d", v.self[:10], domain.TypeNetworkCamera, n))
		if _, used := v.cameras[c]; !used && len(v.holders(c)) == 0 {
			return c, nil
		}
	}
	return "", errNoFree
}

// add enters a camera, under a free code if it has none.
func (v *inventory) add(c camera) (*camera, error) {
	if c.Code == "" {
		code, err := v.free()
		if err != nil {
			return nil, err
		}
		c.Code = code
	}
	if _, used := v.cameras[c.Code]; used {
		return nil, fmt.Errorf("%s: %w", c.Code, errCodeUsed)
	}
	if c.Name == "" {
		c.Name = strings.TrimSpace(c.Maker + " " + c.Model)
	}
	v.cameras[c.Code] = &c
	return &c, nil
}

// replace puts another encoder behind a code, which keeps its name and footage.
// If the other one has a code of its own already, that code is given up, and what
// was recorded under it is the channel's.
func (v *inventory) replace(code domain.Code, identity string, now time.Time) (given domain.Code, err error) {
	c := v.cameras[code]
	if c == nil {
		return "", fmt.Errorf("%s: %w", code, errNoCode)
	}
	if other := v.find(identity, ""); other != nil && other != c {
		delete(v.cameras, other.Code)
		given = other.Code
		other.leave(now)
		c.Former = append(c.Former, other.Former...)
		identity = other.Identity
		c.Maker, c.Model, c.Address, c.PTZ = other.Maker, other.Model, other.Address, other.PTZ
		c.RTSP, c.SubRTSP, c.SDP = other.RTSP, other.SubRTSP, other.SDP
	} else if other == nil {
		c.Maker, c.Model, c.Address = "", "", ""
	}
	c.Identity = identity
	return given, nil
}

// since returns when each channel that ever had a code was given it, in order.
func (v *inventory) since(code domain.Code) []time.Time {
	var all []time.Time
	for _, c := range v.cameras {
		if c.Code == code {
			all = append(all, c.Since)
		}
		for _, f := range c.Former {
			if f.Code == code {
				all = append(all, f.Since)
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// footage returns what was recorded of the channel with a code: its own code first.
// What was recorded under a code belongs to who had it when it began; what is older
// than anybody's, to the first.
func (v *inventory) footage(code domain.Code) []storage.Tenure {
	c := v.cameras[code]
	if c == nil {
		return storage.Always(string(code))
	}
	var all []storage.Tenure
	for _, f := range append([]former{{Code: code, Since: c.Since}}, c.Former...) {
		t := storage.Tenure{Channel: string(f.Code), From: f.Since, Left: f.Left}
		holders := v.since(f.Code)
		if !f.Since.After(holders[0]) {
			t.From = time.Time{}
		}
		for _, at := range holders {
			if at.After(f.Since) {
				t.Until = at
				break
			}
		}
		all = append(all, t)
	}
	return all
}

// holders returns the channels that have footage under a code: the one that has the
// code, and those that had it.
func (v *inventory) holders(code domain.Code) []domain.Code {
	var all []domain.Code
	for _, c := range v.list() {
		if c.Code == code || slices.ContainsFunc(c.Former, func(f former) bool { return f.Code == code }) {
			all = append(all, c.Code)
		}
	}
	return all
}

// maxList bounds a code list: more channels than one box ever has.
const maxList = 10_000

// A codeLine is one line of a city's code list.
type codeLine struct {
	Code     domain.Code
	Name     string
	Identity string // hardware address or serial number
	Address  string // ONVIF or rtsp:// address
}

// readCodes reads a code list: CSV with a header line that names the columns
// code, name, identity and address, in any order; code and one of identity and
// address must be there. All faults are reported at once, by line.
func readCodes(r io.Reader) ([]codeLine, error) {
	in := csv.NewReader(r)
	in.TrimLeadingSpace = true
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("code list: header line: %w", err)
	}
	at, err := columns(head)
	if err != nil {
		return nil, err
	}
	var lines []codeLine
	var faults []error
	seen := map[domain.Code]int{}
	for len(lines) < maxList {
		row, err := in.Read()
		if err == io.EOF {
			return lines, errors.Join(faults...)
		}
		if err != nil {
			return nil, errors.Join(append(faults, fmt.Errorf("code list: %w", err))...)
		}
		n, _ := in.FieldPos(0)
		l, err := at.line(row)
		if first := seen[l.Code]; err == nil && first > 0 {
			err = fmt.Errorf("code %s is already on line %d", l.Code, first)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		seen[l.Code] = n
		lines = append(lines, l)
	}
	return nil, fmt.Errorf("code list: more than %d lines", maxList)
}

// listColumns tells in which column each value stands; -1: in none.
type listColumns struct{ code, name, identity, address int }

func columns(head []string) (listColumns, error) {
	find := func(name string) int {
		return slices.IndexFunc(head, func(s string) bool {
			return strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(s, "\ufeff")), name)
		})
	}
	at := listColumns{find("code"), find("name"), find("identity"), find("address")}
	if at.code < 0 || at.identity < 0 && at.address < 0 {
		return at, fmt.Errorf("line 1: columns %q: want code, and identity or address", head)
	}
	return at, nil
}

func (at listColumns) line(row []string) (codeLine, error) {
	get := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	code, err := domain.ParseCode(get(at.code))
	if err != nil {
		return codeLine{}, err
	}
	l := codeLine{code, get(at.name), get(at.identity), get(at.address)}
	if l.Identity == "" && l.Address == "" {
		return l, fmt.Errorf("code %s: want identity or address", code)
	}
	return l, nil
}

// assign gives the cameras of a list their codes: an encoder known under another
// code moves, one not seen yet is entered and waits to be found. A code that is
// held by a different encoder is an error, and that line is left out.
func (v *inventory) assign(lines []codeLine, now time.Time) (moved map[domain.Code]domain.Code, err error) {
	moved = map[domain.Code]domain.Code{}
	var faults []error
	for _, l := range lines {
		from, err := v.assignOne(l, now)
		if err != nil {
			faults = append(faults, err)
		} else if from != "" {
			moved[from] = l.Code
		}
	}
	return moved, errors.Join(faults...)
}

func (v *inventory) assignOne(l codeLine, now time.Time) (from domain.Code, err error) {
	known := v.find(l.Identity, l.Address)
	if known == nil && strings.HasPrefix(l.Address, "rtsp://") {
		i := slices.IndexFunc(v.list(), func(c *camera) bool { return c.RTSP == l.Address })
		if i >= 0 {
			known = v.list()[i]
		}
	}
	holder := v.cameras[l.Code]
	switch {
	case holder != nil && holder != known:
		return "", fmt.Errorf("%s: %w by %s", l.Code, errCodeUsed, holder.Identity)
	case known == nil:
		c := camera{Code: l.Code, Name: l.Name, Identity: l.Identity, Address: l.Address, Since: now}
		if strings.HasPrefix(l.Address, "rtsp://") {
			c.RTSP, c.Address = l.Address, ""
		}
		_, err := v.add(c)
		return "", err
	}
	if l.Name != "" {
		known.Name = l.Name
	}
	if known.Code == l.Code {
		return "", nil
	}
	from = known.Code
	delete(v.cameras, from)
	known.leave(now)
	known.Code, known.Since = l.Code, now
	v.cameras[l.Code] = known
	return from, nil
}
