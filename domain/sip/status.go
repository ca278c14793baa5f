package sip

import (
	"errors"
	"strings"

	"districtgateway/domain"
	"districtgateway/domain/manscdp"
)

// A refusal is what an error is on the wire.
type refusal struct {
	status int
	words  string
	err    error
}

// refusals is the one table between errors and SIP statuses (GB/T 28181-2022
// clause 9, RFC 3261 clause 21). Where two errors share a status the words tell
// them apart, and the first is meant when the words are another's.
func refusals() []refusal {
	return []refusal{
		{403, "Forbidden", domain.ErrDenied},
		{403, "Camera Held", domain.ErrHeld},
		{404, "Not Found", domain.ErrNoChannel},
		{404, "No Recording", domain.ErrNoRecording},
		{408, "Request Timeout", domain.ErrTimeout},
		{410, "Gone", domain.ErrGone},
		{481, "Call/Transaction Does Not Exist", domain.ErrNoDialog},
		{480, "Temporarily Unavailable", domain.ErrOffline},
		{480, "Domain Offline", domain.ErrPeerOffline},
		{486, "Busy Here", domain.ErrBusy},
		{486, "No Memory", domain.ErrNoMemory},
		{488, "Not Acceptable Here", domain.ErrMedia},
		{488, "Control Not Possible", domain.ErrControl},
		{488, "Not Possible", domain.ErrUnable},
		{480, "Media Broke Off", domain.ErrBroken},
	}
}

// statusOf returns the status and the words that err is answered with, and the
// level that refused if another than us.
func statusOf(err error) (status int, words string, level domain.Code) {
	if err == nil {
		return 200, "OK", ""
	}
	if r, ok := errors.AsType[*domain.Refused](err); ok {
		return passOn(r.Status), r.Reason, r.Level
	}
	if se, ok := errors.AsType[*SyntaxError](err); ok {
		return 400, se.Error(), ""
	}
	if se, ok := errors.AsType[*manscdp.SyntaxError](err); ok {
		return 400, se.Error(), ""
	}
	for _, r := range refusals() {
		if errors.Is(err, r.err) {
			return r.status, r.words, ""
		}
	}
	return 500, "Server Internal Error", ""
}

// passOn maps the status that a lower gave to what its upper is told: 4xx and 6xx as
// they are but for those that speak of the hop itself, silence as a timeout.
func passOn(status int) int {
	switch {
	case status == 0 || status == 401 || status == 407 || status == 481 || status == 487:
		return 408
	case status >= 400 && status < 500, status >= 600 && status < 700:
		return status
	}
	return 503
}

// errorOf is the way back: the error that a status with these words stands for,
// nil for success, ErrMedia and the like; a status out of the table is a
// *domain.Refused without a level.
func errorOf(status int, words string) error {
	if status/100 == 2 {
		return nil
	}
	var err error
	for _, r := range refusals() {
		if r.status != status {
			continue
		}
		if strings.EqualFold(r.words, words) {
			return r.err
		}
		if err == nil {
			err = r.err
		}
	}
	if err == nil {
		err = &domain.Refused{Status: status, Reason: words}
	}
	return err
}

// phrase returns the words of RFC 3261 for the statuses that this package gives.
func phrase(status int) string {
	switch status {
	case 100:
		return "Trying"
	case 200:
		return "OK"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 405:
		return "Method Not Allowed"
	case 415:
		return "Unsupported Media Type"
	case 482:
		return "Loop Detected"
	case 487:
		return "Request Terminated"
	case 489:
		return "Bad Event"
	case 491:
		return "Request Pending"
	case 500:
		return "Server Internal Error"
	case 501:
		return "Not Implemented"
	case 503:
		return "Service Unavailable"
	}
	for _, r := range refusals() {
		if r.status == status {
			return r.words
		}
	}
	return "Refused"
}
