package sip

import (
	"net/netip"

	"districtgateway/domain"
)

// Local returns the address at which a peer reaches this server: the one
// configured, or that of the interface the way to it leads through. False: it is
// not known where the peer is. Any goroutine.
func (t *Transceiver) Local(peer domain.PeerRef) (netip.Addr, bool) {
	n, ok := t.book.find(peer)
	if !ok || !n.at.addr.IsValid() {
		return netip.Addr{}, false
	}
	return t.local(n.at.addr).Addr(), true
}
