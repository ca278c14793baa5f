package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimal = `
[server]
id = "33010600002000000001"
`

// domes are two buses with two domes on one of them, and a third encoder.
const domes = `[[bus]]
name = "yard"
port = "/dev/ttyS1"
[[bus]]
name = "gate"
port = "/dev/ttyS2"
[[encoder]]
rtsp = "rtsp://a/"
dome = { bus = "yard", address = 3 }
[[encoder]]
rtsp = "rtsp://b/"
dome = { bus = "yard", address = 4 }
[[encoder]]
rtsp = "rtsp://c/"
`

// faultCases also seed the fuzzer: text, and the faults it must show.
var faultCases = map[string]struct {
	text string
	want []string
}{
	"minimal": {minimal, nil},
	"typo in a key": {minimal + "naem = \"x\"\n", []string{
		`line 4: server.naem: no such key; did you mean "name"?`}},
	"typo in a section": {minimal + "[dicovery]\nenabled = true\n", []string{
		`line 4: dicovery: no such key; did you mean "discovery"?`, `line 5: dicovery.enabled: no such key`}},
	"nothing at all": {"", []string{"server.id: want the id of this server: 20 digits",
		`server.region: want a civil code of 2, 4, 6 or 8 digits`}},
	"all faults at once, by line": {`
[server]
id = "3301060000200000000"
listen = "5060"

[[upper]]
id = "33010000002000000001"
address = "192.0.2.10"

[[upper]]
id = "33010000002000000001"
address = "192.0.2.10:5060"
keepalive_every = "1ms"
`, []string{
		`line 2: server.region: want a civil code of 2, 4, 6 or 8 digits`,
		`line 3: server.id = "3301060000200000000": want 20 digits, got 19 characters`,
		`line 4: server.listen = "5060": want an IP address and a port, such as 0.0.0.0:5060`,
		`line 8: upper[0].address = "192.0.2.10": want host:port, such as 192.0.2.10:5060`,
		`line 11: upper[1].id = "33010000002000000001": is already upper[0].id`,
		`line 13: upper[1].keepalive_every = "1ms": want at least 1s`,
	}},
	"lower without a password": {minimal + "[[lower]]\nid = \"33010600002000000002\"\n", []string{
		`line 4: lower[0].password: want the password this lower domain registers with: there is no default`}},
	"wrong type": {"[server]\nid = 5\n", []string{`line 2: server.id: incompatible types: TOML value has type int64; destination has type string`}},
	"no TOML":    {"[server\nid = 1\n", []string{`line 2: file: expected '.' or ']' to end table name, but got '\n' instead`}},
	"two encoders at one address": {minimal + strings.Repeat("[[encoder]]\nrtsp = \"rtsp://10.1.0.31/main\"\n", 2), []string{
		`line 7: encoder[1].rtsp = "rtsp://10.1.0.31/main": is already encoder[0].rtsp`}},
	"size without unit": {minimal + "[media]\nring = \"many\"\n", []string{`line 5: media.ring: "many" is no size: want a whole number and kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 4MiB or 200GB`}},
	"sizes out of bounds": {minimal + "[media]\nring = \"1kB\"\nring_max = \"1GiB\"\nmemory = \"1MiB\"\n", []string{
		`line 5: media.ring = "1kB": want 0, or 64KiB to 512MiB`,
		`line 6: media.ring_max = "1GiB": want 1MiB to 512MiB`,
		`line 7: media.memory = "1MiB": want 0, or 16MiB to 1TiB`}},
	"a ring of more than there is": {minimal + "[media]\nring = \"64MiB\"\nmemory = \"16MiB\"\n", []string{
		`line 5: media.ring = "64MiB": want memory, which is 16MiB, at most`}},
	"no port to listen": {minimal + "[rtsp]\nlisten = \"box:8554\"\n", []string{`line 5: rtsp.listen = "box:8554": want a port, such as :8554, or an IP address and a port`}},
	"rtsp off":          {minimal + "[rtsp]\nlisten = \"\"\n", nil},
	"no port for media": {minimal + "[webrtc]\nmedia = \"\"\naddresses = [\"box\"]\nviewers = 0\n", []string{
		`line 5: webrtc.media: want a port, such as :8189, or an IP address and a port`, `line 6: webrtc.addresses[0] = "box": want an IP address`,
		`line 7: webrtc.viewers = "0": want 1 to 1024`}},
	"webrtc off":        {minimal + "[webrtc]\nlisten = \"\"\n", nil},
	"ports of services": {minimal + "[rtsp]\nports = \"80-90\"\n", []string{`line 5: rtsp.ports = "80-90": want a range of ports from 1024 on`}},
	"port range":        {minimal + "[media]\nports = \"9-1\"\n", []string{`line 5: media.ports: "9-1" is no port range: want first-last, such as 20000-20999`}},
	"password in an address": {minimal + "[[encoder]]\nrtsp = \"rtsp://u:p@10.0.0.1/\"\n", []string{
		`line 5: encoder[0].rtsp = "rtsp://u:xxxxx@10.0.0.1/": put user and password into the keys of that name`}},
	"encoder that is nowhere": {minimal + "[[encoder]]\nname = \"x\"\n", []string{
		`line 4: encoder[0].onvif: want onvif, rtsp, sdp or identity: where the encoder is, or how it is known`}},
	"encoder that sends by itself": {minimal + "[[encoder]]\nsdp = \"/etc/gate.sdp\"\nfrom = \"10.0.0.1\"\n", nil},
	"encoder that sends and is asked": {minimal + "[[encoder]]\nsdp = \"gate.sdp\"\nrtsp = \"rtsp://10.0.0.1/\"\n[[encoder]]\nonvif = \"10.0.0.1\"\nfrom = \"gate\"\n", []string{
		`line 5: encoder[0].sdp = "gate.sdp": want the absolute path of a file`,
		`line 5: encoder[0].sdp = "gate.sdp": an encoder that sends by itself has no onvif and no rtsp`,
		`line 9: encoder[1].from = "gate": want the IP address of an encoder with sdp`}},
	"transport of media": {minimal + "[[encoder]]\nonvif = \"a\"\ntransport = \"http\"\n[[encoder]]\nonvif = \"b\"\nudp = true\ntransport = \"multicast\"\n", []string{
		`line 6: encoder[0].transport = "http": want tcp, udp, multicast`,
		`line 9: encoder[1].udp = "true": is already transport = "multicast"`}},
	"profile of an upper": {minimal + "[[upper]]\nid = \"33010000002000000001\"\naddress = \"192.0.2.10:5060\"\nprofile = \"third\"\n", []string{
		`line 7: upper[0].profile = "third": want main, sub`}},
	"movement without an end": {minimal + "ptz_for = \"11m\"\n", []string{`line 4: server.ptz_for = "11m0s": want 1s to 10m`}},
	"ranks of uppers": {minimal + "[[upper]]\nid = \"33010000002000000001\"\naddress = \"192.0.2.10:5060\"\nptz_rank = 100\n" +
		"[[upper]]\nid = \"33000000002000000001\"\naddress = \"192.0.2.1:5060\"\nptz_rank = -1\n", []string{
		`line 7: upper[0].ptz_rank = "100": want 0 to 99`, `line 11: upper[1].ptz_rank = "-1": want 0 to 99`}},
	"domes": {minimal + domes, nil},
	"a dome in a table of its own": {minimal + domes + "[encoder.dome]\nbus = \"gate\"\naddress = 0\n", []string{
		`line 20: encoder[2].dome.address = "0": want 1 to 255`}},
	"domes on one address": {minimal + strings.Replace(domes, "address = 4", "address = 3", 1), []string{
		`line 15: encoder[1].dome.address = "3": is already encoder[0].dome.address`}},
	"dome on an unknown bus": {minimal + strings.ReplaceAll(domes, `bus = "yard"`, `bus = "yrd"`), []string{
		`line 12: encoder[0].dome.bus = "yrd": no such bus; did you mean "yard"?`,
		`line 15: encoder[1].dome.bus = "yrd": no such bus; did you mean "yard"?`}},
	"dome without anything": {minimal + domes + "dome = {}\n", []string{
		`line 18: encoder[2].dome.bus: want the name of a [[bus]]`,
		`line 18: encoder[2].dome.address = "0": want 1 to 255`}},
	"pelco-p has 32 addresses": {minimal + domes + "dome = { bus = \"gate\", protocol = \"pelco-p\", address = 33 }\n[[encoder]]\nrtsp = \"rtsp://d/\"\n" +
		"dome = { bus = \"gate\", protocol = \"pelco\", address = 1 }\n", []string{
		`line 18: encoder[2].dome.address = "33": want 1 to 32`,
		`line 21: encoder[3].dome.protocol = "pelco": want pelco-d, pelco-p`}},
	"unknown key of a dome": {minimal + domes + "dome = { bus = \"gate\", adress = 1, address = 2 }\n", []string{
		`line 12: encoder.dome.adress: no such key; did you mean "address"?`}},
	"bus that is none": {minimal + "[[bus]]\nbaud = 300\n", []string{
		`line 4: bus[0].name: want a name, by which encoders refer to it`,
		`line 4: bus[0].port: want the path of a serial port, such as /dev/ttyS1`,
		`line 5: bus[0].baud = "300": want 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200`}},
	"two buses on one port": {minimal + "[[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n[[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n", []string{
		`line 8: bus[1].name = "a": is already bus[0].name`,
		`line 9: bus[1].port = "/dev/ttyS1": is already bus[0].port`}},
	"too many hosts": {minimal + "[discovery]\naddresses = [\"10.0.0.0/8\", \"x\"]\n", []string{
		`line 5: discovery.addresses[1] = "x": want an IP address or network such as 10.1.0.0/24`,
		`line 5: discovery.addresses: 1048576 hosts are too many to probe one by one: at most 4096`}},
}

func faultsOf(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestEveryFaultIsReportedWithItsLine(t *testing.T) {
	for name, tc := range faultCases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.text))
			if d := cmp.Diff(tc.want, faultsOf(err)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDefaultsFillWhatIsNotWritten(t *testing.T) {
	f, err := Parse([]byte(minimal + `
[[upper]]
id = "33010000002000000001"
address = "192.0.2.10:5060"
keepalive_miss = 5
[discovery]
adopt = false
`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"": "tcp", "udp = true": "udp", "transport = \"multicast\"": "multicast"} {
		e, err := Parse([]byte(minimal + "[[encoder]]\nonvif = \"10.0.0.1\"\n" + text + "\n"))
		if err != nil || e.Encoders[0].Transport != want {
			t.Errorf("%q: %+v, %v, want %s", text, e.Encoders, err, want)
		}
	}
	if u := f.Uppers[0]; u.KeepaliveEvery != time.Minute || u.KeepaliveMiss != 5 || u.Transport != "udp" {
		t.Errorf("upper: %+v", u)
	}
	for text, want := range map[string]int{"": 50, "ptz_rank = 0": 0, "ptz_rank = 99": 99} {
		f, err := Parse([]byte(minimal + "[[upper]]\nid = \"33010000002000000001\"\naddress = \"192.0.2.10:5060\"\n" + text + "\n"))
		if err != nil || f.Uppers[0].PTZRank != want {
			t.Errorf("%q: %+v, %v, want %d", text, f.Uppers, err, want)
		}
	}
	if !f.Discovery.Enabled || f.Discovery.Adopt || f.Media.Ring != 0 || f.Media.RingMax != 32<<20 || f.Server.Region != "330106" {
		t.Errorf("file: %+v", f)
	}
}

func TestDomesHaveTheirDefaults(t *testing.T) {
	f, err := Parse([]byte(minimal + domes + "dome = { bus = \"gate\", protocol = \"pelco-p\", address = 3 }\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []Dome
	for _, e := range f.Encoders {
		got = append(got, *e.Dome)
	}
	want := []Dome{{"yard", "pelco-d", 3}, {"yard", "pelco-d", 4}, {"gate", "pelco-p", 3}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if b := f.Buses[1]; b.Baud != 2400 || b.RS485 {
		t.Errorf("bus: %+v", b)
	}
}

func TestEveryDefaultIsValid(t *testing.T) {
	root := reflect.TypeFor[File]()
	for i := range root.NumField() {
		typ := root.Field(i).Type
		if typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		setFieldDefaults(reflect.New(typ).Elem(), nil) // panics on a bad one
	}
}

func TestSecretsNeverShow(t *testing.T) {
	f, err := Parse([]byte(minimal + "[[lower]]\nid = \"33010600002000000002\"\npassword = \"hunter2\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	g := f
	g.Lowers = []Lower{f.Lowers[0]}
	g.Lowers[0].Password = "hunter3"
	changes := Diff(f, g)
	if len(changes) != 1 || changes[0].Path != "lower[0].password" {
		t.Errorf("changes: %v", changes)
	}
	all := b.String() + changes[0].String()
	if strings.Contains(all, "hunter") || !strings.Contains(all, "***") {
		t.Errorf("shown: %s", all)
	}
}

func TestDiffNamesWhatChanged(t *testing.T) {
	a, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Parse([]byte(minimal + "name = \"北区\"\n[media]\nports = \"30000-30100\"\n[[volume]]\npath = \"/mnt/a\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range Diff(a, b) {
		got = append(got, c.String())
	}
	want := []string{"~ media.ports = 20000-20999 -> 30000-30100", "+ server.name = 北区", "+ volume[0].free = 1GiB", "+ volume[0].path = /mnt/a"}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestReferenceIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("docs/configuration.md differs from the program: run make docs")
	}
}

func TestLoadRefusesHugeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "big.toml")
	if err := os.WriteFile(path, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil {
		t.Error("loaded")
	}
	if _, err := Load(path + ".absent"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range faultCases {
		f.Add([]byte(tc.text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err == nil && len(file.Server.ID) != 20 {
			t.Errorf("accepted id %q", file.Server.ID)
		}
	})
}
