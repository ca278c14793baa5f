package rtsp

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/sdp/v3"

	"districtgateway/media/sock"
)

// RTCP feedback that asks for a key frame: payload-specific feedback (RFC 4585 §6.1),
// of which Picture Loss Indication is format 1 (§6.3.1) and Full Intra Request format
// 4 (RFC 5104 §4.3.1).
const (
	typeReceiver = 201
	typeSource   = 202
	typePayload  = 206
	formatPLI    = 1
	formatFIR    = 4

	nameBytes     = 8 + 12 // SDES with a CNAME of 8 digits and the zeros that end it
	feedbackBytes = reportBytes + nameBytes + 20
)

// errNoWay reports an encoder that cannot be asked for a key frame now.
var errNoWay = errors.New("no way to ask the encoder")

// pleas is how an encoder is asked for key frames.
type pleas struct {
	fir  bool  // by FIR, not PLI
	sent uint8 // FIR: each has its number
}

// fullIntra reports whether an encoder says that it takes FIR and not that it takes
// PLI (a=rtcp-fb, RFC 4585 §4.2). Most say nothing, and take PLI or neither.
func fullIntra(attrs []sdp.Attribute) (fir bool) {
	for _, a := range attrs {
		if a.Key != "rtcp-fb" {
			continue
		}
		switch _, what, _ := strings.Cut(strings.ToLower(a.Value), " "); strings.Join(strings.Fields(what), " ") {
		case "nack pli":
			return false
		case "ccm fir":
			fir = true
		}
	}
	return fir
}

// feedback writes a compound packet into b that asks for a key frame, and returns its
// length. Compound: some take no feedback that does not begin with a report (RFC 3550
// §6.1, RFC 4585 §3.1).
func (f *flow) feedback(b []byte, own uint32, now time.Time) int {
	f.report(b, own, now)
	p := b[reportBytes:]
	clear(p[:nameBytes])
	p[0], p[1] = 2<<6|1, typeSource
	binary.BigEndian.PutUint16(p[2:], nameBytes/4-1)
	binary.BigEndian.PutUint32(p[4:], own)
	p[8], p[9] = 1, 8 // CNAME
	for i := range 8 {
		p[10+i] = "0123456789abcdef"[own>>(28-4*i)&0xF]
	}
	p = p[nameBytes:]
	p[0], p[1], p[2] = 2<<6|formatPLI, typePayload, 0
	binary.BigEndian.PutUint32(p[4:], own)
	binary.BigEndian.PutUint32(p[8:], f.ssrc)
	if !f.pleas.fir {
		p[3] = 12/4 - 1
		return reportBytes + nameBytes + 12
	}
	f.pleas.sent++
	p[0], p[3] = 2<<6|formatFIR, 20/4-1
	binary.BigEndian.PutUint32(p[8:], 0) // the entries name the sources
	binary.BigEndian.PutUint32(p[12:], f.ssrc)
	binary.BigEndian.PutUint32(p[16:], uint32(f.pleas.sent)<<24)
	return feedbackBytes
}

// keyFrameWithin bounds one call of [Config].KeyFrame.
const keyFrameWithin = 5 * time.Second

// A prompter asks for key frames in the way that [Config].KeyFrame knows, one request
// at a time, on goroutines of its own. The zero value knows none.
type prompter struct {
	ask  func(context.Context) error
	busy atomic.Bool
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newPrompter(ask func(context.Context) error) *prompter {
	p := &prompter{ask: ask}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// prompt begins a request and reports whether there was a way to. A request that is under way
// is enough.
func (p *prompter) prompt(failed func(error)) bool {
	if p.ask == nil {
		return false
	}
	if p.busy.Swap(true) {
		return true
	}
	p.wg.Go(func() {
		defer p.busy.Store(false)
		ctx, cancel := context.WithTimeout(p.ctx, keyFrameWithin)
		defer cancel()
		if err := p.ask(ctx); err != nil && p.ctx.Err() == nil {
			failed(err)
		}
	})
	return true
}

// close gives a request under way up, and waits for that.
func (p *prompter) close() {
	p.stop()
	p.wg.Wait()
}

// prompt asks in the encoder's own way, and answers for a source that has no other.
func (l *link) prompt(sent bool) error {
	asked := l.prompts.prompt(func(err error) {
		l.session.cfg.Log.Debug("key frame not asked for", "url", l.session.cfg.URL, "err", err)
	})
	if !asked && !sent {
		return errNoWay
	}
	return nil
}

// video returns the flow of the pictures, once some have come, or nil.
func (l *link) video() (i int, f *flow) {
	for i, f := range l.session.flows {
		if l.session.tracks[i].Codec.Video() && f.received > 0 {
			return i, f
		}
	}
	return 0, nil
}

// AskKey asks for a key frame by RTCP among the frames, and as [Config].KeyFrame says.
func (t *tcpSource) AskKey() error {
	_, f := t.video()
	sent := f != nil && t.out.Len() == 0
	if sent {
		n := f.feedback(t.plea[4:], t.ssrc, time.Now())
		t.plea[0], t.plea[1] = '$', byte(f.channels[1])
		binary.BigEndian.PutUint16(t.plea[2:], uint16(n))
		if err := t.write(t.plea[:4+n]); err != nil {
			return err
		}
	}
	return t.prompt(sent)
}

// AskKey asks for a key frame by RTCP, and as [Config].KeyFrame says.
func (u *udpSource) AskKey() error {
	i, f := u.video()
	sent := f != nil && u.session.ports[i].connected && !u.session.ports[i].shared
	if sent {
		n := f.feedback(u.plea[:], u.ssrc, time.Now())
		var b sock.Batch
		b.Add(u.plea[:n])
		b.End()
		_, _ = u.session.ports[i].rtcp.Send(&b, 0, 1) // lost: it is asked again
	}
	return u.prompt(sent)
}
