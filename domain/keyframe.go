package domain

import "time"

// keyFrameEvery is the least time between two requests for a key frame of one channel,
// whoever asks: each costs its viewers a picture of several times the usual size.
const keyFrameEvery = 2 * time.Second

// A keyOrder is that a channel was asked for a key frame a short while ago.
type keyOrder struct {
	channel Code
	again   bool // somebody asked since
	alarm   alarm
}

// keyFrameIn obeys an upper that asks for a key frame (IFrameCmd, GB/T 28181-2022
// A.2.3.1): 200 says that it was understood, and there is no other answer.
func (p *Processor) keyFrameIn(ev KeyFrameIn) {
	u, err := p.callingUpper(ev.Origin)
	channel, ok := ev.Target.code()
	switch {
	case err != nil:
	case !ok:
		err = ErrNoChannel
	default:
		_, err = p.reach(u, channel, Live)
	}
	p.desk.do(Reply{Ref: ev.Ref, Err: err})
	if err == nil {
		p.wantKeyFrame(channel)
	}
}

// keyFrameWanted is asked by those who watch what a receiver receives.
func (p *Processor) keyFrameWanted(ev KeyFrameWanted) {
	if r := p.calls.receivers[ev.Leg]; r != nil && r.stream.Kind == Live {
		p.wantKeyFrame(r.stream.Channel)
	}
}

// wantKeyFrame has a channel asked now, or when it may be asked again.
func (p *Processor) wantKeyFrame(channel Code) {
	if o := p.keys[channel]; o != nil {
		o.again = true
		return
	}
	if !p.orderKeyFrame(channel) {
		return
	}
	o := &keyOrder{channel: channel}
	o.alarm.owner = o
	p.keys[channel] = o
	p.desk.set(&o.alarm, p.desk.now.Add(keyFrameEvery))
}

// orderKeyFrame asks the encoder, or the lower that owns the channel. It reports
// whether there was somebody to ask.
func (p *Processor) orderKeyFrame(channel Code) bool {
	e, err := p.reach(nil, channel, Live)
	if err != nil || p.phase != phaseRunning {
		return false
	}
	if e.owner == "" {
		p.desk.do(WantKeyFrame{channel})
		return true
	}
	p.desk.do(AskKeyFrame{Tag: p.desk.ask(heedless{}), Peer: p.lowers[e.owner].cfg.ref(), SN: p.desk.serial(), Channel: Code(e.below)})
	return true
}

func (o *keyOrder) expired(p *Processor) {
	delete(p.keys, o.channel)
	if o.again {
		p.wantKeyFrame(o.channel)
	}
}

// heedless does not care for the answer, nor whether there is one.
type heedless struct{}

func (heedless) answered(*Processor, Answered) {}
