package api

import (
	"context"
	"encoding/json"
	"time"
)

// What a PTZ does. Each takes Hold, too, unless it says otherwise.
const (
	PTZMove         = "move"          // Pan, Tilt and Zoom, for the time For
	PTZLens         = "lens"          // Focus and Iris, for the time For
	PTZStop         = "stop"          // every movement ends, a cruise or scan, too; no Hold
	PTZLensStop     = "lens-stop"     // focus and iris stand still; no Hold
	PTZPreset       = "preset"        // goes to preset Number
	PTZPresetSet    = "preset-set"    // keeps where it is as preset Number
	PTZPresetDelete = "preset-delete" // forgets preset Number
	PTZCruise       = "cruise"        // starts cruise Number
	PTZCruiseAdd    = "cruise-add"    // appends Preset to cruise Number
	PTZCruiseDelete = "cruise-delete" // removes Preset from cruise Number; without one the whole cruise
	PTZCruiseSpeed  = "cruise-speed"  // Speed of cruise Number
	PTZCruiseDwell  = "cruise-dwell"  // Dwell at each preset of cruise Number
	PTZScan         = "scan"          // starts scan Number
	PTZScanLeft     = "scan-left"     // keeps where it is as the left edge of scan Number
	PTZScanRight    = "scan-right"    // the right edge
	PTZScanSpeed    = "scan-speed"    // Speed of scan Number
	PTZAuxOn        = "aux-on"        // auxiliary switch Number; 1 is the wiper
	PTZAuxOff       = "aux-off"
	PTZHold         = "hold"    // nobody else of the same rank moves it for the time Hold
	PTZRelease      = "release" // ends that; no Hold
)

// Bounds of a PTZ.
const (
	DefaultMove = time.Second // of For
	MostMove    = 30 * time.Second
	MostHold    = 10 * time.Minute
	MostRank    = 99
)

// A PTZ is one command to a camera. What an action does not take must not be there.
type PTZ struct {
	Action string `json:"action"`
	Pan    int    `json:"pan,omitempty"`           // percent of full speed: to the left below 0, to the right above
	Tilt   int    `json:"tilt,omitempty"`          // down below 0, up above
	Zoom   int    `json:"zoom,omitempty"`          // out below 0, in above
	Focus  int    `json:"focus,omitempty"`         // near below 0, far above
	Iris   int    `json:"iris,omitempty"`          // closes below 0, opens above
	Number int    `json:"number,omitempty"`        // of a preset: 1 to 255; of a cruise, scan or switch: 0 to 255
	Preset int    `json:"preset,omitempty"`        // 1 to 255
	Speed  int    `json:"speed,omitempty"`         // as the camera understands it: 1 to 4095
	Dwell  int    `json:"dwell_seconds,omitempty"` // 1 to 4095
	For    string `json:"for,omitempty"`           // such as 2s: how long to move; DefaultMove without a word, MostMove at most
	User   string `json:"user"`                    // who moves it: what one user holds, another may not move
	Rank   int    `json:"rank,omitempty"`          // among the users of this level, up to MostRank: the one with more takes over
	Hold   string `json:"hold,omitempty"`          // such as 60s, MostHold at most
}

// PTZDone answers PathPTZ: the command that was obeyed, with what was not said filled in.
type PTZDone struct {
	Channel string `json:"channel"`
	PTZ
}

// PTZ has a camera do something, and returns when it has. A movement takes as long as
// it says, and ends when ctx does.
func (c *Client) PTZ(ctx context.Context, channel string, in PTZ) (done PTZDone, err error) {
	body, _ := json.Marshal(in) // plain values: cannot fail
	return done, c.Post(ctx, PathPTZ+channel, body, &done)
}
