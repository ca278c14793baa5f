package manscdp

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

const (
	system = "33010200002000000001"
	group  = "33010200002150000001"
	org    = "33010200002160000001"
	subOrg = "33010200002160000002"
	nvr    = "33010200001180000001"
)

func node(id, parent string) Item { return Item{DeviceID: id, ParentID: parent} }

func TestKindOf(t *testing.T) {
	for id, want := range map[string]NodeKind{
		"33": NodeRegion, "3301": NodeRegion, "330102": NodeRegion, "33010203": NodeRegion, "330": NodeDevice, "3301020304": NodeDevice,
		system: NodeSystem, group: NodeGroup, org: NodeOrg, nvr: NodeDevice, camera: NodeDevice, "": NodeDevice, "ab": NodeDevice,
		"3301020000200000000x": NodeDevice, "330102000020100000": NodeDevice,
	} {
		if got := KindOf(id); got != want {
			t.Errorf("KindOf(%q) = %d, want %d", id, got, want)
		}
	}
}

func TestBuildTree(t *testing.T) {
	child := func(id, parent, civil, group string) Item {
		return Item{DeviceID: id, ParentID: parent, BusinessGroupID: group, Place: Place{CivilCode: civil}}
	}
	for name, tc := range map[string]struct {
		items []Item
		want  []int // parents
	}{
		"flat":                       {[]Item{node(camera, ""), node(nvr, "0")}, []int{-1, -1}},
		"by parent":                  {[]Item{node(camera, nvr), node(nvr, "")}, []int{1, -1}},
		"last segment first":         {[]Item{node(nvr, ""), node(org, ""), node(camera, nvr+"/"+org)}, []int{-1, -1, 1}},
		"first segment if last none": {[]Item{node(nvr, ""), node(camera, nvr+"/33010299992160000001/ 0 ")}, []int{-1, 0}},
		"own system at the top":      {[]Item{node(system, "33010000002000000001"), node(camera, ""), node(nvr, system)}, []int{-1, 0, 0}},
		"own identity and ours ignored": {[]Item{node(camera, camera), node(nvr, "33010000002000000001"), node("33010000002000000001", "")},
			[]int{-1, -1, -1}},
		"business group":              {[]Item{node(group, ""), child(org, "", "", group), child(subOrg, org, "", group), child(camera, "", "", group)}, []int{-1, 0, 1, 0}},
		"regions by prefix":           {[]Item{node("33", ""), node("330102", ""), node("33010203", ""), node("34", "33")}, []int{-1, 0, 1, -1}},
		"device by region":            {[]Item{node("33", ""), node("3301", ""), child(camera, "", "330102", ""), child(nvr, "nobody", "3301", "")}, []int{-1, 0, 1, 1}},
		"group by region":             {[]Item{node("330102", ""), child(group, "33010299992000000001", "330102", ""), child(org, "", "330102", "")}, []int{-1, 0, -1}},
		"code of odd length":          {[]Item{node("33", ""), child(camera, "", "330", "")}, []int{-1, 0}},
		"two in a circle":             {[]Item{node(camera, nvr), node(nvr, camera)}, []int{-1, 0}},
		"circle under the own system": {[]Item{node(system, camera), node(camera, nvr), node(nvr, camera)}, []int{-1, 0, 1}},
		"same identity twice":         {[]Item{node(nvr, ""), node(nvr, nvr), node(camera, nvr)}, []int{-1, -1, 0}},
		"nothing":                     {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := BuildTree(tc.items, system, "33010000002000000001")
			for i, n := range nodes {
				if n.Parent != tc.want[i] {
					t.Errorf("%s hangs under %d, want %d", n.Item.DeviceID, n.Parent, tc.want[i])
				}
			}
			checkTree(t, nodes)
		})
	}
}

// checkTree proves that the nodes are a forest: every node is reached exactly once
// from the tops through Children, which agree with Parent.
func checkTree(t *testing.T, nodes []Node) {
	t.Helper()
	seen, stack := 0, []int{}
	for i, n := range nodes {
		if n.Parent == NoParent {
			stack = append(stack, i)
		}
	}
	for len(stack) > 0 && seen <= len(nodes) {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		seen++
		for _, c := range nodes[at].Children {
			if nodes[c].Parent != at {
				t.Fatalf("%d is listed under %d, its parent is %d", c, at, nodes[c].Parent)
			}
			stack = append(stack, c)
		}
	}
	if seen != len(nodes) {
		t.Fatalf("%d of %d nodes reached", seen, len(nodes))
	}
}

func TestAnyReferencesMakeATree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	ids := []string{"33", "3301", "330102", system, group, org, subOrg, nvr, camera, "0", ""}
	for range 3000 {
		items := make([]Item, r.IntN(12))
		for i := range items {
			pick := func() string { return ids[r.IntN(len(ids))] }
			items[i] = Item{DeviceID: pick(), ParentID: pick() + "/" + pick(), BusinessGroupID: pick(), Place: Place{CivilCode: pick()}}
		}
		checkTree(t, BuildTree(items, system, ""))
	}
}

func TestDeepCatalogueIsCheap(t *testing.T) {
	items := make([]Item, 200000)
	for i := range items {
		items[i] = node("n"+strconv.Itoa(i), "n"+strconv.Itoa((i+1)%len(items)))
	}
	start := time.Now()
	nodes := BuildTree(items, "", "")
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("%v for one cycle of %d", d, len(items))
	}
	checkTree(t, nodes)
	if !nodes[0].Cut {
		t.Error("the cycle was not cut where it closed")
	}
}
