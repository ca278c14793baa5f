package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"districtgateway/cmd/internal/api"
)

// linked checks that both ends of every link say online.
func (s *site) linked(ctx context.Context) error {
	for i, l := range s.levels {
		st, err := get[api.Status](ctx, l, api.PathStatus)
		if err != nil {
			return err
		}
		if i > province {
			if err := online(l, st.Uppers, s.levels[i-1]); err != nil {
				return err
			}
		}
		if i < district {
			if err := online(l, st.Lowers, s.levels[i+1]); err != nil {
				return err
			}
		}
	}
	return nil
}

func online(l *level, peers []api.Peer, want *level) error {
	for _, p := range peers {
		if p.Code == want.code {
			if p.State != "online" {
				return fmt.Errorf("%s says that %s is %s %s", l.english, want.english, p.State, p.Reason)
			}
			return nil
		}
	}
	return fmt.Errorf("%s does not know %s", l.english, want.english)
}

// encoders returns the district's encoders in the order of encoderNames once
// all are found, work and are recorded.
func (s *site) encoders(ctx context.Context) ([]api.Encoder, error) {
	all, err := get[[]api.Encoder](ctx, s.levels[district], api.PathEncoders)
	if err != nil {
		return nil, err
	}
	var found []api.Encoder
	for _, n := range encoderNames {
		e, err := named(all, n.name)
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}

func named(all []api.Encoder, name string) (api.Encoder, error) {
	for _, e := range all {
		if e.Name != name {
			continue
		}
		switch {
		case !e.Online:
			return e, fmt.Errorf("encoder %s is offline: %s", name, e.Problem)
		case !e.Recording || e.LastByte.IsZero():
			return e, fmt.Errorf("encoder %s is not recorded: %s", name, e.Problem)
		case e.Video == "":
			return e, fmt.Errorf("encoder %s has no picture yet", name)
		}
		return e, nil
	}
	return api.Encoder{}, fmt.Errorf("encoder %s is not found (there are %d)", name, len(all))
}

// listed checks that the province shows an encoder's channel by its name, under
// the district.
func (s *site) listed(ctx context.Context, e api.Encoder) error {
	all, err := get[[]api.Channel](ctx, s.levels[province], api.PathChannels)
	if err != nil {
		return err
	}
	nodes := map[string]api.Channel{}
	for _, n := range all {
		nodes[n.ID] = n
	}
	n, ok := nodes[e.Code]
	switch {
	case !ok:
		return fmt.Errorf("the province does not list %s (it lists %d nodes)", e.Code, len(all))
	case n.Name != e.Name:
		return fmt.Errorf("the province calls %s %q, not %q", e.Code, n.Name, e.Name)
	case !n.Online || n.Kind != "channel":
		return fmt.Errorf("the province says that %s is an offline %s", e.Code, n.Kind)
	}
	way := []string{}
	for up := n.Parent; up != "" && len(way) < len(nodes); up = nodes[up].Parent {
		way = append(way, nodes[up].Name)
	}
	if got := strings.Join(way, " < "); !strings.HasPrefix(got+" < ", "西湖区 < 杭州市 < ") {
		return fmt.Errorf("the province shows %s under %q, want 西湖区 < 杭州市", e.Name, got)
	}
	return nil
}

// settle waits until the links are up, the encoders are recorded and the
// province knows them; progress tells what has been reached.
func (d *demo) settle(ctx context.Context) (found []api.Encoder, err error) {
	steps := []struct {
		done string
		f    func(context.Context) error
	}{
		{"all links are online", d.site.linked},
		{"the district has found and records both encoders", func(ctx context.Context) (err error) {
			found, err = d.site.encoders(ctx)
			return err
		}},
		{"the province lists both channels", func(ctx context.Context) error {
			for _, e := range found {
				if err := d.site.listed(ctx, e); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	for _, step := range steps {
		if err := eventually(ctx, 25*time.Second, step.f); err != nil {
			return nil, err
		}
		d.progress("%s", step.done)
	}
	return found, nil
}
