//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// namespaceEnv is set in a test binary that runs in a network namespace of its own.
const namespaceEnv = "E2E_NAMESPACE"

// namespaced runs the calling test in a network namespace made for it: it starts
// this binary again, there, and returns false when that has ended, or true in the
// one that was started.
//
// Loopback there does not carry several datagrams in one (generic segmentation
// offload, which the relay sends with): a capture shows what a wire would.
func namespaced(t *testing.T) bool {
	t.Helper()
	if os.Getenv(namespaceEnv) != "" {
		silent(t, "ip", "link", "set", "dev", "lo", "up", "gso_max_segs", "1")
		return true
	}
	t.Parallel() // nothing outside disturbs it
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "170s", "-test.parallel", "6")
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 { // nobody else may make one but within a user namespace
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	t.Logf("in a network namespace:\n%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}
