// Package peer knows how other servers are set to do the work that the gateway
// is measured by, with everything else that they can do switched off.
package peer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// A Job is the work of one server.
type Job struct {
	Dir     string   // for its configuration and its recordings; exists
	Host    string   // loopback address that is the server's alone
	Sources []string // RTSP URLs to pull, over TCP; of a server that is pushed to, only their number counts
	Record  bool     // record all of them below Recordings
}

// Ports at the job's host.
const (
	rtspPort = 8554
	rtpPort  = 8000 // and the next, for RTCP
	httpPort = 8080
)

// Recordings is where a job's recordings go.
func (j Job) Recordings() string { return filepath.Join(j.Dir, "recordings") }

// RTSP is the address at which the job's streams are read.
func (j Job) RTSP() string { return fmt.Sprintf("%s:%d", j.Host, rtspPort) }

// A Server is a server that can be given a job.
type Server interface {
	Name() string
	// Prepare writes the configuration and returns the program's arguments.
	Prepare(Job) (args []string, err error)
	// Begin does what is to be done once the program runs, and is tried again
	// while that fails.
	Begin(context.Context, Job) error
	// URL is where readers find the n-th source, and where it is published to a server
	// that is pushed to.
	URL(j Job, n int) string
	// Can tells what it can do beside RTSP over TCP.
	Can() Abilities
}

// Abilities are what not every server has, or is set to.
type Abilities struct {
	UDP    bool // gives streams over UDP
	Record bool
	Pushed bool // does not pull its sources: they are published to it by RTSP over TCP
}

// A Candidate is a server and the variable of the environment that names its program.
type Candidate struct {
	Variable string
	Server
}

// All returns the servers. One is there three times: as it is by default, set not to keep
// a picture until the next one comes, and with streams that are pushed to it.
func All() []Candidate {
	return []Candidate{{"PEER_MEDIAMTX", mediamtx{}}, {"PEER_GO2RTC", go2rtc{}}, {"PEER_ZLM", zlm{}}, {"PEER_ZLM", zlm{prompt: true}}, {"PEER_ZLM", zlm{pushed: true}}}
}

func stream(n int) string { return fmt.Sprintf("s%d", n) }

func write(j Job, name, text string) (string, error) {
	path := filepath.Join(j.Dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
