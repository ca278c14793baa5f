// Package discovery makes simulated encoders answer WS-Discovery (April 2005):
// to the multicast group on chosen interfaces, loopback included, and to
// datagrams sent to an address of their own. Several may share a machine.
package discovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/net/ipv4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Port is WS-Discovery's.
const Port = 3702

// group is its multicast address.
func group() net.IP { return net.IPv4(239, 255, 255, 250) }

// Config says where to listen and who is there.
type Config struct {
	// Places are what to listen on, each an interface's name, to join the group
	// there, or an address and port, for datagrams sent to it.
	Places []string
	// Targets returns the devices that answer at this moment. It is called from
	// any goroutine.
	Targets func() []*Target
	Log     *slog.Logger
}

// A Server answers for all its targets.
type Server struct {
	cfg     Config
	sockets []socket
	number  atomic.Uint64
}

// A socket is one place.
type socket struct {
	conn  *net.UDPConn
	iface *net.Interface // nil for unicast
}

// New opens the sockets; it does not answer yet. The caller owes a Run or Close.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg}
	for _, place := range cfg.Places {
		var sock socket
		var err error
		if addr, bad := netip.ParseAddrPort(place); bad == nil {
			sock.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
		} else {
			sock, err = joinGroup(place)
		}
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("discovery on %s: %w", place, err)
		}
		s.sockets = append(s.sockets, sock)
	}
	return s, nil
}

// joinGroup opens a socket that shares the port with other simulators and
// receives the group's datagrams of one interface.
func joinGroup(name string) (socket, error) {
	iface, err := net.InterfaceByName(name)
	if err != nil {
		return socket{}, fmt.Errorf("want an interface or an address and port: %w", err)
	}
	conn, err := bindGroup()
	if err != nil {
		return socket{}, err
	}
	p := ipv4.NewPacketConn(conn)
	err = errors.Join(
		p.JoinGroup(iface, &net.UDPAddr{IP: group()}),
		p.SetMulticastInterface(iface), p.SetMulticastLoopback(true), p.SetMulticastTTL(1))
	if err != nil {
		conn.Close()
		return socket{}, err
	}
	return socket{conn, iface}, nil
}

// bindGroup binds to the group, not to all addresses, which package net would
// do: datagrams sent to an address of this machine go to whoever listens there,
// and such a listener does not keep the port from us.
func bindGroup() (*net.UDPConn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "discovery")
	defer f.Close() // FilePacketConn has its own
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		// Not what others of this machine joined on other interfaces.
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0),
		unix.Bind(fd, &unix.SockaddrInet4{Port: Port, Addr: [4]byte(group().To4())}))
	if err != nil {
		return nil, fmt.Errorf("bind to %s:%d: %w", group(), Port, err)
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// Addrs returns the addresses listened on, in the order of the places.
func (s *Server) Addrs() []net.Addr {
	var list []net.Addr
	for _, sock := range s.sockets {
		list = append(list, sock.conn.LocalAddr())
	}
	return list
}

// Close closes the sockets.
func (s *Server) Close() {
	for _, sock := range s.sockets {
		sock.conn.Close()
	}
}

// Run says hello, answers until ctx ends, says bye and closes the sockets.
func (s *Server) Run(ctx context.Context) error {
	s.announceAll("Hello")
	g, ctx := errgroup.WithContext(ctx)
	for _, sock := range s.sockets {
		g.Go(func() error { return s.serve(sock) })
	}
	g.Go(func() error {
		<-ctx.Done()
		s.announceAll("Bye")
		s.Close()
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("discovery: %w", err)
	}
	return nil
}

// serve answers the datagrams of one socket.
func (s *Server) serve(sock socket) error {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := sock.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		q, err := parse(buf[:n])
		if err != nil {
			s.cfg.Log.Debug("discovery message dropped", "remote", from.String(), "err", err)
			continue
		}
		s.reply(sock, q, from)
	}
}

// reply sends each matching target's answer, one datagram a target.
func (s *Server) reply(sock socket, q query, to netip.AddrPort) {
	action := "ProbeMatches"
	if q.resolve {
		action = "ResolveMatches"
	}
	for _, t := range s.cfg.Targets() {
		if !q.matches(t) {
			continue
		}
		host := t.Host
		if host == "" {
			host = sourceFor(to)
		}
		m := t.marshal(notice{
			action: action, to: anonymous, relates: q.id, host: host, id: newUUID(), number: s.number.Add(1),
		})
		// Best effort, as the protocol is.
		_, _ = sock.conn.WriteToUDPAddrPort(m, to)
	}
}

// sourceFor returns the address this machine would talk to a peer from.
func sourceFor(peer netip.AddrPort) string {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(peer))
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}

func (s *Server) announceAll(action string) {
	for _, t := range s.cfg.Targets() {
		s.announce(t, action)
	}
}

// Hello tells the group that a target has come.
func (s *Server) Hello(t *Target) { s.announce(t, "Hello") }

// Bye tells the group that a target goes.
func (s *Server) Bye(t *Target) { s.announce(t, "Bye") }

// announce sends to the group on every interface that was joined.
func (s *Server) announce(t *Target, action string) {
	to := &net.UDPAddr{IP: group(), Port: Port}
	for _, sock := range s.sockets {
		if sock.iface == nil {
			continue
		}
		host := t.Host
		if host == "" {
			host = addressOf(sock.iface)
		}
		// Best effort, as the protocol is.
		_, _ = sock.conn.WriteToUDP(t.marshal(notice{
			action: action, to: "urn:schemas-xmlsoap-org:ws:2005:04:discovery", host: host,
			id: newUUID(), number: s.number.Add(1),
		}), to)
	}
}

// addressOf returns an interface's first IPv4 address.
func addressOf(iface *net.Interface) string {
	addrs, _ := iface.Addrs() // none: loopback will do
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

// xaddr is the address of the device service.
func (t *Target) xaddr(host string) string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(t.HTTPPort)) + "/onvif/device_service"
}

// newUUID returns a random UUID (RFC 9562 section 5.4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
