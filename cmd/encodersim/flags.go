package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"districtgateway/cmd/encodersim/internal/encoder"
	"districtgateway/cmd/encodersim/internal/onvifserver"
)

// options are the flags.
type options struct {
	identity   onvifserver.Identity
	user       string
	password   string
	generated  bool // the password is ours and must be told
	listen     listenOptions
	media      mediaOptions
	count      int
	faults     []string
	scopes     []string
	rebootTime time.Duration
	talk       string
	noPTZ      bool
	noZoom     bool
	readyJSON  bool
	quiet      bool
}

type listenOptions struct {
	http, rtsp string
	rtpPort    int
	multicast  netip.AddrPort
	discovery  []string
	control    string
	sha256     bool
}

type mediaOptions struct {
	codec, audio, file string
	bitrate            int
	keyOnPlay          bool
}

// list is a flag that may be given several times, or once with commas.
type list struct{ to *[]string }

func (l list) String() string { return "" }

func (l list) Set(v string) error {
	for _, item := range strings.Split(v, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l.to = append(*l.to, item)
		}
	}
	return nil
}

// parseFlags reads the command line; flag.ErrHelp asks for the manual.
func parseFlags(args []string) (*options, error) {
	o := &options{}
	fs := o.flags()
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return o, o.validate()
}

// flags binds the options to their flags; manual describes them.
func (o *options) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("encodersim", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.identityFlags(fs)
	fs.StringVar(&o.listen.http, "http", "127.0.0.1:0", "")
	fs.StringVar(&o.listen.rtsp, "rtsp", "127.0.0.1:0", "")
	fs.IntVar(&o.listen.rtpPort, "rtp-port", 0, "")
	fs.TextVar(&o.listen.multicast, "multicast", netip.AddrPort{}, "")
	fs.Var(list{&o.listen.discovery}, "discovery", "")
	fs.StringVar(&o.listen.control, "control", "", "")
	fs.BoolVar(&o.listen.sha256, "rtsp-sha256", false, "")
	fs.StringVar(&o.media.codec, "codec", "h264", "")
	fs.StringVar(&o.media.audio, "audio", "", "")
	fs.StringVar(&o.media.file, "file", "", "")
	fs.IntVar(&o.media.bitrate, "bitrate", 0, "")
	fs.BoolVar(&o.media.keyOnPlay, "key-on-play", true, "")
	fs.IntVar(&o.count, "count", 1, "")
	fs.Var(list{&o.faults}, "fault", "")
	fs.Var(list{&o.scopes}, "scope", "")
	fs.DurationVar(&o.rebootTime, "reboot-time", 10*time.Second, "")
	fs.StringVar(&o.talk, "backchannel-out", "", "")
	fs.BoolVar(&o.noPTZ, "no-ptz", false, "")
	fs.BoolVar(&o.noZoom, "no-zoom", false, "")
	fs.BoolVar(&o.readyJSON, "ready-json", false, "")
	fs.BoolVar(&o.quiet, "quiet", false, "")
	return fs
}

func (o *options) identityFlags(fs *flag.FlagSet) {
	fs.StringVar(&o.identity.Name, "name", "encodersim", "")
	fs.StringVar(&o.identity.Manufacturer, "manufacturer", "District Gateway", "")
	fs.StringVar(&o.identity.Model, "model", "Simulated Encoder", "")
	fs.StringVar(&o.identity.Firmware, "firmware", "1.0", "")
	fs.StringVar(&o.identity.Hardware, "hardware", "SIM-1", "")
	fs.StringVar(&o.identity.Serial, "serial", "", "")
	fs.StringVar(&o.identity.MAC, "mac", "", "")
	fs.StringVar(&o.user, "user", "admin", "")
	fs.StringVar(&o.password, "password", "", "")
}

// Bounds of the flags.
const (
	maxCount   = 256
	maxBitrate = 200_000_000
)

// validate reports every fault at once.
func (o *options) validate() error {
	var errs []error
	bad := func(when bool, format string, args ...any) {
		if when {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(o.media.codec != "h264" && o.media.codec != "h265", "-codec %q: want h264 or h265", o.media.codec)
	switch o.media.audio {
	case "", "pcma", "aac", "none":
	default:
		bad(true, "-audio %q: want pcma, aac or none", o.media.audio)
	}
	bad(o.media.bitrate < 0 || o.media.bitrate > maxBitrate, "-bitrate %d: want 0 to %d", o.media.bitrate, maxBitrate)
	bad(o.count < 1 || o.count > maxCount, "-count %d: want 1 to %d", o.count, maxCount)
	bad(o.listen.rtpPort < 0 || o.listen.rtpPort > 65534 || o.listen.rtpPort%2 != 0, "-rtp-port %d: want an even port", o.listen.rtpPort)
	group := o.listen.multicast
	bad(group.IsValid() && (!group.Addr().Is4() || !group.Addr().IsMulticast() || group.Port()%2 != 0 || group.Port() == 0),
		"-multicast %s: want an IPv4 group and an even port", group)
	bad(o.rebootTime < 0, "-reboot-time %s: want no less than 0", o.rebootTime)
	bad(o.user == "" || strings.ContainsAny(o.user, `":`), "-user %q: want a name without quotes and colons", o.user)
	if mac, err := net.ParseMAC(o.identity.MAC); o.identity.MAC != "" {
		bad(err != nil || len(mac) != 6, "-mac %q: want six bytes such as 02:00:00:00:00:01", o.identity.MAC)
	}
	o.choosePassword()
	for _, f := range o.faults {
		if _, err := parseFault(f); err != nil {
			errs = append(errs, fmt.Errorf("-fault: %w", err))
		}
	}
	return errors.Join(errs...)
}

// choosePassword takes the flag, the environment or a random password: there is
// no default one.
func (o *options) choosePassword() {
	if o.password == "" {
		o.password = os.Getenv("ENCODERSIM_PASSWORD")
	}
	if o.password == "" {
		o.password, o.generated = encoder.RandomPassword(), true
	}
}
