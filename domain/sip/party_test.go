package sip

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"districtgateway/domain"
)

var (
	gateParty  = domain.Party{ID: string(camera), Host: "192.168.1.64", Place: "北门 2"}
	deskParty  = domain.Party{ID: string(city) + "-7", Host: "10.0.0.11", Place: "City"}
	plainParty = domain.Party{ID: string(other)}
)

// TestPartiesTravelInTheSDP: the request names the monitor, the answer both.
func TestPartiesTravelInTheSDP(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		fx := liveInvite(0)
		fx.Monitor = deskParty
		in, _ := w.call(fx)
		if diff := cmp.Diff(deskParty, in.Monitor); diff != "" {
			t.Error(diff)
		}
		w.down.Answer(domain.AnswerInvite{Dialog: in.Dialog, Answer: answerEndpoint, Camera: gateParty, Monitor: plainParty})
		a := expect[domain.Answered](w.up)
		if diff := cmp.Diff([]domain.Party{gateParty, plainParty}, []domain.Party{a.Camera, a.Monitor}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSDPForStandardPeersHasNothingOfTheDistrict looks at every byte that is sent.
func TestSDPForStandardPeersHasNothingOfTheDistrict(t *testing.T) {
	joined(t, "udp", func(t *testing.T, w *world) {
		invites := 0
		w.net.setLoss(func(_, _ addr, data []byte) bool {
			if bytes.Contains(data, []byte("m=video")) {
				invites++
			}
			if bytes.Contains(bytes.ToLower(data), []byte("x-district")) {
				t.Errorf("sent: %s", data)
			}
			return false
		})
		w.agree(t, liveInvite(0))
		if invites < 2 {
			t.Errorf("%d SDP seen", invites)
		}
	})
}

func TestPartyAttributeThatCannotBeUsedIsPassedOver(t *testing.T) {
	for _, value := range []string{"", "x", string(camera), string(camera) + " a/b", string(camera) + " - %zz", string(camera) + " - a b",
		string(camera) + " - a%0Ab", string(camera) + " " + strings.Repeat("a", 65), string(camera) + "-x -"} {
		d, err := parseSDP([]byte("c=IN IP4 1.1.1.1\nm=video 1 RTP/AVP 96\na=x-district-camera:" + value + "\na=x-district-monitor:" + value + "\n"))
		if err != nil || d.camera != (domain.Party{}) || d.monitor != (domain.Party{}) {
			t.Errorf("%q: %+v %v", value, d, err)
		}
	}
}
