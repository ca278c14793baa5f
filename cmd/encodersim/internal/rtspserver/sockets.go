package rtspserver

import (
	"errors"
	"fmt"
	"net"
)

// Sockets are what a Server listens on: RTSP over TCP, and RTP and RTCP on an
// even UDP port and the next (RFC 3550 section 11).
type Sockets struct {
	tcp       net.Listener
	rtp, rtcp net.PacketConn
}

// pairTries is how often a free even port followed by a free odd one is sought.
const pairTries = 64

// Listen opens the sockets of a server on a TCP address; port 0 takes a free one.
// rtpPort is the even UDP port of RTP, or 0 for a free pair. The caller owns the
// sockets until Server.Run takes them.
func Listen(addr string, rtpPort int) (*Sockets, error) {
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Sockets{tcp: tcp}
	if err := s.pair(rtpPort); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// pair binds RTP and RTCP on the TCP listener's host.
func (s *Sockets) pair(port int) (err error) {
	if port%2 != 0 {
		return fmt.Errorf("RTP port %d: want an even one", port)
	}
	ip := s.tcp.Addr().(*net.TCPAddr).IP
	if port != 0 {
		s.rtp, s.rtcp, err = bindPair(ip, port)
		return err
	}
	for range pairTries {
		free, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
		if err != nil {
			return err
		}
		port := free.LocalAddr().(*net.UDPAddr).Port &^ 1
		free.Close()
		if s.rtp, s.rtcp, err = bindPair(ip, port); err == nil {
			return nil
		}
	}
	return errors.New("no free pair of UDP ports")
}

func bindPair(ip net.IP, port int) (rtp, rtcp net.PacketConn, err error) {
	first, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		return nil, nil, err
	}
	second, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port + 1})
	if err != nil {
		first.Close()
		return nil, nil, err
	}
	return first, second, nil
}

// Addr returns the TCP address of RTSP.
func (s *Sockets) Addr() *net.TCPAddr { return s.tcp.Addr().(*net.TCPAddr) }

// RTPPort returns the even UDP port.
func (s *Sockets) RTPPort() int { return s.rtp.LocalAddr().(*net.UDPAddr).Port }

// Close closes the sockets; it is harmless after a server has closed them.
func (s *Sockets) Close() {
	s.tcp.Close()
	if s.rtp != nil {
		s.rtp.Close()
		s.rtcp.Close()
	}
}
