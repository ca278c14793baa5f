package main

import (
	"context"
	"flag"
	"io"
	"slices"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/table"
)

func channelsVerb() *verb {
	tree := false
	return &verb{
		name: "channels", args: "[--tree]", summary: "list the catalogue: own channels and those of domains below",
		about: `Lists every node of the catalogue: what it is, whether it is online, who has
it, and its name. With --tree each stands under what it belongs to; a device
of a platform that states its region of the fifth level (street and village, the
last six of its digits) stands under that.
`,
		options: "--tree          as a tree\n",
		example: "gatewayctl channels --tree\ngatewayctl channels --json | jq -r '.[] | select(.kind == \"channel\" and .online) | .id'\n",
		flags:   func(f *flag.FlagSet) { f.BoolVar(&tree, "tree", tree, "") },
		run: func(ctx context.Context, c *call) error {
			var all []api.Channel
			if err := c.get(ctx, api.PathChannels, &all); err != nil {
				return err
			}
			return c.show(list(all), func(w io.Writer) error {
				if tree {
					return channelTree(all).Write(w)
				}
				return channelTable(all).Write(w)
			})
		},
	}
}

const emptyCatalogue = "the catalogue is empty"

func channelTable(all []api.Channel) *table.Table {
	t := &table.Table{Head: []string{"ID", "KIND", "STATUS", "OWNER", "PARENT", "REGION", "NAME"}, None: emptyCatalogue}
	for _, n := range all {
		t.Add(n.ID, n.Kind, status(n), or(n.Owner), or(n.Parent), or(n.Region), n.Name)
	}
	return t
}

// status tells whether a node works; regions and groups neither do nor don't.
func status(n api.Channel) string {
	switch {
	case n.Kind == "region" || n.Kind == "group" || n.Kind == "organisation":
		return "-"
	case n.Online:
		return "online"
	}
	return "offline"
}

// channelTree draws the catalogue. Every node appears once, whatever the answer
// says of parents.
func channelTree(all []api.Channel) *table.Table {
	t := &table.Table{None: emptyCatalogue}
	known := map[string]api.Channel{}
	for _, n := range all {
		known[n.ID] = n
	}
	below := map[string][]api.Channel{}
	for _, n := range all {
		up := above(n, known)
		below[up] = append(below[up], n)
	}
	d := drawing{table: t, below: below, drawn: map[string]bool{}}
	d.draw("", "", "")
	for _, n := range all { // what hangs in a circle hangs under nothing else
		if !d.drawn[n.ID] && !d.bare(n, 1) {
			d.node(n, "", "")
		}
	}
	return t
}

// above returns the node a node hangs under, "" for none.
func above(n api.Channel, known map[string]api.Channel) string {
	if up := known[n.Parent].Kind; known[n.Fifth].ID != "" && (up == "" || up == "system") {
		return n.Fifth
	}
	prefix := ""
	if len(n.ID) < 20 && len(n.ID) > 2 {
		prefix = n.ID[:len(n.ID)-2]
	}
	for _, up := range []string{n.Parent, prefix, n.Region} {
		if up != n.ID && known[up].ID != "" {
			return up
		}
	}
	return ""
}

// A drawing is a tree on its way to paper.
type drawing struct {
	table *table.Table
	below map[string][]api.Channel
	drawn map[string]bool
}

// draw draws what hangs under a node: all but the last child behind branch, the
// last behind leaf.
func (d drawing) draw(id, branch, leaf string) {
	children := slices.DeleteFunc(slices.Clone(d.below[id]), func(n api.Channel) bool { return d.bare(n, 1) })
	for i, n := range children {
		switch {
		case id == "":
			d.node(n, "", "")
		case i == len(children)-1:
			d.node(n, leaf+"└─ ", leaf+"   ")
		default:
			d.node(n, branch+"├─ ", branch+"│  ")
		}
	}
}

// bare reports whether nothing but regions hangs under a region: the catalogue
// names those above every place, and devices hang under their platform instead.
func (d drawing) bare(n api.Channel, depth int) bool {
	if n.Kind != "region" || depth > 5 { // 2, 4, 6 and 8 digits, and six more
		return false
	}
	return !slices.ContainsFunc(d.below[n.ID], func(child api.Channel) bool { return !d.bare(child, depth+1) })
}

// node draws a node behind first, and what hangs under it behind rest.
func (d drawing) node(n api.Channel, first, rest string) {
	if d.drawn[n.ID] {
		return
	}
	d.drawn[n.ID] = true
	d.table.Add(first+n.Name, n.ID, n.Kind, status(n))
	d.draw(n.ID, rest, rest)
}
