package rtsp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"
	"github.com/pion/sdp/v3"

	"districtgateway/media"
	"districtgateway/media/sock"
)

// A PushConfig says what to receive from an encoder that sends RTP by itself, without
// being asked by RTSP.
type PushConfig struct {
	// SDP describes it (RFC 8866): the codings by payload type, and the ports, and the
	// address of ours or the group, that it is sent to.
	SDP []byte
	// From is the host that is believed. If it is not valid, the first that sends what SDP
	// describes is, until nothing comes from it for 10 s.
	From netip.Addr
	// Unpacker makes what reads a program stream (MP2P/90000); nil: none can be taken.
	Unpacker func() media.Unpacker
	Log      *slog.Logger // nil: discard
}

// Limits of patience with an encoder that sends by itself.
const (
	pushWithin  = 30 * time.Second       // for the first packet; then the ports are opened anew
	fromSilence = time.Second            // after it another port of the same host is believed
	absentSweep = 200 * time.Millisecond // how often the other ports are looked at before anything came: it may be away for days
)

// errNowhere reports a description that does not say where media is sent to.
var errNowhere = errors.New("the description names no port")

// Push opens the ports that an encoder sends to, or joins its groups, and waits until
// the first packet has come. It is the body of a [media.Opener]; an error is [ErrSilent]
// if nothing came in 30 s.
func Push(ctx context.Context, cfg PushConfig) (media.Opened, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p, opened, err := newPushed(cfg)
	if err != nil {
		return media.Opened{}, fmt.Errorf("receive by a description: %w", err)
	}
	if !p.arrives(ctx, time.Now().Add(pushWithin)) {
		p.Close()
		if ctx.Err() != nil {
			return media.Opened{}, ctx.Err()
		}
		return media.Opened{}, fmt.Errorf("%w to %s", ErrSilent, p.where())
	}
	cfg.Log.Info("encoder sends", "from", p.host, "to", p.where())
	opened.Source = p
	return opened, nil
}

// newPushed reads the description and opens what it names.
func newPushed(cfg PushConfig) (*pushed, media.Opened, error) {
	lanes, opened, err := described(cfg)
	if err != nil {
		return nil, opened, err
	}
	p := &pushed{from: cfg.From.Unmap()}
	for i, l := range lanes {
		in, err := p.inlet(l.group)
		if err != nil {
			p.Close()
			return nil, opened, err
		}
		in.lanes = append(in.lanes, &pushLane{flow: flow{index: i, rate: l.track.ClockRate, pt: l.track.PayloadType}})
	}
	for _, in := range p.inlets {
		in.prepare(p)
	}
	return p, opened, nil
}

// described reads what is sent: a program stream, or else tracks.
func described(cfg PushConfig) (lanes []offered, opened media.Opened, err error) {
	ssd, err := sdpunmarshaler.Unmarshal(cfg.SDP)
	if err != nil {
		return nil, opened, err
	}
	host := cfg.From.String()
	if pt, m := programOf(ssd); m != nil {
		if cfg.Unpacker == nil {
			return nil, opened, fmt.Errorf("program stream: %w", media.ErrNoTracks)
		}
		opened = media.Opened{Carriage: media.CarriagePS, Unpacker: cfg.Unpacker()}
		lanes = []offered{{track: media.Track{ClockRate: 90000, PayloadType: pt}, group: groupFrom(ssd, m, host)}}
	} else {
		if lanes, err = choose(ssd, &base.URL{}, host); err != nil {
			return nil, opened, err
		}
		opened.Carriage = media.CarriageRTP
		for _, l := range lanes {
			opened.Tracks = append(opened.Tracks, l.track)
		}
	}
	if slices.ContainsFunc(lanes, func(l offered) bool { return l.group.port == 0 }) {
		return nil, opened, errNowhere
	}
	return lanes, opened, nil
}

// programOf finds a program stream: a medium that is MP2P (RFC 3555 §4.2.6), which some
// call PS (GB/T 28181). Nothing beside it is taken.
func programOf(ssd *sdp.SessionDescription) (pt uint8, medium *sdp.MediaDescription) {
	for _, m := range ssd.MediaDescriptions {
		if m == nil {
			continue
		}
		for _, a := range m.Attributes {
			text, coding, _ := strings.Cut(a.Value, " ")
			name, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(coding)), "/")
			if a.Key != "rtpmap" || name != "MP2P" && name != "PS" || !slices.Contains(m.MediaName.Formats, text) {
				continue
			}
			var n uint8
			if _, err := fmt.Sscan(text, &n); err == nil && n < 128 {
				return n, m
			}
		}
	}
	return 0, nil
}

// A pushed is the source of what an encoder sends by itself. The owner waits on the
// first inlet; the others are looked at whenever it wakes.
type pushed struct {
	inlets []*inlet
	from   netip.Addr // believed by configuration; invalid: none
	host   netip.Addr // believed now; invalid: none yet
	drain  [2048]byte
	pulse
}

// An inlet is a port of ours, with the one of its RTCP.
type inlet struct {
	group group
	rtp   *sock.UDP
	rtcp  *sock.UDP // nil: none of its own
	lanes []*pushLane
	taken *pushLane // of the datagram that was admitted last
	stray bool      // one was not admitted
	s     *media.Stream
	take  intake
}

// A pushLane is a flow and where it comes from.
type pushLane struct {
	flow
	peer netip.AddrPort
	last time.Time
}

// inlet returns the inlet of a place, which tracks may share, opening it if need be.
func (p *pushed) inlet(g group) (*inlet, error) {
	for _, in := range p.inlets {
		if in.group == g {
			return in, nil
		}
	}
	in := &inlet{group: g}
	var err error
	if in.rtp, err = p.open(g, g.port); err != nil {
		return nil, err
	}
	if g.rtcp != 0 && g.rtcp != g.port {
		in.rtcp, _ = p.open(g, g.rtcp) // without it nothing is lost
	}
	p.inlets = append(p.inlets, in)
	return in, nil
}

// open opens a port at an address of ours, or joins a group. An address that is not
// ours, as some encoders write their own, means any.
func (p *pushed) open(g group, port uint16) (*sock.UDP, error) {
	if !g.addr.IsMulticast() {
		if u, err := sock.ListenUDP(netip.AddrPortFrom(g.addr, port)); g.addr.IsValid() && err == nil {
			return u, nil
		}
		u, err := sock.ListenUDP(netip.AddrPortFrom(netip.IPv6Unspecified(), port))
		if err != nil { // perhaps this machine knows no IPv6
			u, err = sock.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
		}
		return u, err
	}
	join := sock.Group{Addr: netip.AddrPortFrom(g.addr, port), Local: localTowards(p.from)}
	if g.source {
		join.Source = p.from
	}
	return sock.JoinUDP(join)
}

// localTowards returns our address on the way to a host; without a host, that of no
// interface in particular.
func localTowards(host netip.Addr) netip.Addr {
	if !host.IsValid() {
		return netip.IPv4Unspecified()
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(host, 9))) // sends nothing, asks the routes
	if err != nil {
		return netip.IPv4Unspecified()
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// where names the ports, for people.
func (p *pushed) where() string {
	var list []string
	for _, in := range p.inlets {
		list = append(list, in.rtp.Local().String())
	}
	return strings.Join(list, ", ")
}

// arrives waits until a packet that is believed has come, and leaves it where it is.
func (p *pushed) arrives(ctx context.Context, limit time.Time) bool {
	defer context.AfterFunc(ctx, p.Wake)()
	for now := time.Now(); now.Before(limit) && ctx.Err() == nil; now = time.Now() {
		for i, in := range p.inlets {
			n, err := in.rtp.Peek(p.drain[:], i == 0, now.Add(absentSweep))
			switch {
			case err != nil || n == 0:
			case p.admit(in, p.drain[:n], now) != nil:
				return true
			default:
				_, _ = in.rtp.Receive(p.drain[:], false, time.Time{})
			}
		}
	}
	return false
}

// admit returns the lane of a datagram that came in last, or nil if it is nobody's whom we
// believe. The first of a host makes that the one that is believed.
func (p *pushed) admit(in *inlet, b []byte, now time.Time) *pushLane {
	from := in.rtp.From()
	for _, l := range in.lanes {
		if !l.takes(b) {
			continue
		}
		switch {
		case p.from.IsValid() && from.Addr() != p.from,
			p.host.IsValid() && from.Addr() != p.host,
			l.peer.IsValid() && l.peer != from && now.Sub(l.last) < fromSilence:
			in.stray = true
			return nil
		}
		p.host, l.peer, l.last = from.Addr(), from, now
		return l
	}
	return nil
}

// prepare makes how datagrams come in, once: nothing is allocated for a packet.
func (in *inlet) prepare(p *pushed) {
	in.take = intake{sock: in.rtp, admits: func(b []byte) bool {
		in.taken = p.admit(in, b, time.Now())
		return in.taken != nil
	}, push: func(g media.Range) {
		p.packets++
		in.taken.push(in.s, g, time.Now())
	}}
}

// reports takes what has come by RTCP, so that the sender is not told that nobody listens.
func (in *inlet) reports(buf []byte) error {
	for n, i := 1, 0; in.rtcp != nil && n > 0 && i < perReceive; i++ {
		var err error
		if n, err = in.rtcp.Receive(buf, false, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// Receive takes what has come to every port; see [media.Source].
func (p *pushed) Receive(s *media.Stream, deadline time.Time) error {
	if sweep := time.Now().Add(sweepEvery); len(p.inlets) > 1 && sweep.Before(deadline) {
		deadline = sweep
	}
	for i, in := range p.inlets {
		in.s = s
		if err := in.take.take(s, waitFor(i == 0, deadline)); err != nil {
			return err
		}
		if in.stray {
			in.stray = false
			s.CountStray()
		}
		if err := in.reports(p.drain[:]); err != nil {
			return err
		}
	}
	return p.watch(time.Now())
}

// Wake ends a Receive in progress; see [media.Source].
func (p *pushed) Wake() { p.inlets[0].rtp.Wake() }

// Close closes the ports, and leaves the groups.
func (p *pushed) Close() error {
	for _, in := range p.inlets {
		in.rtp.Close()
		if in.rtcp != nil {
			in.rtcp.Close()
		}
	}
	return nil
}
