// Package traffic makes the work that servers are measured by, and counts what
// becomes of it. A [Source] is an encoder for many: servers pull a synthetic clip
// from it by RTSP, or have it published to them. [Sinks] are players: they take the
// streams from the servers again, by RTSP over TCP or UDP, and count every packet and
// picture.
//
// Both run in processes of their own, so that the processor time of a server
// is the server's alone; [Serve] and [Dial] join them to whoever measures.
//
// Each picture ends with a mark: its number, when it was sent and how long it is.
// A sink so knows a picture that is missing or damaged even where a server numbers
// its packets anew, and how long the picture was on its way.
package traffic
