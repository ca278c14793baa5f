package archtest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// siblings are the only imports between adapters (rule 4).
var siblings = map[string][]string{
	"domain/sip":   {"domain/manscdp"},
	"media/relay":  {"media/ps", "media/rtp", "media/sock"},
	"media/rtsp":   {"media/rtp", "media/digest", "media/sock"},
	"media/webrtc": {"media/rtp", "media/digest", "media/sock"},
	"media/onvif":  {"media/digest", "media/sock"},
	"media/*":      {"media/sock"},
}

// shared are the modules that may have several importers (rule 6).
var shared = []string{
	"github.com/pion/rtp", "golang.org/x/sys", "golang.org/x/sync", "go.etcd.io/bbolt", "github.com/icholy/digest",
}

// storageMay are the modules that storage imports besides its one MP4 library (rule 2).
var storageMay = []string{"go.etcd.io/bbolt", "golang.org/x/sys", "golang.org/x/sync"}

// bannedNames say nothing about what a package is for.
var bannedNames = []string{
	"utils", "util", "common", "helpers", "helper", "types", "model", "models", "defs", "pkg", "misc",
}

// programs are the commands that run on the box: what they reach is production
// code; other commands and their packages are rigs and simulators.
var programs = []string{"cmd/gatewayd", "cmd/gatewayctl"}

// Imports checks every direct import of every package of ours against rules 1
// to 6 of docs/ARCHITECTURE.md. Faults come in the order of their packages.
func Imports(t Tree) []Fault {
	production := t.production()
	var faults []Fault
	for _, p := range t.sorted() {
		from, ours := t.rel(p.ImportPath)
		if !ours {
			continue
		}
		faults = append(faults, nameFaults(from, p.Name)...)
		for _, to := range p.Imports {
			faults = append(faults, t.importFaults(from, to, production[from])...)
		}
	}
	faults = append(faults, t.mp4Faults()...)
	return append(faults, t.importerFaults(production)...)
}

func (t Tree) sorted() []Package {
	var all []Package
	for _, key := range slices.Sorted(maps.Keys(t.Packages)) {
		all = append(all, t.Packages[key])
	}
	return all
}

// nameFaults objects to folders outside the package map and to names that say nothing.
func nameFaults(from, name string) []Fault {
	var faults []Fault
	if !slices.Contains([]string{"cmd", "domain", "hal", "media", "storage"}, top(from)) {
		faults = append(faults, Fault{"map", from, "no such folder in the package map"})
	}
	for _, part := range append(strings.Split(from, "/"), name) {
		if slices.Contains(bannedNames, part) {
			faults = append(faults, Fault{"names", from, fmt.Sprintf("%q says nothing about what is inside", part)})
			break
		}
	}
	return faults
}

// importFaults judges one import. production says whether from runs on the box.
func (t Tree) importFaults(from, to string, production bool) []Fault {
	fault := func(rule, format string) []Fault {
		return []Fault{{rule, from, fmt.Sprintf(format, to)}}
	}
	if rel, ours := t.rel(to); ours {
		if rule, ok := crossing(from, rel); !ok {
			return fault(rule, "may not import %s")
		}
		if isSupport(rel) && !isSupport(from) && production {
			return fault("4", "imports %s, which is for tests")
		}
		return nil
	}
	core := from == "domain" || from == "media"
	switch {
	case core && !t.Packages[to].Standard:
		return fault("1", "is a core and imports %s from outside the standard library")
	case core && (touches(to, "os") || touches(to, "syscall") || (touches(to, "net") && to != "net/netip")):
		return fault("1", "is a core and imports %s, which touches the world")
	case top(from) == "storage" && touches(to, "net") && to != "net/netip":
		return fault("2", "is storage and imports %s, which is the network")
	case production && to == "os/exec" && from != "hal/run":
		return fault("exec", "imports %s: only hal/run may")
	case production && (to == "text/template" || to == "html/template"):
		return fault("size", "imports %s, which calls methods by name: the linker then keeps every exported one")
	}
	return nil
}

// touches says whether an import path is base or below it.
func touches(path, base string) bool {
	return path == base || strings.HasPrefix(path, base+"/")
}

// crossing judges an import of one package of ours by another, and names the
// rule that forbids it.
func crossing(from, to string) (rule string, ok bool) {
	switch {
	case top(from) == "cmd":
		return "", true
	case top(to) == "hal" && top(from) != "hal", top(from) == "hal" && top(to) != "hal":
		return "3", false
	case top(from) == "storage" && top(to) == "media":
		return "2", to == "media" || (isSupport(from) && isSupport(to))
	case top(from) == "storage" && top(to) != "storage":
		return "2", false
	case top(from) != top(to):
		return "1", false
	case family(from) == family(to), isCore(to), isSupport(from):
		return "", true
	case isCore(from):
		return "4", false
	}
	return "4", slices.Contains(siblings[family(from)], family(to)) ||
		slices.Contains(siblings[top(from)+"/*"], family(to))
}

// top is the first folder of a path, family the adapter (or core) it belongs to.
func top(rel string) string {
	first, _, _ := strings.Cut(rel, "/")
	return first
}

func family(rel string) string {
	parts := strings.SplitN(rel, "/", 3)
	return path.Join(parts[:min(2, len(parts))]...)
}

func isCore(rel string) bool { return !strings.Contains(rel, "/") }

// isSupport says whether a package exists for tests only: mediatest, domaintest, …
func isSupport(rel string) bool {
	return strings.HasSuffix(family(rel), "/"+top(rel)+"test")
}

// production are the packages of ours that run on the box: every core and
// adapter, and of cmd what the programs reach.
func (t Tree) production() map[string]bool {
	in := map[string]bool{}
	for p := range t.Packages {
		if rel, ours := t.rel(p); ours && top(rel) != "cmd" && !isSupport(rel) {
			in[rel] = true
		}
	}
	for todo := slices.Clone(programs); len(todo) > 0; todo = todo[1:] {
		p, known := t.Packages[t.Module+"/"+todo[0]]
		if !known || in[todo[0]] {
			continue
		}
		in[todo[0]] = true
		for _, to := range p.Imports {
			if rel, ours := t.rel(to); ours && top(rel) == "cmd" {
				todo = append(todo, rel)
			}
		}
	}
	return in
}

// importers lists, for each module that is not ours, the packages of ours that
// import it and that keep accepts.
func (t Tree) importers(keep func(rel string) bool) map[string][]string {
	by := map[string][]string{}
	for _, p := range t.sorted() {
		from, ours := t.rel(p.ImportPath)
		if !ours || !keep(from) {
			continue
		}
		for _, to := range p.Imports {
			module := t.Packages[to].Module
			if module == nil || module.Path == t.Module || slices.Contains(by[module.Path], from) {
				continue
			}
			by[module.Path] = append(by[module.Path], from)
		}
	}
	return by
}

// mp4Faults checks that storage has one library besides those it may have.
func (t Tree) mp4Faults() []Fault {
	by := t.importers(func(rel string) bool { return top(rel) == "storage" && !isSupport(rel) })
	maps.DeleteFunc(by, func(module string, _ []string) bool { return slices.Contains(storageMay, module) })
	if len(by) <= 1 {
		return nil
	}
	modules := slices.Sorted(maps.Keys(by))
	return []Fault{{"2", "storage", fmt.Sprintf("imports %s: one MP4 library is allowed", strings.Join(modules, " and "))}}
}

// importerFaults checks that each module outside has one importer (rule 6).
func (t Tree) importerFaults(production map[string]bool) []Fault {
	by := t.importers(func(rel string) bool { return production[rel] })
	var faults []Fault
	for _, module := range slices.Sorted(maps.Keys(by)) {
		if len(by[module]) > 1 && !slices.Contains(shared, module) {
			what := fmt.Sprintf("has %d importers: %s", len(by[module]), strings.Join(by[module], ", "))
			faults = append(faults, Fault{"6", module, what})
		}
	}
	return faults
}
