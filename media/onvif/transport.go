package onvif

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"districtgateway/media/digest"
)

// Bounds of one exchange.
const (
	maxBody     = 4 << 20 // bytes of a response
	maxPicture  = 8 << 20 // bytes of a snapshot
	maxHeader   = 64 << 10
	maxAttempts = 3 // without an answer, with one, and after a stale nonce
)

// newHTTP returns a client that goes nowhere but where it is told: no proxy, no
// redirects, no transparent decompression.
func newHTTP(cfg Config) *http.Client {
	var rt http.RoundTripper = cfg.Transport
	if rt == nil {
		rt = &http.Transport{
			DialContext:            (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: cfg.Insecure},
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxIdleConns:           2,
			IdleConnTimeout:        30 * time.Second,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		}
	}
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A message is one request on its way: SOAP, which is posted, or with no action the
// GET of a picture.
type message struct {
	url    string
	action string
	body   []byte
}

func (m *message) method() string {
	if m.action == "" {
		return http.MethodGet
	}
	return http.MethodPost
}

// limit is how many bytes the answer may have.
func (m *message) limit() int64 {
	if m.action == "" {
		return maxPicture
	}
	return maxBody
}

// A reply is a response with its body read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send sends m and answers HTTP authentication challenges. A 401 that we cannot
// answer comes back as a reply: the device may want a WS-UsernameToken instead.
// A refused answer is ErrUnauthorized with digest.ErrRejected.
func (c *Client) send(ctx context.Context, m message) (reply, error) {
	u, err := url.Parse(m.url)
	if err != nil {
		return reply{}, fmt.Errorf("service address: %w", err)
	}
	session := c.session(u.Host)
	var r reply
	for range maxAttempts {
		answer, err := session.Answer(m.method(), u.RequestURI(), m.body)
		if err != nil {
			return reply{}, err
		}
		r, err = c.exchange(ctx, m, answer.Header)
		if err != nil || r.status != http.StatusUnauthorized || c.cfg.User == "" {
			return r, err
		}
		switch err := session.Challenge(answer, r.header.Values("WWW-Authenticate")); {
		case errors.Is(err, digest.ErrRejected):
			return reply{}, fmt.Errorf("%w: %w", ErrUnauthorized, err)
		case err != nil:
			return r, nil
		}
	}
	return r, nil
}

// exchange does one exchange within the configured timeout.
func (c *Client) exchange(ctx context.Context, m message, authorization string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, m.method(), m.url, bytes.NewReader(m.body))
	if err != nil {
		return reply{}, err
	}
	if m.action != "" {
		req.Header.Set("Content-Type", `application/soap+xml; charset=utf-8; action="`+m.action+`"`)
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "districtgateway")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	began := c.cfg.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	c.clock.noteDate(resp.Header.Get("Date"), middle(began, c.cfg.Now()))
	return readReply(resp, m.limit())
}

// readReply takes at most limit bytes of what a device sends.
func readReply(resp *http.Response, limit int64) (reply, error) {
	r := reply{status: resp.StatusCode, header: resp.Header}
	if r.status >= 300 && r.status < 400 {
		return r, fmt.Errorf("%w: status %d", ErrRedirect, r.status)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" || resp.Uncompressed {
		return r, ErrEncoding
	}
	if resp.ContentLength > limit {
		return r, ErrTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return r, err
	}
	if int64(len(body)) > limit {
		return r, ErrTooLarge
	}
	r.body = body
	return r, nil
}

// decode reads the response to a call whatever its status: devices send faults
// with 200, 400 and 500.
func (r reply) decode(want answer) error {
	err := decodeEnvelope(r.body, want.op, want.out)
	if f, ok := errors.AsType[*Fault](err); ok {
		if f.unauthorized() || r.status == http.StatusUnauthorized {
			return fmt.Errorf("%w: %w", ErrUnauthorized, f)
		}
		return f
	}
	switch {
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		return fmt.Errorf("%w: status %d", ErrUnauthorized, r.status)
	case r.status < 200 || r.status > 299:
		return fmt.Errorf("%w: status %d", ErrNotONVIF, r.status)
	case err != nil && !errors.Is(err, ErrNotONVIF):
		return fmt.Errorf("%w: %w", ErrNotONVIF, err)
	}
	return err
}
