package domain

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Party is one end of what is watched, and where it stands: the camera with its
// encoder, or the monitor with its decoder (LIVE-801, LIVE-806 to 809, PLAY-101). It
// travels between peers that both have [CapParties] and nowhere else.
//
// A camera is named by its code, which every level writes in its own terms. A monitor
// is named by the server that it is local to and the number under which that serves
// it, such as 33000000002000000001-7; of an upper that names none, it is that upper
// and the address it receives media at.
type Party struct {
	ID    string
	Host  string // network address: of the encoder; where media for the monitor arrives
	Place string // in words; may be empty
}

// Bounds of what a peer tells of a party.
const (
	maxHost  = 64  // bytes
	maxPlace = 128 // bytes
)

// monitorOf names the monitor of a local user: what is watched under that ticket.
func monitorOf(server Code, ticket Ticket) string { return fmt.Sprintf("%s-%d", server, ticket) }

// Server returns the server that a monitor is local to; of a camera its code.
func (p Party) Server() Code {
	server, _, _ := strings.Cut(p.ID, "-")
	return Code(server)
}

// ParseParty returns a party as a peer told it. The error is a *PartyError.
func ParseParty(id, host, place string) (Party, error) {
	server, number, numbered := strings.Cut(id, "-")
	_, err := ParseCode(server)
	if numbered && err == nil {
		_, err = strconv.ParseUint(number, 10, 64)
	}
	switch {
	case err != nil || len(number) > 20:
		return Party{}, &PartyError{"id", id, "20 digits, for a monitor with a number after -"}
	case !hostname(host):
		return Party{}, &PartyError{"host", host, "an address of 64 bytes at most, or none"}
	case len(place) > maxPlace || !utf8.ValidString(place) || strings.ContainsFunc(place, unicode.IsControl):
		return Party{}, &PartyError{"place", place, "words of 128 bytes at most, or none"}
	}
	return Party{id, host, place}, nil
}

// hostname reports whether s can name a host, or is empty.
func hostname(s string) bool {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Zone() == ""
	}
	return len(s) <= maxHost && s != "-" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// A PartyError says what of a party cannot be used.
type PartyError struct{ Field, Got, Want string }

func (e *PartyError) Error() string { return fmt.Sprintf("%s %.40q: want %s", e.Field, e.Got, e.Want) }

// parties are both ends of a session, as far as they are known.
type parties struct{ camera, monitor Party }

// camera returns what our catalogue knows of a channel: of the encoder's address no
// more than travels with the channel itself.
func (c *catalog) camera(channel Code) Party {
	e := c.index[NodeID(channel)]
	if e == nil {
		return Party{ID: string(channel)}
	}
	p, err := ParseParty(string(channel), withoutPort(e.item.Host), e.item.Address)
	if err != nil { // peers write what they like there
		p = Party{ID: string(channel)}
	}
	return p
}

// withoutPort returns the host of an address that may have a port.
func withoutPort(s string) string {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().String()
	}
	if host, port, ok := strings.Cut(s, ":"); ok && digits(port) {
		return host
	}
	return s
}

// monitor returns the monitor that an upper's request is for: the one it names, if we
// agreed on that, else the upper itself and where it receives.
func (u *upper) monitor(ev InviteIn) Party {
	if u.link.Caps.Has(CapParties) && ev.Monitor.ID != "" {
		return ev.Monitor
	}
	p, err := ParseParty(string(u.cfg.Code), ev.Offer.Host, "")
	if err != nil {
		p = Party{ID: string(u.cfg.Code)}
	}
	return p
}

// told returns what of a party is told to a peer: nothing unless it knows the extension.
func told(l Link, p Party) Party {
	if !l.Caps.Has(CapParties) {
		return Party{}
	}
	return p
}
