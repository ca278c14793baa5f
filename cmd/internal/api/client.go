package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A Client calls the daemon behind one socket. Any goroutine.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client of the daemon at the given Unix socket.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ErrNotRunning reports that nothing answers at the socket.
var ErrNotRunning = errors.New("gatewayd is not running")

// Get reads the JSON answer to a path into v.
func (c *Client) Get(ctx context.Context, path string, query url.Values, v any) error {
	r, err := c.do(ctx, call{path: path, query: query})
	if err != nil {
		return err
	}
	defer r.Body.Close()
	return decode(r.Body, v)
}

// Post sends body to a path and reads the JSON answer into v, unless that is nil.
func (c *Client) Post(ctx context.Context, path string, body []byte, v any) error {
	return c.send(ctx, call{method: http.MethodPost, path: path, body: body}, v)
}

// Put is Post by PUT.
func (c *Client) Put(ctx context.Context, path string, body []byte, v any) error {
	return c.send(ctx, call{method: http.MethodPut, path: path, body: body}, v)
}

// Delete asks for what is at a path to be removed, and reads the JSON answer into v.
func (c *Client) Delete(ctx context.Context, path string, v any) error {
	return c.send(ctx, call{method: http.MethodDelete, path: path}, v)
}

func (c *Client) send(ctx context.Context, in call, v any) error {
	r, err := c.do(ctx, in)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if v == nil {
		_, err := io.Copy(io.Discard, r.Body)
		return err
	}
	return decode(r.Body, v)
}

// A LeaveRequest asks to leave an upper domain for good.
type LeaveRequest struct {
	Upper string
	Force bool          // whatever it answers
	For   time.Duration // how long to try
}

// Leave leaves an upper domain and returns its link, once it is left. The error is
// an *Error with the upper as its level if that did not agree in time.
func (c *Client) Leave(ctx context.Context, in LeaveRequest) (p Peer, err error) {
	q := url.Values{"for": {in.For.String()}}
	if in.Force {
		q.Set("force", "1")
	}
	return p, c.send(ctx, call{method: http.MethodPost, path: PathLeave + in.Upper, query: q}, &p)
}

// Text reads an answer that is no JSON.
func (c *Client) Text(ctx context.Context, path string) (string, error) {
	r, err := c.do(ctx, call{path: path})
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return string(text), err
}

// Profile reads a profile of a kind. Length is how long to look at the processor; 0: as
// the daemon likes.
func (c *Client) Profile(ctx context.Context, kind string, length time.Duration) ([]byte, error) {
	q := url.Values{}
	if length > 0 {
		q.Set("for", length.String())
	}
	r, err := c.do(ctx, call{path: PathProfile + kind, query: q})
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(io.LimitReader(r.Body, maxAnswer))
}

// A LiveRequest asks for a channel's picture.
type LiveRequest struct {
	Channel string
	For     time.Duration // 0: until the context ends
	Sub     bool          // the sub stream rather than the main one
}

// Live writes a channel's picture as MP4 to w, for the time asked for or until ctx
// ends, which is no error.
func (c *Client) Live(ctx context.Context, in LiveRequest, w io.Writer) error {
	q := url.Values{}
	if in.For > 0 {
		q.Set("for", in.For.String())
	}
	if in.Sub {
		q.Set("profile", "sub")
	}
	_, err := c.media(ctx, call{path: PathLive + in.Channel, query: q}, w)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// A PlayRequest asks for a channel's recording of a range.
type PlayRequest struct {
	Channel  string
	From, To time.Time
	Speed    int // times real time; 0: as the daemon likes
}

// Play writes a channel's recording as MP4 to w, as fast as it comes.
func (c *Client) Play(ctx context.Context, in PlayRequest, w io.Writer) error {
	q := Range(in.From, in.To)
	if in.Speed > 0 {
		q.Set("speed", strconv.Itoa(in.Speed))
	}
	_, err := c.media(ctx, call{path: PathPlay + in.Channel, query: q}, w)
	return err
}

// A SnapshotRequest asks for one picture of a channel.
type SnapshotRequest struct {
	Channel string
	Sub     bool // of the sub stream
}

// Snapshot returns a channel's present picture: its type is TypeJPEG, or TypeMP4 for
// a file of one key picture.
func (c *Client) Snapshot(ctx context.Context, in SnapshotRequest) (picture []byte, kind string, err error) {
	q := url.Values{}
	if in.Sub {
		q.Set("profile", "sub")
	}
	var b bytes.Buffer
	kind, err = c.media(ctx, call{path: PathSnapshot + in.Channel, query: q}, &b)
	return b.Bytes(), kind, err
}

// Range returns the query for a range of time.
func Range(from, to time.Time) url.Values {
	return url.Values{"from": {from.Format(time.RFC3339Nano)}, "to": {to.Format(time.RFC3339Nano)}}
}

// media copies a media answer and returns its type. It reports why the answer broke
// off if it did.
func (c *Client) media(ctx context.Context, in call, w io.Writer) (kind string, err error) {
	r, err := c.do(ctx, in)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	if _, err := io.Copy(w, r.Body); err != nil {
		return "", err
	}
	if cause := r.Trailer.Get(Trailer); cause != "" {
		e := &Error{}
		if json.Unmarshal([]byte(cause), e) != nil {
			e.Cause = cause
		}
		return "", e
	}
	return r.Header.Get("Content-Type"), nil
}

// A call is one request. The zero method is GET.
type call struct {
	method, path string
	query        url.Values
	body         []byte
}

// do sends a request and returns its answer, or the *Error in it.
func (c *Client) do(ctx context.Context, in call) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "gateway", Path: in.path, RawQuery: in.query.Encode()}
	if plain, err := url.PathUnescape(in.path); err == nil {
		u.Path, u.RawPath = plain, in.path // what is escaped already is not escaped again
	}
	req, err := http.NewRequestWithContext(ctx, in.method, u.String(), bytes.NewReader(in.body))
	if err != nil {
		return nil, err
	}
	r, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
			if errors.Is(err, fs.ErrPermission) {
				return nil, fmt.Errorf("no permission to open %s", c.socket)
			}
			return nil, fmt.Errorf("%w: nothing answers at %s", ErrNotRunning, c.socket)
		}
		return nil, err
	}
	if r.StatusCode < 300 {
		return r, nil
	}
	defer r.Body.Close()
	e := &Error{Status: r.StatusCode}
	if decode(r.Body, e) != nil || e.Cause == "" {
		e.Cause = r.Status
	}
	return nil, e
}

// maxAnswer bounds a JSON answer: 10⁵ channels take some 20 MB.
const maxAnswer = 64 << 20

func decode(r io.Reader, v any) error { return json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(v) }
