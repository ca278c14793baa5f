package archtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Files are the paths below root that end in one of endings, relative and with
// slashes, in order. What tools made (bin, dist, hidden folders other than .ci)
// and recorded inputs (testdata) are left out.
func Files(root string, endings ...string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && leftOut(rel) {
			return fs.SkipDir
		}
		if !d.IsDir() && slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(rel, e) }) {
			found = append(found, rel)
		}
		return nil
	})
	return found, err
}

func leftOut(rel string) bool {
	base := rel[strings.LastIndex(rel, "/")+1:]
	hidden := strings.HasPrefix(base, ".") && rel != "." && rel != ".ci"
	return hidden || rel == "bin" || rel == "dist" || base == "testdata"
}

// read reads one file of Files.
func read(root, rel string) ([]byte, error) {
	return os.ReadFile(filepath.Join(root, filepath.FromSlash(rel)))
}
