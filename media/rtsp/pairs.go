package rtsp

import (
	"errors"
	"net/netip"
	"sync"

	"districtgateway/media/sock"
)

// leastPort is the first port that is nobody's by tradition: none below is sent to,
// and none is opened.
const leastPort = 1024

var errNoPorts = errors.New("no free pair of ports")

// pairs hands out neighbouring ports for RTP and RTCP. Any goroutine.
type pairs struct {
	first, count int // even port of the first pair, and how many pairs there are

	mu   sync.Mutex
	next int
}

func newPairs(ports [2]uint16) pairs {
	if ports[0] == 0 {
		ports = [2]uint16{32768, 60767}
	}
	first := int(ports[0]) + int(ports[0])%2
	return pairs{first: first, count: (int(ports[1]) - first + 1) / 2}
}

// open opens a pair on the address host. Ports are used in turn, so that what is
// still on its way to an old session does not meet a new one.
func (p *pairs) open(host netip.Addr) (*udpPorts, error) {
	var last error
	for range p.count {
		port := p.take()
		rtp, err := sock.ListenUDP(netip.AddrPortFrom(host, port))
		if last = err; err != nil {
			continue
		}
		rtcp, err := sock.ListenUDP(netip.AddrPortFrom(host, port+1))
		if err == nil {
			return &udpPorts{rtp: rtp, rtcp: rtcp}, nil
		}
		rtp.Close()
		last = err
	}
	return nil, errors.Join(errNoPorts, last)
}

// take returns the next even port.
func (p *pairs) take() uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	port := p.first + 2*p.next
	p.next = (p.next + 1) % p.count
	return uint16(port)
}
