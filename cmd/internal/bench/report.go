package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"districtgateway/cmd/internal/table"
)

// A Verdict tells what a figure is worth.
type Verdict string

// Verdicts.
const (
	Kept   Verdict = "kept"
	Missed Verdict = "MISSED"
	Void   Verdict = "VOID" // something was lost, so the figure means nothing
	Told   Verdict = "-"    // there is no bar
)

// A Result is one figure.
type Result struct {
	Name     string             `json:"name"`
	Bar      string             `json:"bar,omitempty"`
	Measured string             `json:"measured"`
	Verdict  Verdict            `json:"verdict"`
	On       string             `json:"on"`                // the arrangement
	Values   map[string]float64 `json:"values"`            // bytes, milliseconds, counts
	Samples  []float64          `json:"samples,omitempty"` // each first picture in milliseconds, or each window
	Load     string             `json:"load_average"`
	Seconds  float64            `json:"seconds"` // that the measurement took
}

// judge compares a figure with its bar, unless something was lost.
func judge(value, bar float64, lost string) Verdict {
	switch {
	case lost != "":
		return Void
	case value <= bar:
		return Kept
	}
	return Missed
}

// A Report is everything that was measured.
type Report struct {
	Machine Machine  `json:"machine"`
	Quick   bool     `json:"quick,omitempty"` // shorter than promised: worth a look only
	Results []Result `json:"results"`
}

func (r Report) print(w io.Writer) {
	if r.Results == nil {
		return
	}
	t := table.Table{Head: []string{"figure", "bar", "measured", "verdict", "load", "on"}}
	for _, x := range r.Results {
		t.Add(x.Name, x.Bar, x.Measured, string(x.Verdict), x.Load, x.On)
	}
	_ = t.Write(w) // a terminal that has gone
	m := r.Machine
	fmt.Fprintf(w, "\n%d cores (%s), %s, %s, %s, load average at the start %s\n", m.Cores, m.Processor, m.System, m.Arch, m.Go, m.Load)
	if r.Quick {
		fmt.Fprintln(w, "quick: fewer pictures and shorter times than promised")
	}
}

// percentile returns the smallest value that p % of the values do not exceed.
// There must be values.
func percentile(values []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// median returns the middle value, of two their mean. There must be values.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func mb(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// join joins what is not empty.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}
