package webrtc

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"districtgateway/media"
)

func TestListShowsWhatThereIsToWatch(t *testing.T) {
	all := []Channel{{Path: "33010600001320000001", Name: "断桥残雪", Online: true}, {Path: "33010600001320000002", Name: "<script>Gate"}, {Path: "33010600001320000003"}}
	for i := range mostListed {
		all = append(all, Channel{Path: fmt.Sprintf("3301060000139%07d", i), Name: "more"})
	}
	h := newRig(t, ServerConfig{Channels: func(context.Context) ([]Channel, error) { return all, nil }}, nil)
	c := newCaller(t, "wang", "right")
	for query, tc := range map[string]struct{ has, hasNot []string }{
		"":           {[]string{`<a href="/33010600001320000001">断桥残雪</a>`, `href="/33010600001320000001/sub"`, "online", "&lt;script&gt;Gate", ">33010600001320000003</a>", "The first 500 of 503"}, []string{"<script>"}},
		"?q=gate":    {[]string{"320000002", `value="gate"`}, []string{"320000001", "The first"}},
		"?q=0000001": {[]string{"断桥残雪"}, []string{"Gate"}},
		`?q="%3E`:    {[]string{"No channel is called so.", `value="&#34;&gt;"`}, nil},
	} {
		res := c.ask(http.MethodGet, h.base+"/"+query, "", "")
		if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%q: %s %v", query, res.Status, res.Header)
		}
		for _, want := range tc.has {
			if !strings.Contains(res.text, want) {
				t.Errorf("%q: no %q in\n%s", query, want, res.text)
			}
		}
		for _, bad := range tc.hasNot {
			if strings.Contains(res.text, bad) {
				t.Errorf("%q: %q in\n%s", query, bad, res.text)
			}
		}
	}
	if style := hashOf(c.ask(http.MethodGet, h.base+"/", "", "").text, "style"); !strings.Contains(h.server.pages.listed, style) {
		t.Error("the policy forbids the page its style")
	}
	if res := newCaller(t, "wang", "wrong").ask(http.MethodGet, h.base+"/", "", ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the wrong password: %s", res.Status)
	}
	if res := c.ask(http.MethodPost, h.base+"/", "", ""); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s, %v", res.Status, res.Header)
	}
}

func TestListIsMadeOnceASecondWhoeverAsks(t *testing.T) {
	made := 0
	s, err := NewServer(ServerConfig{Streams: func(context.Context, string, string) (*media.Stream, func(), error) { return nil, nil, ErrNotFound },
		Channels: func(context.Context) ([]Channel, error) {
			made++
			return []Channel{{Path: fmt.Sprint(made)}}, nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{srv: s, ctx: t.Context()}
	now := time.Now()
	for range 100 {
		if all, err := h.channels(now); len(all) != 1 || all[0].Path != "1" || err != nil {
			t.Fatalf("%v, %v", all, err)
		}
	}
	if all, err := h.channels(time.Now().Add(listEvery)); len(all) != 1 || all[0].Path != "2" || err != nil {
		t.Errorf("a second later: %v, %v", all, err)
	}
}
