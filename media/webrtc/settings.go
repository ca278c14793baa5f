package webrtc

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// settings are those of the library for one session.
func settings(b berth, log *slog.Logger) webrtc.SettingEngine {
	var e webrtc.SettingEngine
	e.LoggerFactory = logger{log}
	e.SetLite(true)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetICETimeouts(silentAfter, goneAfter, 2*time.Second)
	e.SetICEUDPMux(b.udp)
	kinds := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if b.tcp != nil {
		e.SetICETCPMux(b.tcp)
		kinds = append(kinds, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	e.SetNetworkTypes(kinds)
	e.SetIncludeLoopbackCandidate(slices.ContainsFunc(b.addrs, netip.Addr.IsLoopback))
	e.SetIPFilter(func(ip net.IP) bool {
		a, ok := netip.AddrFromSlice(ip)
		return ok && slices.Contains(b.addrs, a.Unmap())
	})
	_ = e.SetAnsweringDTLSRole(webrtc.DTLSRoleServer) // fails for no role only
	// AES-GCM costs a fifth of AES-CM with HMAC-SHA1, where the processor has AES.
	e.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	return e
}
