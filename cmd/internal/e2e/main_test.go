//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"districtgateway/storage"
)

// binEnv names the folder the programs under test are built into. Set from
// outside, its programs are taken as they are.
const binEnv = "E2E_BIN"

// childArg makes this test binary the child process of a volume.
const childArg = "serve-volume"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Exit(serveVolume())
	}
	os.Exit(inBin(m.Run))
}

// inBin calls run with a folder for programs.
func inBin(run func() int) int {
	if os.Getenv(binEnv) != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := errors.Join(build(dir), os.Setenv(binEnv, dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// serveVolume is the life of the child process: its descriptor 3 is the parent.
func serveVolume() int {
	f := os.NewFile(3, "parent")
	conn, err := net.FileConn(f)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f.Close()
	if err := storage.ServeVolume(conn, storage.ServeConfig{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// programs are what the tests start; see program.
func programs() []string {
	return []string{"gatewayd", "gatewayctl", "encodersim", "internal/demo"}
}

// build builds the programs into dir. It is done before any test begins: in a
// network namespace nothing can be fetched, and a test is no time to compile.
func build(dir string) error {
	args := []string{"build", "-o", dir + "/"}
	for _, p := range programs() {
		args = append(args, "districtgateway/cmd/"+p)
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// program returns the path of a program of this project.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv(binEnv), name)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// tool returns the path of a foreign program. A missing one is a failure: a test
// that was left out proves nothing.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run .ci/packages e2e", name)
	}
	return path
}
