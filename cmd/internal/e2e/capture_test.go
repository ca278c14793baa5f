//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A capture is the traffic of some ports of loopback, as it was on the wire.
type capture struct {
	process *process
	file    string
	marker  *net.UDPConn // a datagram to this port is captured too
}

// endMark is sent when everything that is to be captured has been sent.
const endMark = "-- the end of the capture --"

// capturing starts to capture what a filter in the language of pcap-filter(7) lets
// through.
func capturing(t *testing.T, filter string) *capture {
	t.Helper()
	marker, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { marker.Close() })
	c := &capture{file: filepath.Join(t.TempDir(), "wire.pcapng"), marker: marker}
	filter = fmt.Sprintf("(%s) or udp dst port %d", filter, marker.LocalAddr().(*net.UDPAddr).Port)
	c.process = start(t, tool(t, "dumpcap"), "-i", "lo", "-f", filter, "-B", "16", "-w", c.file)
	c.process.says("File: ") // from here on it captures
	return c
}

// end ends the capture once all that was sent before is in the file. It must have
// lost nothing.
func (c *capture) end(t *testing.T) {
	t.Helper()
	if _, err := c.marker.WriteTo([]byte(endMark), c.marker.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	until(t, 20*time.Second, "the capture is complete", func() bool {
		b, err := os.ReadFile(c.file)
		return err == nil && bytes.Contains(b, []byte(endMark))
	})
	c.process.stop(os.Interrupt)
	report := c.process.says("Packets received/dropped on interface")
	t.Logf("captured: %s", report)
	if !strings.Contains(report, "/0 (pcap:0/dumpcap:0") {
		t.Errorf("the capture is not whole: %s", report)
	}
}

// read has tshark read the capture; args choose packets and what to print of them,
// a line each.
func (c *capture) read(t *testing.T, args ...string) []string {
	t.Helper()
	out, _ := run(t, "tshark", append([]string{"-n", "-r", c.file}, args...)...)
	return lines(out)
}

// lines splits a program's output.
func lines(out string) []string {
	if out = strings.TrimSpace(out); out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

// sound wants nothing malformed in the capture and no expert error.
func (c *capture) sound(t *testing.T, decode ...string) {
	t.Helper()
	bad := c.faults(t, decode...)
	t.Logf("%d packets, %d malformed or in error", len(c.read(t, decode...)), len(bad))
	for _, line := range bad[:min(len(bad), 5)] {
		t.Errorf("malformed: %s", line)
	}
}

// faults returns what is malformed in the capture or an error to the expert.
func (c *capture) faults(t *testing.T, decode ...string) []string {
	t.Helper()
	return c.read(t, append(decode, "-Y", "_ws.malformed || _ws.expert.severity >= 0x800000")...)
}

// decodeAs tells tshark what a range of ports carries.
func decodeAs(transport string, low, high uint16, as string) []string {
	return []string{"-d", fmt.Sprintf("%s.port==%d-%d,%s", transport, low, high, as)}
}
