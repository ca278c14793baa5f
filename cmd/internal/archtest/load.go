package archtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A Package is what the import rules need to know about one package, ours or
// another's. Imports of tests are not in it: tests are free.
type Package struct {
	ImportPath string
	Name       string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

// A Tree is our packages with everything that they need, by import path.
type Tree struct {
	Module   string // our module path
	Packages map[string]Package
}

// Load asks the go command for every package of the module in dir and everything
// they import, as built for linux on arch (a GOARCH). Packages that do not
// compile are loaded as far as their imports can be read.
func Load(ctx context.Context, dir, arch string) (Tree, error) {
	module, err := goCommand(ctx, dir, arch, "list", "-m")
	if err != nil {
		return Tree{}, err
	}
	out, err := goCommand(ctx, dir, arch, "list", "-e", "-deps", "-json=ImportPath,Name,Imports,Standard,Module", "./...")
	if err != nil {
		return Tree{}, err
	}
	tree := Tree{Module: strings.TrimSpace(string(module)), Packages: map[string]Package{}}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return tree, nil
		} else if err != nil {
			return Tree{}, fmt.Errorf("read go list: %w", err)
		}
		tree.Packages[p.ImportPath] = p
	}
}

func goCommand(ctx context.Context, dir, arch string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// rel is path without our module's prefix, and whether it is ours at all. The
// module's own root is ".".
func (t Tree) rel(path string) (string, bool) {
	if path == t.Module {
		return ".", true
	}
	return strings.CutPrefix(path, t.Module+"/")
}
