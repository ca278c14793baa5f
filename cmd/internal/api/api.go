// Package api is the gateway's control interface: HTTP with JSON over a Unix
// socket that only the box's administrator can open. The daemon serves it,
// gatewayctl and the rigs call it through [Client].
//
// Answers are JSON. Media (live pictures, playback) is a fragmented MP4 stream;
// if it breaks off after it began, the trailer Error tells why.
package api

import (
	"fmt"
	"time"
)

// Paths of the interface. {channel} is a 20-digit code.
const (
	PathVersion  = "/v1/version"
	PathStatus   = "/v1/status"
	PathPeers    = "/v1/peers"
	PathChannels = "/v1/channels"
	PathStreams  = "/v1/streams" // + / and a channel: its streams in detail, []StreamDetail
	PathSessions = "/v1/sessions"
	PathLive     = "/v1/live/"     // + channel; ?for=10s
	PathSnapshot = "/v1/snapshot/" // + channel; ?profile=sub; answers image/jpeg or, of one picture, video/mp4
	PathPTZ      = "/v1/ptz/"      // + channel; POST PTZ; answers PTZDone once the camera has obeyed; a movement ends, too, when the caller hangs up
	PathRecords  = "/v1/records/"  // + channel; ?from=&to=, RFC 3339; &everywhere=1: of every level on the way, too
	PathPlay     = "/v1/play/"     // + channel; ?from=&to=; &speed=: times real time, 1 to 32
	PathDiscover = "/v1/discover"  // ?for=5s
	PathConfig   = "/v1/config"    // GET: in force, as TOML; POST: a candidate, answers Changes
	PathEncoders = "/v1/encoders"  // GET: the inventory; POST: CSV code list; PUT: Replace
	PathRefresh  = "/v1/refresh/"  // + code of a lower: read its catalogue again
	PathLeave    = "/v1/leave/"    // + code of an upper; ?for=5m&force=1; answers Peer once it is left
	PathJoin     = "/v1/join/"     // + code of an upper; answers Peer once it is registered with
	PathUsers    = "/v1/users/"    // GET: all; + name: POST NewUser, PUT UserChange, DELETE; all answer []User once it is durable
	PathProfile  = "/v1/profile/"  // + kind; ?for=10s of the processor; answers as the tool pprof reads it
)

// Kinds of profiles, which show what the daemon itself is doing.
const (
	ProfileProcessor  = "cpu"        // where processor time goes
	ProfileMemory     = "heap"       // what memory is held for, after a collection of garbage
	ProfileGoroutines = "goroutines" // where each stands; text
)

// Types of media answers.
const (
	TypeMP4  = "video/mp4"
	TypeJPEG = "image/jpeg"
)

// Trailer names the HTTP trailer that ends a media stream which broke off.
const Trailer = "Error"

// An Error is the answer to a request that was refused or failed.
type Error struct {
	Status int    `json:"status"`          // HTTP status
	Level  string `json:"level,omitempty"` // code of the server that refused; empty: this one
	Cause  string `json:"error"`           // in words
}

func (e *Error) Error() string {
	if e.Level != "" {
		return fmt.Sprintf("%s: %s", e.Level, e.Cause)
	}
	return e.Cause
}

// Version answers PathVersion.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"` // GOOS/GOARCH
}

// Status answers PathStatus.
type Status struct {
	Code     string    `json:"code"`
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Health   string    `json:"health"` // "good", or what is wrong, in words
	Uppers   []Peer    `json:"uppers"`
	Lowers   []Peer    `json:"lowers"`
	Channels Count     `json:"channels"` // own and learned
	Encoders []Encoder `json:"encoders"` // own
	Volumes  []Volume  `json:"volumes"`
	Buses    []Bus     `json:"buses"`   // of domes
	Servers  []Server  `json:"servers"` // for viewers
	Sessions int       `json:"sessions"`
	Process  Process   `json:"process"`
	Streams  Budget    `json:"stream_memory"`
}

// A Budget is the memory of all streams.
type Budget struct {
	Used    int64     `json:"used_bytes"`
	Limit   int64     `json:"limit_bytes"`
	Refused uint64    `json:"refused"`                // times that something did not fit
	Last    time.Time `json:"last_refused,omitzero"`  // of these
	Short   int       `json:"short_streams,omitzero"` // whose ring is smaller than they need, for want of memory
}

// A Bus is an RS-485 line with domes.
type Bus struct {
	Name    string    `json:"name"`
	Port    string    `json:"port"`
	Open    bool      `json:"open"`
	Since   time.Time `json:"since,omitzero"`    // of Open
	Problem string    `json:"problem,omitempty"` // not open: why; open: what is not as it was asked for
	Domes   int       `json:"domes"`
	Moving  int       `json:"moving"`  // of these
	Sent    uint64    `json:"sent"`    // frames
	Refused uint64    `json:"refused"` // commands for which there was no room
}

// A Server is one for viewers.
type Server struct {
	Kind     string `json:"kind"`              // rtsp, web
	Listen   string `json:"listen"`            // address and port by TCP
	Media    string `json:"media,omitempty"`   // of web: address and port of media, by UDP and TCP
	State    string `json:"state"`             // open, off, no user yet, closed
	Problem  string `json:"problem,omitempty"` // why it is closed; of one that is open: what is wrong with its media port
	Viewers  int    `json:"viewers"`           // rtsp: connections; web: sessions
	Declined uint64 `json:"declined"`          // viewers that were one too many
}

// Kinds and states of servers.
const (
	ServerRTSP = "rtsp"
	ServerWeb  = "web"

	ServerOpen   = "open"
	ServerOff    = "off" // by configuration
	ServerNoUser = "no user yet"
	ServerClosed = "closed" // it should be open: its port is tried again and again
)

// A Count is how many there are and how many of them work.
type Count struct {
	Total  int `json:"total"`
	Online int `json:"online"`
}

// A Process tells what the daemon costs.
type Process struct {
	PID        int    `json:"pid"`
	Memory     int64  `json:"memory_bytes"` // proportional set size
	Mallocs    uint64 `json:"mallocs"`      // objects allocated since the start
	Packets    uint64 `json:"packets"`      // media packets received since the start
	Goroutines int    `json:"goroutines"`
	Objects    uint64 `json:"object_bytes"` // that the last collection of garbage found in use
	Stacks     uint64 `json:"stack_bytes"`  // of goroutines

	// Processor time since the start, in seconds, as the Go runtime estimates it.
	CPU     float64 `json:"cpu_seconds"`    // that goroutines and the runtime have had
	Garbage float64 `json:"gc_cpu_seconds"` // of it, for collecting garbage
	Cycles  uint32  `json:"gc_cycles"`      // times that garbage was collected
}

// A Peer is a neighbouring domain and its link.
type Peer struct {
	Code     string    `json:"code"`
	Role     string    `json:"role"` // upper, lower
	Name     string    `json:"name"`
	State    string    `json:"state"` // online, registering, refused, offline, idle, leaving, left
	Since    time.Time `json:"since"`
	LastSeen time.Time `json:"last_seen,omitzero"`
	Address  string    `json:"address"`
	Reason   string    `json:"reason,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`
	Channels int       `json:"channels"`
	Catalog  time.Time `json:"catalog,omitzero"`
}

// A Channel is one node of the catalogue.
type Channel struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	Region string `json:"region,omitempty"`
	Fifth  string `json:"fifth,omitempty"` // the region below that, by its id in this list
	Owner  string `json:"owner"`           // code of the peer it was learned from; this server's for its own
	Online bool   `json:"online"`
	Kind   string `json:"kind"` // channel, device, system, group, organisation, region
	Depth  int    `json:"depth"`
}

// An Encoder is one of the gateway's own channels.
type Encoder struct {
	Code      string    `json:"code"`
	Name      string    `json:"name"`
	Identity  string    `json:"identity"` // hardware address or serial number
	Address   string    `json:"address"`
	Model     string    `json:"model,omitempty"`
	Online    bool      `json:"online"`
	Since     time.Time `json:"since"`
	Problem   string    `json:"problem,omitempty"`
	Video     string    `json:"video,omitempty"` // H.264 1280x720
	Audio     string    `json:"audio,omitempty"`
	Recording bool      `json:"recording"`
	LastByte  time.Time `json:"last_byte,omitzero"` // when its footage last became durable
}

// A Volume is a place recordings are kept.
type Volume struct {
	Path     string    `json:"path"`
	ID       string    `json:"id"`
	State    string    `json:"state"` // recording, or what is wrong
	Used     int64     `json:"used_bytes"`
	Free     int64     `json:"free_bytes"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Segments int       `json:"segments"`
	Memory   int64     `json:"memory_bytes"` // of its process: objects and stacks in use
}

// A Recording is one interval without a hole, or with Gap set, a hole.
type Recording struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Bytes int64     `json:"bytes,omitempty"`
	Kind  string    `json:"kind,omitempty"` // scheduled, alarm, manual
	Gap   string    `json:"gap,omitempty"`  // cause of a hole, only for own channels

	Address  string `json:"address,omitempty"`  // where the one that has it finds it
	Recorder string `json:"recorder,omitempty"` // code of who recorded it
	Location string `json:"location,omitempty"` // code of where it lies
}

// Recordings answers PathRecords.
type Recordings struct {
	Channel string      `json:"channel"`
	Items   []Recording `json:"items"`
	Partial bool        `json:"partial"`         // the owner sent fewer than it announced
	Owner   string      `json:"owner,omitempty"` // code of the server whose data manager answered
}

// A Found is an encoder seen on the network.
type Found struct {
	Address  string `json:"address"`
	Name     string `json:"name"`
	Model    string `json:"model"`
	Identity string `json:"identity"`
	Code     string `json:"code,omitempty"` // set if it is in service
	Verdict  string `json:"verdict"`        // in service, not adopted, wrong password, …
}

// A Replace moves a channel's code and footage to another encoder.
type Replace struct {
	Code     string `json:"code"`
	Identity string `json:"identity"`        // of the new encoder: its hardware address, or a serial number that was seen
	Force    bool   `json:"force,omitempty"` // any other text, too
}

// A Stream is one running stream with its counters.
type Stream struct {
	Channel   string   `json:"channel"`
	Profile   string   `json:"profile"`
	Connected bool     `json:"connected"`
	Transport string   `json:"transport,omitempty"` // tcp or udp
	Users     int      `json:"users"`
	Packets   uint64   `json:"packets"`
	Bytes     uint64   `json:"bytes"`
	Lost      uint64   `json:"lost"`
	Damaged   uint64   `json:"damaged"`
	Units     uint64   `json:"units"`
	Ring      int64    `json:"ring_bytes"`
	Held      float64  `json:"held_seconds"` // of the stream, in the ring
	Problem   string   `json:"problem,omitempty"`
	Tracks    []string `json:"tracks"`
}

// A StreamDetail is all that is known of one running stream. Rates follow from the
// counters of two answers and the time At between them: who asks twice fills in Rate.
type StreamDetail struct {
	Stream
	At        time.Time     `json:"at"`
	Rate      float64       `json:"bits_per_second,omitempty"`
	Source    string        `json:"source"`         // where it comes from: host of the encoder, code of the domain
	Since     time.Time     `json:"since,omitzero"` // of Connected
	Losses    Losses        `json:"losses"`
	Opened    uint64        `json:"opened"` // times it was connected
	Keys      uint64        `json:"key_pictures"`
	Memory    Ring          `json:"memory"`
	Media     []Track       `json:"media"`
	Consumers []Consumer    `json:"consumers"`
	Cut       uint64        `json:"cut"`  // consumers, since the beginning
	Slow      uint64        `json:"slow"` // of those, for being too slow
	LastCut   []CutConsumer `json:"last_cut"`
}

// Losses are the packets that did not simply come in order.
type Losses struct {
	Late      uint64 `json:"late"`      // given up before they came
	Reordered uint64 `json:"reordered"` // put in order
	Doubled   uint64 `json:"doubled"`
	Stray     uint64 `json:"stray"` // of another sender
	Malformed uint64 `json:"malformed"`
	Jumps     uint64 `json:"jumps"` // of time or coding
}

// A Ring is the memory of a stream.
type Ring struct {
	Bytes   int     `json:"bytes"`
	Held    int64   `json:"held_bytes"`
	Seconds float64 `json:"held_seconds"`
	Copies  bool    `json:"copies"` // it could not be mapped twice: what is received is copied once
}

// A Track is what a stream's ring tells of one of its tracks.
type Track struct {
	Coding   string  `json:"coding"` // H.264 1280x720
	Bits     float64 `json:"bits_per_second"`
	FPS      float64 `json:"pictures_per_second,omitempty"`
	Group    int     `json:"group,omitempty"`             // pictures from key picture to key picture
	Interval float64 `json:"key_every_seconds,omitempty"` // time between them
}

// A Consumer is who a stream is sent to.
type Consumer struct {
	Kind    string    `json:"kind"` // rtsp tcp, rtsp udp, webrtc udp, webrtc tcp, relay tcp, relay udp, recorder, mp4
	Name    string    `json:"name"` // its far end: user and address of a viewer, code and address of a domain
	Since   time.Time `json:"since"`
	Units   uint64    `json:"units"`
	Packets uint64    `json:"packets"`
	Bytes   uint64    `json:"bytes"`
	Rate    float64   `json:"bits_per_second,omitempty"`
	Dropped uint64    `json:"dropped"` // units left out because it could not take them
	Lapped  uint64    `json:"lapped"`  // units overwritten before it took them; of a recorder: holes
	Copied  uint64    `json:"copied"`  // bytes of media that the gateway copied for it
	Behind  float64   `json:"behind_ms"`
}

// A CutConsumer is one that was cut, with its counters at the end.
type CutConsumer struct {
	Consumer
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// A Session is one agreed exchange of media with another domain.
type Session struct {
	Channel string    `json:"channel"`
	Kind    string    `json:"kind"`
	Peer    string    `json:"peer"` // code; empty for a local user
	Role    string    `json:"role"`
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Camera  Party     `json:"camera"`
	Monitor Party     `json:"monitor"` // of what is received: of who asked first
}

// A Party is one end of what is watched: the camera, or the monitor it is shown on.
type Party struct {
	ID    string `json:"id"`              // of a monitor: its server's code, and - and a number unless that is a standard peer's
	Host  string `json:"host,omitempty"`  // network address: of the encoder; where the monitor's media arrives
	Place string `json:"place,omitempty"` // in words
}

// A User is a person who may watch.
type User struct {
	Name string `json:"name"`
	Role string `json:"role"` // viewer, operator or admin
}

// NewUser is the body of POST PathUsers.
type NewUser struct {
	Role     string `json:"role"`
	Password string `json:"password"`
}

// UserChange is the body of PUT PathUsers: what is empty stays as it is.
type UserChange struct {
	Role     string `json:"role,omitempty"`
	Password string `json:"password,omitempty"`
}
