package archtest

import (
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

func TestTreeKeepsTheImportRules(t *testing.T) {
	for _, arch := range []string{"amd64", "arm"} {
		t.Run(arch, func(t *testing.T) {
			tree, err := Load(t.Context(), root, arch)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := tree.Packages[tree.Module+"/cmd/internal/archtest"]; !ok {
				t.Fatal("this package is not in the tree: nothing was checked")
			}
			for _, f := range Imports(tree) {
				t.Errorf("%s: docs/ARCHITECTURE.md, import rules", f)
			}
		})
	}
}

// treeOf makes a tree of module "m" from lines "package: import import". Imports
// that are no package of m are a module of their own if they have a dot.
func treeOf(lines ...string) Tree {
	tree := Tree{Module: "m", Packages: map[string]Package{}}
	for _, line := range lines {
		from, rest, _ := strings.Cut(line, ":")
		p := Package{ImportPath: "m/" + from, Name: from[strings.LastIndex(from, "/")+1:]}
		for _, to := range strings.Fields(rest) {
			switch {
			case slices.Contains([]string{"cmd", "domain", "hal", "media", "storage"}, top(to)):
				to = "m/" + to
			case strings.Contains(to, "."):
				parts := strings.Split(to, "/")
				module := strings.Join(parts[:min(3, len(parts))], "/")
				tree.Packages[to] = Package{ImportPath: to, Module: &struct{ Path string }{module}}
			default:
				tree.Packages[to] = Package{ImportPath: to, Standard: true}
			}
			p.Imports = append(p.Imports, to)
		}
		tree.Packages[p.ImportPath] = p
	}
	return tree
}

func TestImportsSeesEachBreach(t *testing.T) {
	for name, tc := range map[string]struct {
		lines []string
		want  []string // rule and package of each fault
	}{
		"a good tree": {lines: []string{
			"domain: time errors net/netip", "media: sync/atomic", "domain/sip: domain domain/manscdp net github.com/a/sip",
			"domain/manscdp: domain", "media/sock: media net syscall", "media/rtp: media media/sock github.com/pion/rtp",
			"media/relay: media media/ps media/rtp media/sock", "media/rtsp: media media/rtp media/digest github.com/pion/rtp",
			"media/onvif/soap: media media/digest", "media/onvif: media/onvif/soap", "hal: os", "hal/gpio: hal", "hal/run: os/exec",
			"storage: media go.etcd.io/bbolt github.com/a/mp4", "storage/volume: storage os golang.org/x/sys",
			"cmd/gatewayd: domain domain/sip media storage hal/run cmd/internal/config", "cmd/internal/config: github.com/a/toml",
			"cmd/internal/demo: os/exec github.com/a/toml github.com/a/sip", "media/mediatest: media media/ps",
		}},
		"core imports the network":       {[]string{"domain: net"}, []string{"1 domain"}},
		"core imports below os":          {[]string{"media: os/signal"}, []string{"1 media"}},
		"core imports system calls":      {[]string{"media: syscall"}, []string{"1 media"}},
		"core imports a module":          {[]string{"domain: golang.org/x/sys"}, []string{"1 domain"}},
		"core imports its adapter":       {[]string{"domain: domain/sip"}, []string{"4 domain"}},
		"domain imports media":           {[]string{"domain/sip: media"}, []string{"1 domain/sip"}},
		"media imports domain":           {[]string{"media/relay: domain"}, []string{"1 media/relay"}},
		"media imports storage":          {[]string{"media/rtsp: storage"}, []string{"1 media/rtsp"}},
		"media imports a command":        {[]string{"media: cmd/internal/config"}, []string{"1 media"}},
		"storage imports the network":    {[]string{"storage/volume: net"}, []string{"2 storage/volume"}},
		"storage imports domain":         {[]string{"storage: domain"}, []string{"2 storage"}},
		"storage imports an adapter":     {[]string{"storage: media/rtp"}, []string{"2 storage"}},
		"storage has two MP4 libraries":  {[]string{"storage: github.com/a/mp4 github.com/b/mp4"}, []string{"2 storage"}},
		"hal imports ours":               {[]string{"hal/gpio: domain"}, []string{"3 hal/gpio"}},
		"a core imports hal":             {[]string{"storage: hal"}, []string{"3 storage"}},
		"adapters import each other":     {[]string{"media/relay: media/rtsp"}, []string{"4 media/relay"}},
		"an allowed pair turned round":   {[]string{"domain/manscdp: domain/sip"}, []string{"4 domain/manscdp"}},
		"hal's adapters too":             {[]string{"hal/gpio: hal/serial"}, []string{"4 hal/gpio"}},
		"production imports test code":   {[]string{"media/rtp: media/mediatest"}, []string{"4 media/rtp"}},
		"exec outside hal/run":           {[]string{"media/rtsp: os/exec"}, []string{"exec media/rtsp"}},
		"exec where gatewayd reaches it": {[]string{"cmd/gatewayd: cmd/internal/web", "cmd/internal/web: os/exec"}, []string{"exec cmd/internal/web"}},
		"templates on the box":           {[]string{"media/webrtc: html/template"}, []string{"size media/webrtc"}},
		"a module with two importers":    {[]string{"media/rtp: github.com/a/b", "media/ps: github.com/a/b"}, []string{"6 github.com/a/b"}},
		"a folder outside the map":       {[]string{"internal/x:"}, []string{"map internal/x"}},
		"a name that says nothing":       {[]string{"media/utils:"}, []string{"names media/utils"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range Imports(treeOf(tc.lines...)) {
				got = append(got, f.Rule+" "+f.Where)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("faults %q, want %q", got, tc.want)
			}
		})
	}
}
