package main

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/api"
	"districtgateway/media/rtsp"
	"districtgateway/media/webrtc"
)

// A front is a server for viewers as the daemon runs it: one that is not open does not
// end anything else, and says why it is not.
type front struct {
	of       api.Server // what it is, and where it is to listen
	server   server     // nil: off
	accounts *account.Book
	log      *slog.Logger

	mu  sync.Mutex
	err error // why the server ended last
}

// A server is what a front runs.
type server interface {
	Run(ctx context.Context) error
	Addr(ctx context.Context) (netip.AddrPort, error)
	state() serverState
}

// A serverState tells how a server is.
type serverState struct {
	listens  bool
	fault    error // of its media port
	viewers  int
	declined uint64
}

// rtspServer and webrtcServer are the servers that there are.
type (
	rtspServer   struct{ *rtsp.Server }
	webrtcServer struct{ *webrtc.Server }
)

func (s rtspServer) state() serverState {
	_, listens := s.Listening()
	st := s.Stats()
	return serverState{listens: listens, viewers: st.Open, declined: st.Declined}
}

func (s webrtcServer) state() serverState {
	_, fault, listens := s.Listening()
	st := s.Stats()
	return serverState{listens, fault, st.Open, st.Declined}
}

// Run runs the server until ctx ends. A port that is somebody else's is tried again:
// it is no reason to stop recording. It is not opened before there is somebody who
// would be admitted.
func (f *front) Run(ctx context.Context) error {
	if f.server == nil || !f.somebody(ctx) {
		<-ctx.Done()
		return nil
	}
	supervise(ctx, f.log, func(ctx context.Context) error {
		err := f.server.Run(ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.err = err
		return err
	})
	return nil
}

// somebody waits for the first account; false: ctx ended before.
func (f *front) somebody(ctx context.Context) bool {
	select {
	case <-f.accounts.Some():
		return true
	case <-ctx.Done():
		return false
	}
}

// describe tells how the server is.
func (f *front) describe() api.Server {
	out := f.of
	if f.server == nil {
		out.State = api.ServerOff
		return out
	}
	st := f.server.state()
	out.Viewers, out.Declined = st.viewers, st.declined
	if st.listens {
		out.State, out.Problem = api.ServerOpen, inLine(st.fault)
		return out
	}
	select {
	case <-f.accounts.Some():
		f.mu.Lock()
		defer f.mu.Unlock()
		out.State, out.Problem = api.ServerClosed, inLine(f.err)
	default:
		out.State = api.ServerNoUser
	}
	return out
}

// inLine says an error, or nothing, in one line.
func inLine(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
