package isolation

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"districtgateway/media"
	"districtgateway/storage"
)

// childVariable makes this test binary the child process of a volume.
const childVariable = "ISOLATION_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := storage.ServeVolume(os.NewFile(3, "parent"), storage.ServeConfig{}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// spawn runs this test binary again.
func spawn(args []string, files []*os.File) (wait func() error, kill func(), err error) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), childVariable+"="+args[0]), files
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	return cmd.Wait, func() { _ = cmd.Process.Kill() }, nil
}

// Whatever is done to one consumer, the others get every picture once, in order and
// whole. A slow one is moved on to a key picture, then cut and counted; a recorder is
// never cut, and notes a hole.
func TestOneConsumerCostsNobodyElseAPicture(t *testing.T) {
	for _, f := range Faults() {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Picture: 60_000, Every: 40 * time.Millisecond, Group: 10, Ring: 1 << 20, Dir: t.TempDir(), Spawn: spawn}
			if f.Cuts {
				cfg.SlowLimit = 1500 * time.Millisecond
			}
			r, err := Start(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if err := errors.Join(f.Inject(r, 2500*time.Millisecond), r.Watch(25)); err != nil {
				t.Error(err)
			}
			for _, w := range r.Witnesses {
				checkWitness(t, r, w)
			}
			checkRecorder(t, r)
		})
	}
}

// stillness is for how long a machine may stand still until its sockets overflow.
const stillness = 50 * time.Millisecond

// checkWitness wants a witness that noticed nothing.
func checkWitness(t *testing.T, r *Rig, w *Witness) {
	t.Helper()
	tally := w.Take()
	if tally.Flawless() && w.Err() == nil {
		return
	}
	say := t.Errorf
	if strings.HasSuffix(w.Name, "udp") && w.Err() == nil && r.Stood() > stillness {
		say = t.Logf
	}
	say("%s: %d pictures, %d lost, %d doubled, %d out of order, %d damaged, %v; the machine stood still for %s", w.Name, tally.Pictures,
		tally.Lost, tally.Doubled, tally.Reordered, tally.Damaged, w.Err(), r.Stood())
}

// checkRecorder wants the recorder still there, and nobody but victims cut.
func checkRecorder(t *testing.T, r *Rig) {
	t.Helper()
	there := false
	st := r.Stream.Stats().Consumers
	for _, k := range st.Now {
		there = there || k.Kind == "recorder"
	}
	if !there {
		t.Errorf("no recorder among %+v", st.Now)
	}
	for _, k := range st.Last {
		if k.Kind == "recorder" || k.Name == "witness" {
			t.Errorf("cut: %+v", k)
		}
		if errors.Is(k.Why, media.ErrSlow) && k.At.Sub(k.Since) < 1500*time.Millisecond {
			t.Errorf("cut for being slow after %s: %+v", k.At.Sub(k.Since), k)
		}
	}
}
