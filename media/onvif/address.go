package onvif

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// devicePath is where a device service is when nothing says otherwise
// (ONVIF Core §5.1.2).
const devicePath = "/onvif/device_service"

// parseAddress reads what a person wrote: a host, host:port or the URL of the
// device service. User information in the URL is refused: it would be printed.
func parseAddress(s string) (*url.URL, error) {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, "://") {
		if strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
			s = "[" + s + "]" // a bare IPv6 address
		}
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("address is no URL") // url.Error would repeat a password
	}
	if u.User != nil {
		return nil, errors.New("address contains a user: configure user and password instead")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("address %q: want host, host:port or http(s) URL", s)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = devicePath
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// pin returns the URL a device gave us with its host replaced by the host we
// reach it at: cameras behind NAT, with a factory address or with two networks
// name hosts we cannot reach, and a hostile one could name hosts it wants us to
// reach. Scheme, port, path and query are the device's; user information is
// dropped.
func pin(raw, host string, schemes ...string) (*url.URL, error) {
	if len(raw) > maxText {
		return nil, errors.New("device gave an overlong URL")
	}
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || u.Opaque != "" {
		return nil, fmt.Errorf("device gave %.80q: want a URL with a host", raw)
	}
	for _, s := range schemes {
		if u.Scheme == s {
			u.User = nil
			u.Host = joinHost(host, u.Port())
			return u, nil
		}
	}
	return nil, fmt.Errorf("device gave %.80q: want scheme %s", raw, strings.Join(schemes, ", "))
}

// joinHost writes host and port as a URL does; the port may be empty.
func joinHost(host, port string) string {
	if port != "" {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// pinService pins the address of a service. Where the device's own name for its
// device service (seen) differs from ours (base), a translator stands between:
// then services on the authority the device believes to have go to ours, port
// included.
func pinService(raw string, base, seen *url.URL) (string, error) {
	given, err := url.Parse(strings.TrimSpace(raw))
	if err == nil && seen != nil && given.Host == seen.Host && given.Scheme == seen.Scheme &&
		!strings.EqualFold(given.Hostname(), base.Hostname()) {
		moved, err := pin(raw, base.Hostname(), "http", "https")
		if err != nil {
			return "", err
		}
		moved.Scheme, moved.Host = base.Scheme, base.Host
		return moved.String(), nil
	}
	u, err := pin(raw, base.Hostname(), "http", "https")
	if err != nil {
		return "", err
	}
	return u.String(), nil
}
