package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"districtgateway/domain"
	"districtgateway/media"
	"districtgateway/media/onvif"
)

// headKept is how long a conversation with a camera's encoder is kept after the last
// command: a command costs one request then, two if it is about presets, and the first
// one six more, by which the encoder tells who it is.
const headKept = 30 * time.Second

// lockedFor is how long an encoder that refused our password is not asked again by who
// moves its camera: after a few times encoders lock the account, for pictures, too.
const lockedFor = time.Minute

// Speeds of GB/T 28181 (A.3.2, A.3.3) that are ONVIF's 1, and the part of that which a
// direction without a speed gets: it is to be seen that the camera moves.
const (
	fastestTurn  = 255
	fastestZoom  = 15
	fastestFocus = 255
	slowest      = 0.1
)

// wiper is the auxiliary switch that GB/T 28181 names (A.3.7).
const wiper = 1

// errStill reports a camera of which no profile moves.
var errStill = fmt.Errorf("%w: it does not move", domain.ErrUnable)

// heads are our cameras that are moved by ONVIF, and the conversations with those that
// were moved lately.
type heads struct {
	cameras *cameras

	mu     sync.Mutex // never held during a conversation
	kept   map[domain.Code]*head
	locked map[domain.Code]locked
}

// A locked is a camera whose encoder refused our password.
type locked struct {
	camera camera
	err    error
	until  time.Time
}

// A head is such a conversation. Whoever took it out of heads has it alone.
type head struct {
	camera  camera // as it was then
	client  *onvif.Client
	profile string // by which it is moved; empty: by none
	source  string // of the picture, whose focus is moved

	only     onvif.Axes        // what alone it lets itself be told about; AllAxes: not known
	speeds   onvif.FocusSpeeds // zero: not known
	focusing bool              // the focus was moved, and not stopped since
	last     time.Time         // when it was put back
}

func newHeads(cs *cameras) *heads {
	return &heads{cameras: cs, kept: map[domain.Code]*head{}, locked: map[domain.Code]locked{}}
}

// A byONVIF is the way to one camera; see mover.
type byONVIF struct {
	*heads
	camera camera
}

// way returns the way to a camera of ours.
func (hs *heads) way(c camera) (mover, error) {
	if c.Address == "" && c.RTSP+c.SDP != "" {
		return nil, fmt.Errorf("%w: it is not moved from here", domain.ErrUnable)
	}
	return byONVIF{hs, c}, nil
}

func (w byONVIF) move(ctx context.Context, p domain.PTZ, d time.Duration) error {
	if !inONVIF(p) {
		return fmt.Errorf("%w: %s by ONVIF", domain.ErrUnable, p)
	}
	err := driveError(w.obey(ctx, w.camera, p, d))
	if errors.Is(err, domain.ErrOffline) {
		w.cameras.lookAgain()
	}
	return err
}

// inONVIF reports whether ONVIF has words for a command.
func inONVIF(p domain.PTZ) bool {
	switch p.Action {
	case domain.PTZMove, domain.PresetSet, domain.PresetCall, domain.PresetDelete:
		return true
	case domain.PTZLens:
		return p.Iris.Dir == domain.Still
	case domain.AuxOn, domain.AuxOff:
		return p.Number == wiper
	}
	return false
}

// driveError turns the ways a conversation fails into the words of the domain: an
// encoder of ours that answers cannot do it, any other is not there.
func driveError(err error) error {
	_, fault := errors.AsType[*onvif.Fault](err)
	switch {
	case err == nil, errors.Is(err, domain.ErrUnable), errors.Is(err, domain.ErrOffline):
		return err
	case fault, errors.Is(err, onvif.ErrUnauthorized), errors.Is(err, onvif.ErrNoService), errors.Is(err, media.ErrNoTracks):
		return fmt.Errorf("%w: %w", domain.ErrUnable, err)
	}
	return fmt.Errorf("%w: %w", domain.ErrOffline, err)
}

// lost reports whether a conversation that ended so is of no more use: nothing
// intelligible came, or what is known of the encoder holds no more.
func lost(err error) bool {
	if f, fault := errors.AsType[*onvif.Fault](err); fault {
		return errors.Is(err, onvif.ErrUnauthorized) || f.Has("NoProfile") || f.Has("NoPTZProfile") || f.Has("NoSource")
	}
	return err != nil && !errors.Is(err, domain.ErrUnable) && !errors.Is(err, onvif.ErrNoService)
}

// obey has a camera do p in the conversation that was kept or, where there is none or
// it is lost, in a new one.
func (hs *heads) obey(ctx context.Context, c camera, p domain.PTZ, d time.Duration) error {
	old := hs.take(c)
	if old != nil {
		err := old.do(ctx, p, d)
		if !lost(err) {
			hs.keep(old)
			return err
		}
		old.client.Close()
		if errors.Is(err, onvif.ErrUnauthorized) || ctx.Err() != nil { // wrong passwords lock accounts
			return err
		}
	}
	h, err := hs.begin(ctx, c)
	if err != nil {
		return err
	}
	h.focusing = old != nil && old.focusing
	if err = h.do(ctx, p, d); lost(err) {
		h.client.Close()
		return err
	}
	hs.keep(h)
	return err
}

// take returns the conversation with a camera, which is the caller's from now on, or
// nil if there is none of the camera as it is now.
func (hs *heads) take(c camera) *head {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.kept[c.Code]
	delete(hs.kept, c.Code)
	if h == nil {
		return nil
	}
	if h.over(time.Now()) || h.camera.Address != c.Address || h.camera.Identity != c.Identity {
		h.client.Close()
		return nil
	}
	return h
}

// keep puts a conversation back, and ends those that were kept long enough.
func (hs *heads) keep(h *head) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h.last = time.Now()
	for code, other := range hs.kept {
		if code == h.camera.Code || other.over(h.last) {
			other.client.Close()
			delete(hs.kept, code)
		}
	}
	hs.kept[h.camera.Code] = h
}

// leave ends every conversation.
func (hs *heads) leave() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, h := range hs.kept {
		h.client.Close()
	}
	clear(hs.kept)
}

// begin begins a conversation with a camera.
func (hs *heads) begin(ctx context.Context, c camera) (*head, error) {
	if err := hs.lockedOut(c); err != nil {
		return nil, err
	}
	client, ch, err := hs.cameras.meet(ctx, c, hs.cameras.reach(c))
	if err != nil {
		hs.lock(c, err)
		return nil, err
	}
	return &head{camera: c, client: client, profile: ch.Moves, source: ch.Source}, nil
}

// lock notes that an encoder refused our password.
func (hs *heads) lock(c camera, err error) {
	if !errors.Is(err, onvif.ErrUnauthorized) {
		return
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.locked[c.Code] = locked{c, err, time.Now().Add(lockedFor)}
}

// lockedOut returns with what words the encoder of a camera refused our password lately.
func (hs *heads) lockedOut(c camera) error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	l, known := hs.locked[c.Code]
	if !known {
		return nil
	}
	if !time.Now().Before(l.until) || l.camera.Address != c.Address || l.camera.Identity != c.Identity {
		delete(hs.locked, c.Code)
		return nil
	}
	return l.err
}

func (h *head) over(now time.Time) bool { return now.Sub(h.last) > headKept }

// do has the camera obey p, which ONVIF has words for.
func (h *head) do(ctx context.Context, p domain.PTZ, d time.Duration) error {
	switch {
	case p.Action == domain.PTZLens:
		return h.lens(ctx, p)
	case p.Stops():
		return h.stop(ctx)
	case h.profile == "":
		return errStill
	case p.Action == domain.PTZMove:
		return h.turn(ctx, p, d)
	case p.Action == domain.AuxOn:
		return h.client.Auxiliary(ctx, h.profile, "tt:Wiper|On")
	case p.Action == domain.AuxOff:
		return h.client.Auxiliary(ctx, h.profile, "tt:Wiper|Off")
	}
	return h.preset(ctx, p)
}

// turn moves pan, tilt and zoom. All are named, so that what is to be still stops. A
// device that lacks some may refuse that: then it is told of what moves alone.
func (h *head) turn(ctx context.Context, p domain.PTZ, d time.Duration) error {
	v := onvif.Vector{Pan: speed(p.Pan, fastestTurn), Tilt: speed(p.Tilt, fastestTurn), Zoom: speed(p.Zoom, fastestZoom)}
	moves := axes(p)
	if moves == h.only {
		v.Axes = moves
	}
	err := h.client.ContinuousMove(ctx, h.profile, v, d)
	if _, fault := errors.AsType[*onvif.Fault](err); !fault || lost(err) || v.Axes == moves {
		return err
	}
	v.Axes = moves
	if err = h.client.ContinuousMove(ctx, h.profile, v, d); err == nil {
		h.only = moves
	}
	return err
}

// axes are those that a movement moves.
func axes(p domain.PTZ) onvif.Axes {
	switch {
	case p.Zoom.Dir == domain.Still:
		return onvif.PanTiltAxes
	case p.Pan.Dir == domain.Still && p.Tilt.Dir == domain.Still:
		return onvif.ZoomAxis
	}
	return onvif.AllAxes
}

// speed is the velocity along an axis, from -1 to 1.
func speed(a domain.Axis, fastest float64) float64 {
	part := min(float64(a.Speed)/fastest, 1)
	if a.Speed == 0 {
		part = slowest
	}
	return float64(a.Dir) * part
}

// stop ends all movement.
func (h *head) stop(ctx context.Context) error {
	switch {
	case h.profile != "":
		err := h.client.Stop(ctx, h.profile)
		if h.focusing && !lost(err) {
			err = cmp.Or(err, h.stopFocus(ctx))
		}
		return err
	case h.focusing:
		return h.stopFocus(ctx)
	}
	return errStill
}

// lens moves the focus. Should we vanish it goes on to its end: ONVIF has no time for
// it.
func (h *head) lens(ctx context.Context, p domain.PTZ) error {
	if p.Stops() {
		return h.stopFocus(ctx)
	}
	if err := h.askSpeeds(ctx); err != nil {
		return err
	}
	was := h.focusing
	h.focusing = true
	err := h.client.MoveFocus(ctx, h.source, focusSpeed(p.Focus, h.speeds))
	if _, fault := errors.AsType[*onvif.Fault](err); fault {
		h.focusing = was
	}
	return err
}

// focusSpeed is the velocity of a focus in units of the encoder's own.
func focusSpeed(a domain.Axis, of onvif.FocusSpeeds) float64 {
	v := speed(a, fastestFocus)
	if v < 0 {
		return -v * of.Near
	}
	return v * of.Far
}

// askSpeeds asks once for the speeds of the focus. An encoder that does not know the
// question may still move.
func (h *head) askSpeeds(ctx context.Context) (err error) {
	if h.speeds != (onvif.FocusSpeeds{}) {
		return nil
	}
	h.speeds, err = h.client.FocusSpeeds(ctx, h.source)
	if _, fault := errors.AsType[*onvif.Fault](err); fault && !lost(err) {
		h.speeds, err = onvif.FocusSpeeds{Near: -1, Far: 1}, nil
	}
	if err == nil && h.speeds == (onvif.FocusSpeeds{}) {
		err = fmt.Errorf("%w: its focus is not moved so", domain.ErrUnable)
	}
	return err
}

func (h *head) stopFocus(ctx context.Context) error {
	err := h.client.StopFocus(ctx, h.source)
	if err == nil {
		h.focusing = false
	}
	return err
}

// preset stores, goes to or forgets a preset. The encoder is asked for its presets each
// time: others change them.
func (h *head) preset(ctx context.Context, p domain.PTZ) error {
	list, err := h.client.Presets(ctx, h.profile)
	if err != nil {
		return err
	}
	token, found := presetToken(list, p.Number)
	switch {
	case p.Action == domain.PresetSet && found:
		_, err = h.client.SetPreset(ctx, h.profile, onvif.Preset{Token: token})
	case p.Action == domain.PresetSet:
		_, err = h.client.SetPreset(ctx, h.profile, onvif.Preset{Name: fmt.Sprintf("preset %d", p.Number)})
	case !found:
		err = fmt.Errorf("%w: no preset %d", domain.ErrUnable, p.Number)
	case p.Action == domain.PresetCall:
		err = h.client.GotoPreset(ctx, h.profile, token)
	default:
		err = h.client.RemovePreset(ctx, h.profile, token)
	}
	return err
}

// presetToken finds preset n among those of an encoder: the one with that number as its
// token, else as its name. But one that has another number as its name is that preset:
// encoders count tokens up as they give them out, some from 0, whatever preset we name.
func presetToken(list []onvif.Preset, n uint8) (token string, found bool) {
	for _, p := range list {
		if named := presetNumber(p.Name); p.Token == strconv.Itoa(int(n)) && (named == 0 || named == n) {
			return p.Token, true
		}
	}
	for _, p := range list {
		if presetNumber(p.Name) == n {
			return p.Token, true
		}
	}
	return "", false
}

// presetNumber reads the number out of "7" or "Preset 7"; 0 if a name is neither.
func presetNumber(name string) uint8 {
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(name), "preset "), 10, 8)
	if err != nil {
		return 0
	}
	return uint8(n)
}
