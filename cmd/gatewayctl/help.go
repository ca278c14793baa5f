package main

import (
	"fmt"
	"strings"
)

const generalOptions = `    --socket PATH   Unix socket of the daemon (environment DISTRICTGATEWAY_SOCKET,
                    else /var/lib/districtgateway/control.sock)
    --json          answer as JSON, for machines
    --timeout D     give up after D without an answer (30s)
`

const exitStatuses = `    0  done
    1  failed or refused; the reason is on standard error, as
       "gatewayctl: WHAT: CAUSE", and names the server that refused
    2  wrong command line
`

const times = `
TIMES
    RFC 3339        2026-03-01T08:00:00+08:00
    local           "2026-03-01 08:00", with seconds or a T if you like;
                    2026-03-01 is its first instant
    today           08:00 or 08:00:30
    relative        now, -10m, -1h30m, -2d; as TO also +5m, after FROM
`

// help returns the manual of a verb, or the overview if v is nil.
func (c *call) help(v *verb) string {
	if v == nil {
		return overview()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "NAME\n    gatewayctl %s - %s\n\n", v.name, v.summary)
	fmt.Fprintf(&b, "SYNOPSIS\n    gatewayctl [OPTIONS] %s\n\n", strings.TrimSpace(v.name+" "+v.args))
	fmt.Fprintf(&b, "DESCRIPTION\n%s", indent(v.about))
	if strings.Contains(v.args, "FROM") {
		b.WriteString(times)
	}
	fmt.Fprintf(&b, "\nOPTIONS\n%s%s", indent(v.options), generalOptions)
	fmt.Fprintf(&b, "\nEXIT STATUS\n%s", exitStatuses)
	fmt.Fprintf(&b, "\nEXAMPLES\n%s", indent(v.example))
	return b.String()
}

func overview() string {
	var b strings.Builder
	b.WriteString("NAME\n    gatewayctl - look into a video gateway and steer it\n\n")
	b.WriteString("SYNOPSIS\n    gatewayctl [OPTIONS] VERB [ARGUMENTS]\n    gatewayctl help VERB\n\nVERBS\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "    %-44s %s\n", strings.TrimSpace(v.name+" "+v.args), v.summary)
	}
	fmt.Fprintf(&b, "\n    CHANNEL, CODE and PEER are 20-digit codes. Options may stand anywhere.\n")
	fmt.Fprintf(&b, "\nOPTIONS\n%s\nEXIT STATUS\n%s", generalOptions, exitStatuses)
	return b.String()
}

// indent shifts the lines of a text.
func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
