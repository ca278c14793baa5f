package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/media/webrtc"
)

func (c *control) version(*http.Request) (api.Version, error) {
	return api.Version{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}, nil
}

func (c *control) status(r *http.Request) (api.Status, error) {
	s := api.Status{
		Code: c.file.Server.ID, Name: c.file.Server.Name, Version: version, Started: c.started,
		Uppers: []api.Peer{}, Lowers: []api.Peer{},
		Encoders: c.cameras.list(), Volumes: c.volumes.list(), Buses: c.cameras.ways.buses.list(), Servers: []api.Server{}, Process: c.process(),
	}
	s.Streams = c.streamMemory()
	for _, f := range c.fronts {
		s.Servers = append(s.Servers, f.describe())
	}
	err := c.view(r.Context(), func(p *domain.Processor) {
		for _, l := range p.Links() {
			if l.Role == domain.Upper {
				s.Uppers = append(s.Uppers, peerOf(l))
			} else {
				s.Lowers = append(s.Lowers, peerOf(l))
			}
		}
		for _, it := range p.Catalog() {
			if it.Channel() {
				s.Channels.Total++
				if it.Status == domain.StatusOn {
					s.Channels.Online++
				}
			}
		}
		s.Sessions = len(p.Sessions())
	})
	s.Health = health(s, time.Now())
	return s, err
}

func (c *control) peers(r *http.Request) (list []api.Peer, err error) {
	list = []api.Peer{}
	err = c.view(r.Context(), func(p *domain.Processor) {
		for _, l := range p.Links() {
			list = append(list, peerOf(l))
		}
	})
	return list, err
}

func peerOf(l domain.Link) api.Peer {
	return api.Peer{
		Code: string(l.Peer), Role: l.Role.String(), Name: l.Name, State: l.State.String(), Since: l.Since,
		LastSeen: l.LastSeen, Address: l.Address, Reason: l.Reason, Expires: l.Expires, Channels: l.Channels, Catalog: l.Catalog,
	}
}

func (c *control) channels(r *http.Request) (list []api.Channel, err error) {
	list = []api.Channel{}
	err = c.view(r.Context(), func(p *domain.Processor) {
		depth := map[domain.NodeID]int{}
		for _, it := range p.Catalog() {
			d := 0
			if parent, ok := depth[parentOf(it)]; ok {
				d = parent + 1
			}
			depth[it.ID] = d
			list = append(list, c.channel(p, it, d))
		}
	})
	return list, err
}

// watchable returns the channels, own ones and those of lowers, for the list that
// browsers are shown.
func (c *control) watchable(ctx context.Context) (list []webrtc.Channel, err error) {
	err = c.view(ctx, func(p *domain.Processor) {
		for _, it := range p.Catalog() {
			if kindOf(it) == "channel" {
				list = append(list, webrtc.Channel{Path: string(it.ID), Name: it.Name, Online: it.Status == domain.StatusOn})
			}
		}
	})
	return list, err
}

// item returns what the catalogue has of a channel.
func (c *control) item(ctx context.Context, channel domain.Code) (it domain.Item, err error) {
	known := false
	err = c.view(ctx, func(p *domain.Processor) { it, known = p.Item(domain.NodeID(channel)) })
	if err == nil && !known {
		err = domain.ErrNoChannel
	}
	return it, err
}

// parentOf returns the node an item is shown under.
func parentOf(it domain.Item) domain.NodeID {
	switch {
	case it.Parent != "":
		return it.Parent
	case len(it.ID) < 20 && len(it.ID) > 2:
		return it.ID[:len(it.ID)-2]
	}
	return it.Region
}

func (c *control) channel(p *domain.Processor, it domain.Item, depth int) api.Channel {
	owner := c.file.Server.ID
	if len(it.ID) == 20 {
		if ref, ok := p.Owner(domain.Code(it.ID)); ok && ref.Code != "" {
			owner = string(ref.Code)
		}
	}
	return api.Channel{
		ID: string(it.ID), Name: it.Name, Parent: string(it.Parent), Region: string(it.Region), Fifth: string(it.Fifth()), Owner: owner,
		Online: it.Status == domain.StatusOn, Kind: kindOf(it), Depth: depth,
	}
}

// kindOf names the kind of a node of the catalogue.
func kindOf(it domain.Item) string {
	if len(it.ID) < 20 {
		return "region"
	}
	switch t := domain.Code(it.ID).Type(); {
	case it.Channel():
		return "channel"
	case t == domain.TypeBusinessGroup:
		return "group"
	case t == domain.TypeOrganisation:
		return "organisation"
	case t >= 200 && t <= 299:
		return "system"
	}
	return "device"
}

func (c *control) sessions(r *http.Request) (list []api.Session, err error) {
	list = []api.Session{}
	err = c.view(r.Context(), func(p *domain.Processor) {
		for _, s := range p.Sessions() {
			list = append(list, api.Session{
				Channel: string(s.Channel), Kind: s.Kind.String(), Peer: string(s.Peer.Code), Role: s.Peer.Role.String(),
				State: s.State, Since: s.Since, Camera: partyOf(s.Camera), Monitor: partyOf(s.Monitor),
			})
		}
	})
	return list, err
}

func partyOf(p domain.Party) api.Party { return api.Party{ID: p.ID, Host: p.Host, Place: p.Place} }

func (c *control) encoders(*http.Request) ([]api.Encoder, error) { return c.cameras.list(), nil }

// maxCodeList bounds a code list sent here.
const maxCodeList = 4 << 20

func (c *control) importCodes(r *http.Request) ([]api.Encoder, error) {
	lines, err := readCodes(io.LimitReader(r.Body, maxCodeList))
	if err != nil {
		return nil, badRequest{err}
	}
	if err := c.cameras.assign(lines); err != nil {
		return nil, err
	}
	return c.cameras.list(), nil
}

func (c *control) replaceEncoder(r *http.Request) ([]api.Encoder, error) {
	var in api.Replace
	if err := decodeBody(r, maxCodeList, &in); err != nil {
		return nil, err
	}
	if err := c.cameras.replace(in); err != nil {
		return nil, err
	}
	return c.cameras.list(), nil
}

func (c *control) discover(r *http.Request) ([]api.Found, error) {
	wait, err := durationOf(r, "for")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait+time.Minute)
	defer cancel()
	all, err := c.cameras.discover(ctx, wait)
	list := make([]api.Found, len(all))
	for i, f := range all {
		codes := make([]string, len(f.codes))
		for j, code := range f.codes {
			codes[j] = string(code)
		}
		list[i] = api.Found{
			Address: f.From.Addr().String(), Name: f.Name, Model: f.device.Model, Identity: f.device.Key(),
			Code: strings.Join(codes, " "), Verdict: f.verdict,
		}
		if len(f.XAddrs) > 0 {
			list[i].Address = f.XAddrs[0]
		}
	}
	return list, err
}

// records answers with recordings, wherever they are, and for own channels with
// the holes between them and their causes.
func (c *control) records(r *http.Request) (api.Recordings, error) {
	code, err := channelOf(r)
	if err != nil {
		return api.Recordings{}, err
	}
	in, err := rangeOf(r)
	if err != nil {
		return api.Recordings{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), watchWithin)
	defer cancel()
	v, e, err := c.users.ask(ctx, func(t domain.Ticket) domain.Event {
		return domain.RecordsAsked{Ticket: t, Channel: code, Range: in,
			Filter: domain.RecordFilter{Indistinct: r.FormValue("everywhere") == "1"}}
	})
	defer c.users.leave(v)
	if err != nil {
		return api.Recordings{}, err
	}
	found := e.(domain.RecordsFound)
	out := api.Recordings{Channel: string(code), Items: []api.Recording{}, Partial: found.Partial, Owner: string(found.Owner)}
	for _, rec := range found.Records {
		out.Items = append(out.Items, api.Recording{From: rec.Range.From, To: rec.Range.To, Bytes: rec.Bytes, Kind: kinds[rec.Kind%3],
			Address: rec.Path, Recorder: rec.Recorder, Location: rec.Location})
	}
	gaps, err := c.volumes.gaps(ctx, code, in)
	for _, g := range gaps {
		out.Items = append(out.Items, api.Recording{From: time.Unix(0, g.From), To: time.Unix(0, g.To), Gap: g.Cause.String()})
	}
	return out, err
}

// kinds names the kinds of recordings.
var kinds = [...]string{"scheduled", "alarm", "manual"}

func (c *control) refresh(r *http.Request) (struct{}, error) {
	code, err := domain.ParseCode(r.PathValue("peer"))
	if err != nil {
		return struct{}{}, badRequest{err}
	}
	known := false
	err = c.view(r.Context(), func(p *domain.Processor) {
		known = slices.ContainsFunc(p.Links(), func(l domain.Link) bool { return l.Peer == code && l.Role == domain.Lower })
	})
	switch {
	case err != nil:
		return struct{}{}, err
	case !known:
		return struct{}{}, fmt.Errorf("%s: %w", code, errNoLower)
	case !c.loop.Post(domain.RefreshAsked{Peer: code}):
		return struct{}{}, domain.ErrBusy
	}
	return struct{}{}, nil
}

// errNoLower reports a code that is no lower domain of this one.
var errNoLower = errors.New("no such lower domain")

func (c *control) showConfig(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/toml")
	_ = config.Write(w, c.file) // fails only if the caller has gone
}

func (c *control) diffConfig(r *http.Request) ([]config.Change, error) {
	var text bytes.Buffer
	if _, err := io.Copy(&text, io.LimitReader(r.Body, maxCodeList)); err != nil {
		return nil, badRequest{err}
	}
	candidate, err := config.Parse(text.Bytes())
	if err != nil {
		return nil, badRequest{err}
	}
	return config.Diff(c.file, candidate), nil
}
