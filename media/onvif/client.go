package onvif

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"districtgateway/media/digest"
)

// Config is how to reach one device.
type Config struct {
	// Address is a host, host:port or the URL of the device service.
	Address  string
	User     string // empty: no authentication is tried
	Password digest.Secret
	// Timeout bounds one HTTP exchange; a call makes a few at most. 0 means 5 s.
	Timeout time.Duration
	// Basic permits answering a Basic challenge, which hands the password to whoever
	// listens.
	Basic bool
	// Insecure accepts any TLS certificate, as encoders sign their own.
	Insecure bool
	// Endpoint is the endpoint address Discover found, or empty; it is the last
	// resort of Device.Key.
	Endpoint string
	// Transport replaces the HTTP transport, and with it Insecure. Nil is right
	// outside of tests and tunnels.
	Transport http.RoundTripper
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// A Client talks to one device. It is safe for concurrent use and keeps idle
// connections for 30 s; Close drops them at once.
type Client struct {
	cfg   Config
	base  *url.URL // of the device service
	http  *http.Client
	clock clock

	mu       sync.Mutex
	sessions map[string]*digest.Session // by host and port: each has its nonces
	services *Services                  // nil before the first call that needs it
	token    bool                       // the device accepts WS-UsernameToken
}

// New checks cfg and returns a Client that has not connected yet.
func New(cfg Config) (*Client, error) {
	base, err := parseAddress(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("onvif: %w", err)
	}
	if cfg.Timeout < 0 {
		return nil, errors.New("onvif: negative timeout")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, base: base, http: newHTTP(cfg), sessions: map[string]*digest.Session{}}, nil
}

// Close closes idle connections. The Client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// XAddr returns the URL of the device service.
func (c *Client) XAddr() string { return c.base.String() }

func (c *Client) session(host string) *digest.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[host]
	if s == nil {
		s = digest.New(digest.Config{User: c.cfg.User, Password: c.cfg.Password, AllowBasic: c.cfg.Basic})
		c.sessions[host] = s // as many as the device has service ports: see maxServices
	}
	return s
}

func (c *Client) tokenAccepted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

func (c *Client) acceptToken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = true
}

// A call is one operation of one service.
type call struct {
	ns  string // of the service
	op  string
	in  any // request, marshals to prefixed names
	out any // pointer to the response, or nil
}

// do performs a call. HTTP authentication comes first; when the device does not
// challenge but refuses, a WS-UsernameToken is tried, and when that is refused
// and our idea of the device's clock is old, once more after measuring it. A
// refused HTTP answer ends it: more tries lock accounts.
func (c *Client) do(ctx context.Context, k call) error {
	addr, err := c.endpoint(ctx, k.ns)
	if err != nil {
		return fmt.Errorf("onvif %s %s: %w", k.op, c.base.Host, err)
	}
	token := c.tokenAccepted()
	err = c.attempt(ctx, addr, k, token)
	if !token && c.wantsToken(err) {
		token = true
		err = c.attempt(ctx, addr, k, token)
	}
	if token && c.wantsToken(err) && c.clock.older(c.cfg.Now(), time.Minute) {
		c.clock.forget()
		err = c.attempt(ctx, addr, k, token)
	}
	if err != nil {
		return fmt.Errorf("onvif %s %s: %w", k.op, c.base.Host, err)
	}
	if token {
		c.acceptToken()
	}
	return nil
}

func (c *Client) wantsToken(err error) bool {
	return c.cfg.User != "" && errors.Is(err, ErrUnauthorized) && !errors.Is(err, digest.ErrRejected)
}

// attempt sends a call once, with a WS-UsernameToken or without.
func (c *Client) attempt(ctx context.Context, addr string, k call, token bool) error {
	header := ""
	if token {
		if err := c.measure(ctx); err != nil {
			return err
		}
		header = usernameToken(c.cfg.User, c.cfg.Password, c.cfg.Now().Add(c.clock.skew()))
	}
	body, err := envelope(header, k.in)
	if err != nil {
		return err
	}
	r, err := c.send(ctx, message{addr, k.ns + "/" + k.op, body})
	if err != nil {
		return err
	}
	return r.decode(answer{k.op, k.out})
}
