package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
)

// ptzOptions are the options of the verb.
type ptzOptions struct {
	speed  int // percent
	length time.Duration
	rank   int
	user   string
	moving string // the last option given that only a movement takes
}

const defaultSpeed = 50

func ptzVerb() *verb {
	o := &ptzOptions{speed: defaultSpeed, length: api.DefaultMove}
	return &verb{
		name: "ptz", args: "CHANNEL COMMAND... [--for D]", least: 2, most: 9, summary: "move a camera: pan, tilt, zoom, presets and more",
		about: `Moves a camera, wherever it is, and says so when it has obeyed. COMMAND is one of:

left right up down in out   pans, tilts and zooms; as many together as make
                            sense: left up in
near far open close         focus and iris: near, or far open
stop                        ends every movement, a cruise or a scan, too
preset N                    goes to preset N, 1 to 255
preset set N                keeps where it is now as preset N
preset delete N             forgets preset N
cruise N                    goes from preset to preset of cruise N, 0 to 255
cruise add N PRESET         appends a preset to cruise N
cruise delete N [PRESET]    removes one from it; without PRESET the whole cruise
cruise speed N V            how fast it goes: 1 to 4095, as the camera takes it
cruise dwell N SECONDS      how long it stays at each preset
scan N                      swings between the edges of scan N, 0 to 255
scan left N, scan right N   keeps where it is now as an edge of scan N
scan speed N V              how fast it swings
aux N on|off                an auxiliary switch; 1 is the wiper
hold D                      nobody else of the same rank moves it for D, up to 10m
release                     ends that

A movement ends after --for. It ends at once at Ctrl-C (SIGINT, SIGTERM, the end of
its terminal), which is success if the camera obeyed, and when gatewayctl is killed.
A preset is gone to, and a cruise or scan goes on, without gatewayctl.

Of two who want the same camera, the one with more rank takes over: the users of
the level that has the camera come before those of its uppers, which have the
ptz_rank of the configuration there; users of one level have --rank. Among equals
the one who moves or holds it has it, and others are refused. What a camera cannot
do is refused, too.
`,
		options: `--for D         how long to move (1s), up to 30s
--speed PERCENT of full speed (50), 1 to 100
--rank N        among the users of this server (0), up to 99
--user NAME     who moves it (the account that runs gatewayctl): what one user
                holds, another of the same rank does not move
`,
		example: `gatewayctl ptz 33010600001320000001 left up --speed 30 --for 2s
gatewayctl ptz 33010600001320000001 in --for 30s     # Ctrl-C when it is near enough
gatewayctl ptz 33010600001320000001 preset set 5
gatewayctl ptz 33010600001320000001 cruise add 1 5
gatewayctl ptz 33010600001320000001 hold 5m --rank 10
`,
		flags: o.flags,
		run: func(ctx context.Context, c *call) error {
			in, err := o.command(c.args[1:])
			if err != nil {
				return err
			}
			in.User, in.Rank = cmp.Or(o.user, c.account()), o.rank
			return c.drive(ctx, in, o.length)
		},
	}
}

func (o *ptzOptions) flags(f *flag.FlagSet) {
	f.Func("speed", "", func(text string) (err error) {
		o.moving = "--speed"
		o.speed, err = strconv.Atoi(text)
		return err
	})
	f.Func("for", "", func(text string) (err error) {
		o.moving = "--for"
		o.length, err = time.ParseDuration(text)
		return err
	})
	f.IntVar(&o.rank, "rank", 0, "")
	f.StringVar(&o.user, "user", "", "")
}

// command reads the words of a command, and checks the options that go with it.
func (o *ptzOptions) command(words []string) (api.PTZ, error) {
	in, err := ptzCommand(words, o.speed)
	moves := in.Action == api.PTZMove || in.Action == api.PTZLens
	switch {
	case o.speed < 1 || o.speed > 100:
		return in, usagef("--speed %d: want 1 to 100", o.speed)
	case o.length <= 0 || o.length > api.MostMove:
		return in, usagef("--for %s: want more than 0, up to %s", o.length, api.MostMove)
	case o.rank < 0 || o.rank > api.MostRank:
		return in, usagef("--rank %d: want 0 to %d", o.rank, api.MostRank)
	case err != nil:
		return in, err
	case moves:
		in.For = o.length.String()
	case o.moving != "":
		return in, usagef("%s: %s is no movement", o.moving, strings.Join(words, " "))
	}
	return in, nil
}

// ptzForms are the commands that are no movement: words as they are, and names of what
// stands there in capitals.
func ptzForms() [][2]string {
	return [][2]string{
		{"stop", api.PTZStop},
		{"preset N", api.PTZPreset}, {"preset set N", api.PTZPresetSet}, {"preset delete N", api.PTZPresetDelete},
		{"cruise N", api.PTZCruise}, {"cruise add N PRESET", api.PTZCruiseAdd},
		{"cruise delete N", api.PTZCruiseDelete}, {"cruise delete N PRESET", api.PTZCruiseDelete},
		{"cruise speed N V", api.PTZCruiseSpeed}, {"cruise dwell N SECONDS", api.PTZCruiseDwell},
		{"scan N", api.PTZScan}, {"scan left N", api.PTZScanLeft}, {"scan right N", api.PTZScanRight}, {"scan speed N V", api.PTZScanSpeed},
		{"aux N on", api.PTZAuxOn}, {"aux N off", api.PTZAuxOff},
		{"hold D", api.PTZHold}, {"release", api.PTZRelease},
	}
}

// ptzCommand reads the words of a command. Speed is that of a movement, in percent.
func ptzCommand(words []string, speed int) (api.PTZ, error) {
	var near []string
	for _, f := range ptzForms() {
		form := strings.Fields(f[0])
		if form[0] != words[0] {
			continue
		}
		near = append(near, f[0])
		in := api.PTZ{Action: f[1]}
		if fits(form, words, &in) {
			return in, nil
		}
	}
	if near != nil {
		return api.PTZ{}, usagef("%s: want %s", strings.Join(words, " "), strings.Join(near, ", "))
	}
	return directions(words, speed)
}

// fits reports whether words are of a form, and reads into in what the form names.
func fits(form, words []string, in *api.PTZ) bool {
	return len(form) == len(words) && !slices.ContainsFunc(form, func(name string) bool {
		word := words[0]
		words = words[1:]
		var number *int
		switch name {
		case "N":
			number = &in.Number
		case "PRESET":
			number = &in.Preset
		case "V":
			number = &in.Speed
		case "SECONDS":
			number = &in.Dwell
		case "D":
			_, err := time.ParseDuration(word)
			in.Hold = word
			return err != nil
		default:
			return name != word
		}
		n, err := strconv.Atoi(word)
		*number = n
		return err != nil
	})
}

// directions reads where a camera is to move.
func directions(words []string, speed int) (api.PTZ, error) {
	in := api.PTZ{Action: api.PTZMove}
	for i, w := range words {
		axis, action, sign := direction(&in, w)
		if axis == nil {
			return in, usagef("%q: want left, right, up, down, in, out, near, far, open, close, stop, preset, cruise, scan, aux, hold or release", w)
		}
		if i == 0 {
			in.Action = action
		}
		switch {
		case in.Action != action:
			return in, usagef("%s: want to move the camera or to set its lens, one after the other", strings.Join(words, " "))
		case *axis != 0:
			return in, usagef("%s: want one of left and right, up and down, in and out, near and far, open and close", strings.Join(words, " "))
		}
		*axis = sign * speed
	}
	return in, nil
}

// direction returns which axis of in a word is about, and the action and the sign that
// go with it.
func direction(in *api.PTZ, word string) (axis *int, action string, sign int) {
	for _, d := range []struct {
		minus, plus string
		axis        *int
		action      string
	}{
		{"left", "right", &in.Pan, api.PTZMove}, {"down", "up", &in.Tilt, api.PTZMove}, {"out", "in", &in.Zoom, api.PTZMove},
		{"near", "far", &in.Focus, api.PTZLens}, {"close", "open", &in.Iris, api.PTZLens},
	} {
		switch word {
		case d.minus:
			return d.axis, d.action, -1
		case d.plus:
			return d.axis, d.action, 1
		}
	}
	return nil, "", 0
}

// drive sends a command, and says what came of it.
func (c *call) drive(ctx context.Context, in api.PTZ, length time.Duration) error {
	channel, what, wipe := c.args[0], strings.Join(c.args[1:], " "), func() {}
	halting := min(c.timeout, haltWithin)
	if in.For != "" {
		what += " for " + in.For
		c.timeout += length
		wipe = c.tick("moving "+channel, length)
	}
	within, cancel := c.within(ctx)
	defer cancel()
	done, err := c.client.PTZ(within, channel, in)
	wipe()
	if in.For != "" && errors.Is(err, context.Canceled) {
		what += ", interrupted"
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), halting)
		defer cancel()
		done, err = c.halt(ctx, in)
	}
	if err != nil {
		return err
	}
	return c.show(done, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: %s, done\n", channel, what)
		return err
	})
}

// haltWithin bounds the wait for a camera to stand, after an interrupt.
const haltWithin = 5 * time.Second

// halt ends a movement that was interrupted. The daemon does that, too, now that the
// connection is closed; but there is nobody whom it could tell.
func (c *call) halt(ctx context.Context, moved api.PTZ) (api.PTZDone, error) {
	stop := api.PTZ{Action: api.PTZStop, User: moved.User, Rank: moved.Rank}
	if moved.Action == api.PTZLens {
		stop.Action = api.PTZLensStop
	}
	done, err := c.client.PTZ(ctx, c.args[0], stop)
	switch {
	case ctx.Err() != nil:
		err = errNotHalted
	case err != nil:
		err = fmt.Errorf("interrupted, but it does not stop: %w", err)
	}
	return done, err
}

// errNotHalted reports a camera that may move on, for 1.5 s as a rule.
var errNotHalted = errors.New("interrupted, but nobody says that it stands")

// accountName is the name of the account that runs the program.
func accountName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}
