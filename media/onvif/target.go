package onvif

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// maxTargets bounds the hosts of one unicast discovery.
const maxTargets = 4096

// expand lists the IPv4 hosts that targets name: an address, a prefix in CIDR
// notation (without its network and broadcast addresses when longer names them),
// a range first-last, or a name, which is looked up. A host named twice counts
// once; more than maxTargets are an error.
func expand(ctx context.Context, targets []string) ([]netip.Addr, error) {
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, t := range targets {
		list, err := expandOne(ctx, strings.TrimSpace(t))
		if err != nil {
			return nil, fmt.Errorf("target %q: %w", t, err)
		}
		for _, a := range list {
			if !seen[a] {
				seen[a] = true
				out = append(out, a)
			}
		}
		if len(out) > maxTargets {
			return nil, fmt.Errorf("target %q: more than %d hosts", t, maxTargets)
		}
	}
	return out, nil
}

func expandOne(ctx context.Context, t string) ([]netip.Addr, error) {
	if p, err := netip.ParsePrefix(t); err == nil {
		return expandPrefix(p.Masked())
	}
	if a, err := netip.ParseAddr(t); err == nil {
		return span(a, a)
	}
	if first, last, ok := strings.Cut(t, "-"); ok {
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA == nil && errB == nil {
			return span(a, b)
		}
	}
	if t == "" || strings.ContainsAny(t, "/: ") {
		return nil, fmt.Errorf("want an IPv4 address, prefix, range or a host name")
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip4", t)
}

func expandPrefix(p netip.Prefix) ([]netip.Addr, error) {
	if !p.Addr().Is4() {
		return nil, fmt.Errorf("want IPv4")
	}
	if p.Bits() < 32-13 { // twice the bound is certainly too many
		return nil, fmt.Errorf("more than %d hosts", maxTargets)
	}
	last := p.Addr()
	for range 1<<(32-p.Bits()) - 1 {
		last = last.Next()
	}
	if p.Bits() >= 31 {
		return span(p.Addr(), last)
	}
	return span(p.Addr().Next(), last.Prev())
}

// span lists the addresses from a to b.
func span(a, b netip.Addr) ([]netip.Addr, error) {
	a, b = a.Unmap(), b.Unmap()
	if !a.Is4() || !b.Is4() || b.Less(a) {
		return nil, fmt.Errorf("want IPv4, the lower first")
	}
	var out []netip.Addr
	for ; a.Compare(b) <= 0 && a.IsValid(); a = a.Next() {
		if out = append(out, a); len(out) > maxTargets {
			return nil, fmt.Errorf("more than %d hosts", maxTargets)
		}
	}
	return out, nil
}
