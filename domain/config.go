package domain

import (
	"errors"
	"fmt"
	"time"
)

// A Config is what an operator sets for this domain's processor.
type Config struct {
	Self        Code          // our own 20-digit id
	Name        string        // our domain's name in words
	Region      NodeID        // civil code (2 to 8 digits) our own devices hang under when they state none
	Maker       string        // Maker, Model and Firmware answer a DeviceInfo query
	Model       string        //
	Firmware    string        //
	Instance    string        // id of this installation, for peers that can tell two apart (REG-402)
	Peers       []PeerConfig  // uppers, and the lowers that may register: nobody else may
	Linger      time.Duration // how long a live receiver stays without users; 0: it ends at once
	MaxSessions int           // receivers and senders together; 0: 64
	MoveFor     time.Duration // how long a camera moves for a standard upper that sends no stop; 0: 30 s
	Seed        uint64        // of the jitter: one seed gives one trace
}

// mostMove is the longest that a camera may move without another word.
const mostMove = 10 * time.Minute

// mostProfile is the last stream number that a catalogue can tell of.
const mostProfile = 7

// A FieldError is one fault of a Config.
type FieldError struct {
	Path string // such as "Peers[2].Code"
	Got  string
	Want string
}

func (e *FieldError) Error() string { return fmt.Sprintf("%s is %q: want %s", e.Path, e.Got, e.Want) }

// Validate returns every fault of c, joined, each a *FieldError; nil if there is none.
func (c Config) Validate() error {
	errs := []error{wantCode("Self", c.Self), wantRegion("Region", c.Region),
		wantSpan("Linger", c.Linger, time.Hour), wantSpan("MoveFor", c.MoveFor, mostMove)}
	if c.MaxSessions < 0 || c.MaxSessions > maxSSRC {
		errs = append(errs, &FieldError{"MaxSessions", fmt.Sprint(c.MaxSessions), "0 to 10000"})
	}
	seen := make(map[PeerRef]bool, len(c.Peers))
	for i, pc := range c.Peers {
		path := fmt.Sprintf("Peers[%d]", i)
		errs = append(errs, pc.validate(path, c.Self))
		if ref := pc.ref(); seen[ref] {
			errs = append(errs, &FieldError{path + ".Code", string(pc.Code), "one entry for each peer and role"})
		} else {
			seen[ref] = true
		}
	}
	return errors.Join(errs...)
}

func (pc PeerConfig) validate(path string, self Code) error {
	errs := []error{wantCode(path+".Code", pc.Code),
		wantSpan(path+".RegisterEvery", pc.RegisterEvery, 30*24*time.Hour),
		wantSpan(path+".RetryEvery", pc.RetryEvery, 24*time.Hour),
		wantSpan(path+".KeepaliveEvery", pc.KeepaliveEvery, 24*time.Hour)}
	bad := func(field, got, want string) {
		errs = append(errs, &FieldError{path + "." + field, got, want})
	}
	if pc.Code == self {
		bad("Code", string(pc.Code), "another id than our own")
	}
	if pc.Role != Upper && pc.Role != Lower {
		bad("Role", fmt.Sprint(uint8(pc.Role)), "upper or lower")
	}
	if pc.Role == Upper && pc.Address == "" {
		bad("Address", "", "host:port of the upper")
	}
	if pc.Transport != "" && pc.Transport != "udp" && pc.Transport != "tcp" {
		bad("Transport", pc.Transport, "udp or tcp")
	}
	if pc.Media > MediaTCPActive {
		bad("Media", fmt.Sprint(uint8(pc.Media)), "udp, tcp-passive or tcp-active")
	}
	if pc.Profile > mostProfile {
		bad("Profile", fmt.Sprint(pc.Profile), "0 (main) to 7")
	}
	if pc.Rank >= ownRank {
		bad("Rank", fmt.Sprint(pc.Rank), "0 to 99")
	}
	if pc.KeepaliveMiss < 0 || pc.KeepaliveMiss > 100 {
		bad("KeepaliveMiss", fmt.Sprint(pc.KeepaliveMiss), "0 to 100")
	}
	for i, ch := range pc.Share {
		errs = append(errs, wantCode(fmt.Sprintf("%s.Share[%d]", path, i), ch))
	}
	return errors.Join(errs...)
}

func wantCode(path string, c Code) error {
	if _, err := ParseCode(string(c)); err != nil {
		return &FieldError{path, string(c), "20 digits"}
	}
	return nil
}

func wantRegion(path string, id NodeID) error {
	if id != "" && !id.region() {
		return &FieldError{path, string(id), "2, 4, 6 or 8 digits"}
	}
	return nil
}

func wantSpan(path string, d, most time.Duration) error {
	if d < 0 || d > most {
		return &FieldError{path, d.String(), "0 to " + most.String()}
	}
	return nil
}

// ref names the peer that pc is about.
func (pc *PeerConfig) ref() PeerRef { return PeerRef{pc.Code, pc.Role} }

// withDefaults returns pc with the documented values for what is zero.
func (pc PeerConfig) withDefaults() PeerConfig {
	fill := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fill(&pc.RegisterEvery, time.Hour)
	fill(&pc.RetryEvery, time.Minute)
	fill(&pc.KeepaliveEvery, time.Minute)
	if pc.KeepaliveMiss == 0 {
		pc.KeepaliveMiss = 3
	}
	return pc
}

// silence is how long a peer may say nothing before it is offline.
func (pc *PeerConfig) silence() time.Duration {
	return time.Duration(pc.KeepaliveMiss)*pc.KeepaliveEvery + keepaliveGrace
}
