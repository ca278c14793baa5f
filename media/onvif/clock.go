package onvif

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/use-go/onvif/device"
	"github.com/use-go/onvif/xsd"
	xonvif "github.com/use-go/onvif/xsd/onvif"
)

// A clock remembers how far the device's clock is from ours.
type clock struct {
	mu    sync.Mutex
	known bool
	off   time.Duration // device minus ours
	at    time.Time     // when measured, by our clock
	date  time.Duration // the same by the Date header, less exact
}

func (k *clock) skew() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.off
}

func (k *clock) measured() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known
}

func (k *clock) set(off time.Duration, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.off, k.at = true, off, at
}

func (k *clock) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = false
}

// older reports whether the skew was measured longer than age ago.
func (k *clock) older(now time.Time, age time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known && now.Sub(k.at) > age
}

// noteDate keeps what the Date header says for devices that hide their clock.
func (k *clock) noteDate(header string, at time.Time) {
	t, err := http.ParseTime(header)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.date = t.Sub(at)
}

// fallBack takes the Date header for the clock; without one the skew is 0.
func (k *clock) fallBack(at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known, k.off, k.at = true, k.date, at
}

func middle(a, b time.Time) time.Time { return a.Add(b.Sub(a) / 2) }

// A SystemTime is what a device says about its clock.
type SystemTime struct {
	UTC      time.Time     // whole seconds
	Skew     time.Duration // device minus ours, good to a second and half the round trip
	Zone     string        // POSIX TZ as configured; may be empty
	Daylight bool          // daylight saving time is in use
	NTP      bool          // set by NTP rather than by hand
}

type systemTimeXML struct {
	SystemDateAndTime struct {
		DateTimeType    text
		DaylightSavings truth
		TimeZone        struct{ TZ text }
		UTCDateTime     *dateTimeXML
	}
}

type dateTimeXML struct {
	Time struct{ Hour, Minute, Second number }
	Date struct{ Year, Month, Day number }
}

// utc converts the fields; ok is false if they name no instant of this era.
// Seconds up to 60 are legal (xs:int with a leap second, ONVIF Core).
func (x *dateTimeXML) utc() (t time.Time, ok bool) {
	if x == nil {
		return time.Time{}, false
	}
	y, mo, d := x.Date.Year.count(), x.Date.Month.count(), x.Date.Day.count()
	h, mi, s := x.Time.Hour.count(), x.Time.Minute.count(), x.Time.Second.count()
	if y < 1970 || y > 2199 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || s > 60 {
		return time.Time{}, false
	}
	return time.Date(y, time.Month(mo), d, h, mi, s, 0, time.UTC), true
}

// SystemDateAndTime reads the device's clock (GetSystemDateAndTime, ONVIF Core
// §8.3.5, which needs no user) and keeps the skew for later
// authentication. A device that gives no valid UTC time is an ErrNotONVIF.
func (c *Client) SystemDateAndTime(ctx context.Context) (SystemTime, error) {
	var x systemTimeXML
	k := call{nsDevice, "GetSystemDateAndTime", device.GetSystemDateAndTime{}, &x}
	began := c.cfg.Now()
	err := c.attempt(ctx, c.base.String(), k, false)
	if c.wantsToken(err) { // against the specification, but seen
		c.clock.fallBack(c.cfg.Now())
		began = c.cfg.Now()
		err = c.attempt(ctx, c.base.String(), k, true)
	}
	if err != nil {
		return SystemTime{}, fmt.Errorf("onvif %s %s: %w", k.op, c.base.Host, err)
	}
	ended := c.cfg.Now()
	s := x.SystemDateAndTime
	utc, ok := s.UTCDateTime.utc()
	if !ok {
		return SystemTime{}, fmt.Errorf("onvif %s %s: %w: no valid UTC time", k.op, c.base.Host, ErrNotONVIF)
	}
	skew := utc.Sub(middle(began, ended))
	c.clock.set(skew, ended)
	return SystemTime{utc, skew, string(s.TimeZone.TZ), bool(s.DaylightSavings), s.DateTimeType == "NTP"}, nil
}

// measure makes sure that the skew is known well enough for a token. Only a
// device that cannot be reached is an error.
func (c *Client) measure(ctx context.Context) error {
	if c.clock.measured() {
		return nil
	}
	_, err := c.SystemDateAndTime(ctx)
	if _, fault := errors.AsType[*Fault](err); fault || errors.Is(err, ErrNotONVIF) || errors.Is(err, ErrUnauthorized) {
		c.clock.fallBack(c.cfg.Now())
		return nil
	}
	return err
}

type setTime struct {
	XMLName         string           `xml:"tds:SetSystemDateAndTime"`
	DateTimeType    string           `xml:"tds:DateTimeType"`
	DaylightSavings bool             `xml:"tds:DaylightSavings"`
	TimeZone        *xonvif.TimeZone `xml:"tds:TimeZone"`
	UTCDateTime     xonvif.DateTime  `xml:"tds:UTCDateTime"`
}

// SetSystemDateAndTime sets the device's clock to ours, by hand and in whole
// seconds (ONVIF Core §8.3.6). Zone and daylight saving stay as the device has
// them; a device that used NTP stops using it.
func (c *Client) SetSystemDateAndTime(ctx context.Context) error {
	was, err := c.SystemDateAndTime(ctx)
	if err != nil && !errors.Is(err, ErrNotONVIF) { // a clock never set may be invalid
		return err
	}
	in := setTime{DateTimeType: "Manual", DaylightSavings: was.Daylight, UTCDateTime: wireTime(c.cfg.Now())}
	if was.Zone != "" {
		in.TimeZone = &xonvif.TimeZone{TZ: xsd.Token(was.Zone)}
	}
	err = c.do(ctx, call{nsDevice, "SetSystemDateAndTime", in, nil})
	c.clock.forget()
	return err
}

func wireTime(t time.Time) xonvif.DateTime {
	t = t.UTC()
	return xonvif.DateTime{
		Time: xonvif.Time{Hour: xsd.Int(t.Hour()), Minute: xsd.Int(t.Minute()), Second: xsd.Int(t.Second())},
		Date: xonvif.Date{Year: xsd.Int(t.Year()), Month: xsd.Int(t.Month()), Day: xsd.Int(t.Day())},
	}
}
