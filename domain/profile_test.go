package domain

import (
	"testing"
	"time"
)

// TestUpperBehindAPoorLineGetsTheSubStream: where it asks for the main one, of a channel
// that has another; its recordings are what they are.
func TestUpperBehindAPoorLineGetsTheSubStream(t *testing.T) {
	for name, tc := range map[string]struct {
		configured, asked uint8
		streams           uint8 // of the channel
		kind              Kind
		want              uint8
	}{
		"main as ever":       {0, 0, 2, Live, 0},
		"sub for main":       {1, 0, 2, Live, 1},
		"sub as asked for":   {0, 1, 2, Live, 1},
		"sub for sub":        {1, 1, 2, Live, 1},
		"no sub stream":      {1, 0, 1, Live, 0},
		"not known of any":   {1, 0, 0, Live, 0},
		"recording":          {1, 0, 2, Playback, 0},
		"download":           {1, 0, 2, Download, 0},
		"third of a channel": {1, 2, 3, Live, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := stocked(t, func(c *Config) { c.Peers[0].Profile = tc.configured })
			own, theirs := cam(camOwn, ""), cam(camA, nvr)
			own.Streams, theirs.Streams = tc.streams, tc.streams
			b.step(DevicesChanged{Items: []Item{own}})
			b.learn(t, theirs)
			in := InviteIn{Origin: fromAbove, Kind: tc.kind, Profile: tc.asked, Range: Range{noon, noon.Add(time.Minute)}}
			in.Dialog, in.Channel = 1, Code(camOwn)
			if sender, ok := find1[OpenSender](b.step(in)); !ok || sender.Stream.Profile != tc.want {
				t.Errorf("our own: sent %+v, want profile %d", sender.Stream, tc.want)
			}
			in.Dialog, in.Channel = 2, Code(camA)
			open, _ := find1[OpenReceiver](b.step(in))
			invite, ok := find1[Invite](b.step(ReceiverOpened{Leg: open.Leg}))
			if !ok || open.Stream.Profile != tc.want || invite.Profile != tc.want {
				t.Errorf("a lower's: asked for %d, want %d", invite.Profile, tc.want)
			}
		})
	}
}
