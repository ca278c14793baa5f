package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"districtgateway/cmd/internal/isolation"
)

// isolationBar is how much later than undisturbed a picture may be for everybody else,
// at the 99th percentile, in milliseconds.
const isolationBar = 5

// measureIsolation measures what a consumer in trouble costs the others of its
// stream: each fault in a rig of its own, in this process, compared with the same
// rig before it.
func measureIsolation(ctx context.Context, b *bench) ([]Result, error) {
	var list []Result
	for i, f := range isolation.Faults() {
		b.say("%s", f.Name)
		r, err := b.isolate(ctx, f, filepath.Join(b.scratch, fmt.Sprintf("isolation%d", i)))
		if err != nil {
			return list, fmt.Errorf("%s: %w", f.Name, err)
		}
		list = append(list, r)
	}
	return list, nil
}

// isolate measures one fault.
func (b *bench) isolate(ctx context.Context, f isolation.Fault, dir string) (Result, error) {
	cfg := isolation.Config{Picture: 60_000, Every: 40 * time.Millisecond, Group: 25, Ring: 4 << 20, Dir: dir, Spawn: b.volumeChild}
	if b.quick && f.Cuts { // else a consumer that is to be slow would be cut before it is lapped
		cfg.SlowLimit = 2 * time.Second
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return Result{}, err
	}
	r, err := isolation.Start(ctx, cfg)
	if err != nil {
		return Result{}, err
	}
	defer r.Close()
	if err := sleep(ctx, time.Duration(b.full(15, 4))*time.Second); err != nil {
		return Result{}, err
	}
	before, calm := takeAll(r), r.Pulse()
	began := time.Now()
	if err := f.Inject(r, 5*time.Second); err != nil {
		return Result{}, err
	}
	if err := sleep(ctx, time.Until(began.Add(time.Duration(b.full(15, 4))*time.Second))); err != nil {
		return Result{}, err
	}
	out := isolationResult(f.Name, r, before, takeAll(r))
	out.pulse(ms(calm.Delay(99)), ms(r.Pulse().Delay(99)))
	return out, nil
}

// takeAll takes the tallies of all witnesses.
func takeAll(r *isolation.Rig) []isolation.Tally {
	list := make([]isolation.Tally, len(r.Witnesses))
	for i, w := range r.Witnesses {
		list[i] = w.Take()
	}
	return list
}

// isolationResult compares the delays of each witness with its own before the fault.
func isolationResult(fault string, r *isolation.Rig, before, during []isolation.Tally) Result {
	out := Result{
		Name: "added delay, " + fault, Bar: fmt.Sprintf("p99 ≤ %d ms more", isolationBar), Values: map[string]float64{},
		On: "one stream of 12 Mbit/s, recorded, to a player and an upper by TCP and by UDP each; the worst of these four",
	}
	worst, lost := 0.0, ""
	for i, w := range r.Witnesses {
		was, is := ms(before[i].Delay(99)), ms(during[i].Delay(99))
		out.Values[w.Name+"_before_p99_ms"], out.Values[w.Name+"_p99_ms"] = was, is
		worst = max(worst, is-was)
		if n := during[i]; !n.Flawless() || w.Err() != nil {
			lost = join(lost, fmt.Sprintf("%s: %d of %d lost, %d doubled, %d out of order, %d damaged", w.Name, n.Lost, n.Lost+n.Pictures, n.Doubled,
				n.Reordered, n.Damaged))
		}
	}
	out.Values["added_p99_ms"] = worst
	out.Measured = fmt.Sprintf("%+.1f ms, %d pictures each, 0 lost", worst, during[0].Pictures)
	if lost != "" {
		out.Measured = lost
	}
	out.Verdict = judge(worst, isolationBar, lost)
	return out
}

// pulse tells how late this process itself was, at the 99th percentile, before the
// fault and during it. If that alone is more than the bar, the machine was busy with
// something else, and the figure means nothing.
func (r *Result) pulse(before, during float64) {
	r.Values["process_before_p99_ms"], r.Values["process_p99_ms"] = before, during
	r.Measured += fmt.Sprintf("; this process %+.1f ms", during-before)
	if during-before > isolationBar {
		r.Verdict = Void
	}
}

// volumeChild runs the daemon's program as the child of a volume.
func (b *bench) volumeChild(args []string, files []*os.File) (wait func() error, kill func(), err error) {
	cmd := exec.Command(b.gatewayd, append([]string{"volume"}, args...)...)
	cmd.ExtraFiles = files
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return cmd.Wait, func() { _ = cmd.Process.Kill() }, nil
}
