package main

import (
	"strings"
	"testing"
	"time"

	"districtgateway/cmd/internal/api"
)

func TestTimelineShowsWhatIsRecorded(t *testing.T) {
	at := func(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }
	for name, tc := range map[string]struct {
		items []api.Recording
		want  string
	}{
		"nothing":              {nil, strings.Repeat(".", 60)},
		"everything":           {[]api.Recording{{From: at(-5), To: at(90)}}, strings.Repeat("=", 60)},
		"a hole":               {[]api.Recording{{From: at(0), To: at(10)}, {From: at(10), To: at(20), Gap: "encoder"}, {From: at(20), To: at(60)}}, strings.Repeat("=", 10) + strings.Repeat(".", 10) + strings.Repeat("=", 40)},
		"half a cell":          {[]api.Recording{{From: at(1.5), To: at(2)}}, ".-" + strings.Repeat(".", 58)},
		"milliseconds missing": {[]api.Recording{{From: at(0), To: at(29.999)}, {From: at(30), To: at(60)}}, strings.Repeat("=", 60)},
		"an alarm":             {[]api.Recording{{From: at(0), To: at(60)}, {From: at(3.2), To: at(3.4), Kind: "alarm"}}, "===A" + strings.Repeat("=", 56)},
		"outside":              {[]api.Recording{{From: at(-9), To: at(0)}, {From: at(60), To: at(61)}}, strings.Repeat(".", 60)},
	} {
		if got := timeline(tc.items, at(0), at(60)); got != tc.want {
			t.Errorf("%s:\n%s\n%s", name, got, tc.want)
		}
	}
	if got := timeline([]api.Recording{{From: at(0), To: at(1)}}, at(0), at(0).Add(3)); len(got) != timelineCells {
		t.Errorf("a range of 3 ns: %q", got)
	}
}
