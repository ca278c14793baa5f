package domain

import "time"

// Role tells what a peer is to us.
type Role uint8

// The roles. One server plays both at once, to different peers (or, in a mutual
// cascade, to the same one: then it is two peers with the same Code).
const (
	Upper Role = iota + 1 // we register with it and answer its requests
	Lower                 // it registers with us and answers ours
)

func (r Role) String() string {
	switch r {
	case Upper:
		return "upper"
	case Lower:
		return "lower"
	}
	return "unknown"
}

// Version is the edition of GB/T 28181 that a peer speaks.
type Version uint8

// The editions; an unknown peer is taken for Version2016.
const (
	VersionUnknown Version = iota
	Version2011            // X-GB-Ver 1.0 and 1.1
	Version2016            // X-GB-Ver 2.0
	Version2022            // X-GB-Ver 3.0
)

// A Capability is an extension to the standard, used only between peers that
// announced it to each other at registration (header X-District-Cap).
type Capability uint8

// The capabilities, as a set of bits.
const (
	CapUpperKeepalive Capability = 1 << iota // the upper sends keepalives too (KA-501)
	CapRefuseLeave                           // a deregistration may be refused (DEREG-606)
	CapPush                                  // devices are pushed without a query (PUSH-701)
	CapElementary                            // plain H.264/H.265 RTP instead of PS may be offered
	CapParties                               // requests and answers name both parties (LIVE-801, QUERY-904)
	CapPTZ                                   // what moves a camera is repeated every 500 ms and names who asked (PTZ-1)
)

// Has reports whether c holds all of want.
func (c Capability) Has(want Capability) bool { return c&want == want }

// MediaTransport is how RTP travels between two domains.
type MediaTransport uint8

// The transports, from the receiver's point of view (GB/T 28181-2022 Annex D).
const (
	MediaUDP        MediaTransport = iota
	MediaTCPPassive                // the receiver listens: setup:passive in its SDP
	MediaTCPActive                 // the receiver connects: setup:active in its SDP
)

func (t MediaTransport) String() string {
	return [...]string{"udp", "tcp-passive", "tcp-active"}[t%3]
}

// A PeerConfig is what an operator sets for one neighbouring domain.
type PeerConfig struct {
	Code       Code
	Role       Role
	Name       string         // shown to people; the peer's own name replaces it when empty
	Address    string         // host:port of its signalling; for a Lower only a restriction (may be empty)
	Transport  string         // "udp" or "tcp": signalling towards an upper
	Media      MediaTransport // what we ask for when we receive from it
	Elementary bool           // prefer plain RTP to PS when both ends can

	RegisterEvery  time.Duration // validity asked for at registration; 0: 3600 s
	RetryEvery     time.Duration // pause after a failed registration, jitter is added; 0: 60 s
	KeepaliveEvery time.Duration // 0: 60 s
	KeepaliveMiss  int           // missed in a row before offline; 0: 3
	Share          []Code        // channels shown to this upper; nil: all
	Rank           uint8         // of this upper where it moves cameras, 1 to 99: this level's own users have 100; 0: it may not
	Profile        uint8         // stream number that this upper gets of a channel that has it, where it asks for the main one
	Forget         bool          // instead of offline: what was learned of it is deleted (KA-503, KA-509)
}

// A Link is registration and keepalive state with one peer, as shown to people.
type Link struct {
	Peer     Code
	Role     Role
	Name     string
	Address  string // where it is reached now
	State    LinkState
	Since    time.Time // of State
	LastSeen time.Time // last message or answer from it
	Reason   string    // why it is not online, in words, with the SIP status if there was one
	Expires  time.Time // end of the registration
	Version  Version
	Caps     Capability
	Instance string    // of a lower that told one (REG-402)
	Channels int       // shared with an upper; learned from a lower
	Catalog  time.Time // when its catalogue was last complete (Lower)
	Sessions int
}

// LinkState is where a link stands.
type LinkState uint8

// The states of a link. REG-403 to 406 and KA-502 to 509 in the words of the
// standard: Online is registered and alive; Refused is registered never or no
// more because the peer said no; Offline is silence.
const (
	LinkIdle LinkState = iota
	LinkRegistering
	LinkOnline
	LinkRefused
	LinkOffline
	LinkLeaving
	LinkLeft // an upper that an operator left for good: only its tombstone stays
)

func (s LinkState) String() string {
	return [...]string{"idle", "registering", "online", "refused", "offline", "leaving", "left"}[s%7]
}
