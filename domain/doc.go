// Package domain is the processor of one domain's server: every decision about
// neighbours, devices, sessions and queries, for both roles at once. It knows no
// SIP, no socket and no file.
//
// [Processor.Step] is pure: an event and an instant in, effects out. A session
// spans two peers, so one loop ([Loop]) steps all of it; parsing and I/O happen
// outside, effects are performed outside and come back as events. One seed gives
// one trace.
//
// Guarantees that callers rely on:
//
//   - every InviteIn is finally answered exactly once, every ticket exactly once;
//   - a leg is closed exactly once, by CloseLeg or by MediaEnded;
//   - a channel is never shown to the peer it came from;
//   - one live receiver per channel and profile, however many users;
//   - a peer that is lost takes its sessions along, on both sides.
//
// Steps are named by the ids of docs/conformance.md.
package domain
