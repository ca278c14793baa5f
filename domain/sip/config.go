package sip

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// A Peer is how one neighbour is reached and proven. Only those listed exist.
type Peer struct {
	Code      domain.Code
	Role      domain.Role
	Address   string // host:port of an Upper's signalling; unused for a Lower, which is where it registered from
	Transport string // towards an Upper: "udp" or "tcp"; empty: udp
	User      string // digest user; empty: our own id at an Upper, its id for a Lower
	Password  domain.Secret
	Charset   manscdp.Charset // of its bodies, both ways; Auto: judged and by its edition
	Version   domain.Version  // its edition; VersionUnknown: what it announces
}

// A Config is what a [Transceiver] needs. Zero values are fine but for Self, Listen
// and Post.
type Config struct {
	Self            domain.Code
	Name            string         // our domain's name in words, told to uppers that care
	Listen          netip.AddrPort // of UDP and TCP; port 0: any, the same for both
	Address         netip.Addr     // put into Contact and Via; zero: the local address towards the peer
	Peers           []Peer
	Links           []domain.Link     // lowers as the store kept them: known again without a new registration
	Instance        string            // id of this installation (REG-402); empty: not told
	Caps            domain.Capability // announced at most
	UserAgent       string            // header User-Agent; empty: none
	NoDate          bool              // leave Date out of a registration's 200: the lower keeps its own clock
	MaxTransactions int               // requests being served at once, 32 s each on UDP; 0: 16384 and 64 a peer
	Log             *slog.Logger      // nil: none

	// Post tells the processor, from any goroutine; it must not block. False: the
	// event was not taken, and its request is answered 503.
	Post func(domain.Event) bool
}

// Validate returns every fault of c, joined, each a *domain.FieldError.
func (c Config) Validate() error {
	var errs []error
	bad := func(path, got, want string) {
		errs = append(errs, &domain.FieldError{Path: path, Got: got, Want: want})
	}
	if _, err := domain.ParseCode(string(c.Self)); err != nil {
		bad("Self", string(c.Self), "20 digits")
	}
	if !c.Listen.IsValid() {
		bad("Listen", c.Listen.String(), "an address and port")
	}
	if c.Post == nil {
		bad("Post", "nil", "where events go")
	}
	if c.MaxTransactions < 0 {
		bad("MaxTransactions", fmt.Sprint(c.MaxTransactions), "0 or more")
	}
	seen := make(map[domain.PeerRef]bool)
	for i, p := range c.Peers {
		path := fmt.Sprintf("Peers[%d].", i)
		if _, err := domain.ParseCode(string(p.Code)); err != nil || seen[p.ref()] {
			bad(path+"Code", string(p.Code), "20 digits, once for each role")
		}
		seen[p.ref()] = true
		if p.Role != domain.Upper && p.Role != domain.Lower {
			bad(path+"Role", fmt.Sprint(uint8(p.Role)), "upper or lower")
		}
		if _, _, err := net.SplitHostPort(p.Address); p.Role == domain.Upper && err != nil {
			bad(path+"Address", p.Address, "host:port")
		}
		if p.Transport != "" && p.Transport != "udp" && p.Transport != "tcp" {
			bad(path+"Transport", p.Transport, "udp or tcp")
		}
	}
	return errors.Join(errs...)
}

func (p Peer) ref() domain.PeerRef { return domain.PeerRef{Code: p.Code, Role: p.Role} }

// user returns the digest user, self being ours.
func (p Peer) user(self domain.Code) string {
	switch {
	case p.User != "":
		return p.User
	case p.Role == domain.Upper:
		return string(self)
	}
	return string(p.Code)
}
