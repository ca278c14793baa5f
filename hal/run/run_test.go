package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain plays the started program when the test executes itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "echo" {
		f := os.NewFile(3, "pipe")
		_, err := io.WriteString(f, os.Args[2])
		if err != nil || f.Close() != nil {
			os.Exit(2)
		}
		if os.Args[2] == "fail" {
			os.Exit(3)
		}
		if os.Args[2] == "stay" {
			<-time.After(time.Hour) // an empty select is a deadlock in a program without C
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start executes this test with a pipe and returns what came through it.
func start(t *testing.T, word string) (*Process, string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Start(Self, []string{"echo", word}, []*os.File{w})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return p, string(got)
}

func TestArgumentsAndFilesReachTheProcessUnchanged(t *testing.T) {
	word := "a b; $(c) `d` 'e"
	p, got := start(t, word)
	if err := p.Wait(); err != nil || got != word {
		t.Errorf("%q, %v", got, err)
	}
}

func TestKillEndsIt(t *testing.T) {
	p, got := start(t, "stay")
	p.Kill()
	var ended *exec.ExitError
	if err := p.Wait(); !errors.As(err, &ended) || ended.ExitCode() != -1 || got != "stay" {
		t.Errorf("%q, %v, want an end by a signal", got, err)
	}
	p.Kill() // again: harmless
}

func TestOnlyListedProgramsStart(t *testing.T) {
	if _, err := Start("/bin/sh", nil, nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestEveryWaiterIsToldHowItEnded(t *testing.T) {
	p, _ := start(t, "fail")
	errs := make(chan error)
	for range 3 {
		go func() { errs <- p.Wait() }()
	}
	for range 3 {
		var ended *exec.ExitError
		if err := <-errs; !errors.As(err, &ended) || ended.ExitCode() != 3 {
			t.Errorf("got %v", err)
		}
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.PID())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something of the process is left: %v", err)
	}
}
