package main

import (
	"bytes"
	"os"
	"runtime"
	"strings"
)

// A Machine is what was measured on.
type Machine struct {
	Cores     int    `json:"cores"`
	Processor string `json:"processor"`
	System    string `json:"system"` // kernel
	Arch      string `json:"arch"`
	Go        string `json:"go"`
	Load      string `json:"load_average"` // at the start: over 1, 5 and 15 minutes
}

func describeMachine() Machine {
	return Machine{
		Cores: runtime.NumCPU(), Processor: processor(), System: line("/proc/sys/kernel/ostype") + " " + line("/proc/sys/kernel/osrelease"),
		Arch: runtime.GOARCH, Go: runtime.Version(), Load: first(line("/proc/loadavg"), 3),
	}
}

// line returns the first line of a file; empty if there is none.
func line(path string) string {
	text, _ := os.ReadFile(path) // absent is empty
	head, _, _ := bytes.Cut(text, []byte("\n"))
	return string(head)
}

// lines returns the lines of a file; none if it is not there.
func lines(path string) []string {
	text, _ := os.ReadFile(path) // absent is empty
	return strings.Split(string(text), "\n")
}

// first returns the first n words of a text.
func first(text string, n int) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(n, len(words))], " ")
}

// loadAverage is that of the last minute.
func loadAverage() string { return first(line("/proc/loadavg"), 1) }

// processor names the model; not every architecture tells it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // absent is empty
	for l := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
