package onvif

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// A collector joins the replies of all sockets into one list.
type collector struct {
	judge judge

	mu      sync.Mutex
	sent    map[string]bool // identifiers of our probes
	index   map[string]int  // Found.key to position in found
	found   []Found
	ignored map[Reason]int
}

func newCollector() *collector {
	return &collector{
		judge:   judge{localAddrs()},
		sent:    map[string]bool{},
		index:   map[string]int{},
		ignored: map[Reason]int{},
	}
}

// localAddrs are the addresses of this machine. If they cannot be listed, only
// the protection against replies that name us is lost.
func localAddrs() map[netip.Addr]bool {
	out := map[netip.Addr]bool{}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return out
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out[p.Addr().Unmap()] = true
		}
	}
	return out
}

// probe writes a probe with a new identifier and remembers it.
func (c *collector) probe(deviceType string) []byte {
	id := newUUID()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[id] = true
	return probe(id, deviceType)
}

// newUUID makes a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: it ends the process first
	b[6] = b[6]&0x0F | 0x40
	b[8] = b[8]&0x3F | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (c *collector) ignore(why Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ignored[why]++
}

// reply judges one datagram and adds what it tells.
func (c *collector) reply(b []byte, from netip.AddrPort) {
	if len(b) > maxDatagram {
		c.ignore(IgnoredOversize)
		return
	}
	relates, list, err := parseReply(b)
	if err != nil {
		why := IgnoredSyntax
		if errors.Is(err, errNotMatch) {
			why = IgnoredKind
		}
		c.ignore(why)
		return
	}
	if !c.asked(relates) {
		c.ignore(IgnoredStray)
		return
	}
	for _, m := range list {
		if f, ok := c.judge.found(m, from, c.ignore); ok {
			c.add(f)
		}
	}
}

// asked reports whether a reply answers one of our probes. A device that does
// not say is believed: it sent to a port only we know.
func (c *collector) asked(relates string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return relates == "" || c.sent[relates]
}

// add keeps the first answer of a device and the addresses of the later ones.
func (c *collector) add(f Found) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, known := c.index[f.key()]
	switch {
	case known:
		for _, x := range f.XAddrs {
			c.found[i].addXAddr(x)
		}
	case len(c.found) >= maxFound:
		c.ignored[IgnoredTooMany]++
	default:
		c.index[f.key()] = len(c.found)
		c.found = append(c.found, f)
	}
}
