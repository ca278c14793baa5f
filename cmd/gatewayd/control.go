package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"districtgateway/cmd/internal/account"
	"districtgateway/cmd/internal/api"
	"districtgateway/cmd/internal/config"
	"districtgateway/domain"
	"districtgateway/domain/boltstore"
	"districtgateway/media"
	"districtgateway/storage"
)

// control serves the interface of package api on a Unix socket.
type control struct {
	file     config.File
	started  time.Time
	loop     *domain.Loop
	store    *boltstore.Store
	users    *users
	accounts *account.Book
	legs     *legs
	cameras  *cameras
	volumes  *volumes
	hub      *media.Hub
	memory   *memory
	fronts   []*front
	log      *slog.Logger
}

// Run serves until ctx ends. The socket is readable by its owner and group only.
func (c *control) Run(ctx context.Context) error {
	path := c.file.Server.ControlSocket()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return err
	}
	srv := &http.Server{Handler: c.routes(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	return nil
}

func (c *control) routes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET "+api.PathVersion, answer(c.version))
	m.HandleFunc("GET "+api.PathStatus, answer(c.status))
	m.HandleFunc("GET "+api.PathPeers, answer(c.peers))
	m.HandleFunc("GET "+api.PathChannels, answer(c.channels))
	m.HandleFunc("GET "+api.PathStreams, answer(c.streams))
	m.HandleFunc("GET "+api.PathStreams+"/{channel}", answer(c.channelStreams))
	m.HandleFunc("GET "+api.PathSessions, answer(c.sessions))
	m.HandleFunc("GET "+api.PathEncoders, answer(c.encoders))
	m.HandleFunc("POST "+api.PathEncoders, answer(c.importCodes))
	m.HandleFunc("PUT "+api.PathEncoders, answer(c.replaceEncoder))
	m.HandleFunc("GET "+api.PathDiscover, answer(c.discover))
	m.HandleFunc("GET "+api.PathRecords+"{channel}", answer(c.records))
	m.HandleFunc("POST "+api.PathRefresh+"{peer}", answer(c.refresh))
	m.HandleFunc("POST "+api.PathLeave+"{peer}", answer(c.leave))
	m.HandleFunc("POST "+api.PathJoin+"{peer}", answer(c.join))
	m.HandleFunc("POST "+api.PathPTZ+"{channel}", answer(c.ptz))
	m.HandleFunc("GET "+api.PathUsers+"{$}", answer(c.listUsers))
	m.HandleFunc("POST "+api.PathUsers+"{name}", answer(c.addUser))
	m.HandleFunc("PUT "+api.PathUsers+"{name}", answer(c.changeUser))
	m.HandleFunc("DELETE "+api.PathUsers+"{name}", answer(c.removeUser))
	m.HandleFunc("GET "+api.PathConfig, c.showConfig)
	m.HandleFunc("POST "+api.PathConfig, answer(c.diffConfig))
	m.HandleFunc("GET "+api.PathLive+"{channel}", c.live)
	m.HandleFunc("GET "+api.PathSnapshot+"{channel}", c.snapshot)
	m.HandleFunc("GET "+api.PathPlay+"{channel}", c.play)
	m.HandleFunc("GET "+api.PathProfile+"{kind}", c.profile)
	return m
}

// answer makes a handler of a function that returns a JSON answer.
func answer[T any](f func(*http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // fails only if the caller has gone
	}
}

// badRequest is a fault of the caller.
type badRequest struct{ error }

// refuse answers an error: its status, the level that refused and the cause.
func refuse(w http.ResponseWriter, err error) {
	e := errorOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e)
}

// errorOf is the one table from errors to answers of this interface.
func errorOf(err error) *api.Error {
	e := &api.Error{Status: http.StatusInternalServerError, Cause: err.Error()}
	if r := (*domain.Refused)(nil); errors.As(err, &r) {
		e.Level, e.Status = string(r.Level), http.StatusBadGateway
		e.Cause = strings.TrimPrefix(r.Error(), e.Level+": ")
		return e
	}
	for _, t := range []struct {
		err    error
		status int
	}{
		{domain.ErrBroken, http.StatusBadGateway},
		{domain.ErrNoChannel, http.StatusNotFound}, {domain.ErrNoRecording, http.StatusNotFound}, {errNoCode, http.StatusNotFound}, {errNoLower, http.StatusNotFound},
		{domain.ErrNoUpper, http.StatusNotFound}, {domain.ErrGone, http.StatusConflict},
		{account.ErrUnknown, http.StatusNotFound}, {account.ErrTaken, http.StatusConflict}, {account.ErrLastAdmin, http.StatusConflict},
		{account.ErrFull, http.StatusConflict}, {account.ErrInvalid, http.StatusBadRequest},
		{domain.ErrDenied, http.StatusForbidden}, {domain.ErrBusy, http.StatusServiceUnavailable},
		{domain.ErrNoMemory, http.StatusServiceUnavailable}, {media.ErrMemory, http.StatusServiceUnavailable},
		{domain.ErrOffline, http.StatusConflict}, {domain.ErrPeerOffline, http.StatusConflict}, {errCodeUsed, http.StatusConflict}, {errProfiled, http.StatusConflict},
		{domain.ErrHeld, http.StatusConflict}, {domain.ErrUnable, http.StatusNotImplemented},
		{domain.ErrTimeout, http.StatusGatewayTimeout}, {context.DeadlineExceeded, http.StatusGatewayTimeout},
		{storage.ErrVolumeStalled, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, t.err) {
			e.Status = t.status
		}
	}
	if bad := (badRequest{}); errors.As(err, &bad) {
		e.Status = http.StatusBadRequest
	}
	return e
}

// channelOf reads the channel of a request.
func channelOf(r *http.Request) (domain.Code, error) {
	code, err := domain.ParseCode(r.PathValue("channel"))
	if err != nil {
		return "", badRequest{err}
	}
	return code, nil
}

// rangeOf reads the range of a request.
func rangeOf(r *http.Request) (domain.Range, error) {
	var in domain.Range
	var err error
	if in.From, err = time.Parse(time.RFC3339Nano, r.FormValue("from")); err != nil {
		return in, badRequest{fmt.Errorf("from: %w", err)}
	}
	if in.To, err = time.Parse(time.RFC3339Nano, r.FormValue("to")); err != nil {
		return in, badRequest{fmt.Errorf("to: %w", err)}
	}
	if !in.From.Before(in.To) {
		return in, badRequest{fmt.Errorf("from %s is not before to %s", r.FormValue("from"), r.FormValue("to"))}
	}
	return in, nil
}

// durationOf reads an optional duration of a request.
func durationOf(r *http.Request, name string) (time.Duration, error) {
	text := r.FormValue(name)
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, badRequest{fmt.Errorf("%s=%q: want a duration such as 10s", name, text)}
	}
	return d, nil
}

// view runs f on the domain loop.
func (c *control) view(ctx context.Context, f func(*domain.Processor)) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.loop.View(ctx, f)
}

// errMore reports a body that goes on behind what it should hold.
var errMore = errors.New("more than one value")

// decodeBody reads the JSON body of a request, of at most most bytes, into v. It reads to
// the end: only then is it noticed that the caller has gone.
func decodeBody(r *http.Request, most int64, v any) error {
	text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, most))
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err == nil {
		err = d.Decode(v)
	}
	if err == nil && d.More() {
		err = errMore
	}
	if err != nil {
		return badRequest{fmt.Errorf("body: %w", err)}
	}
	return nil
}
