// Package webrtc gives streams to browsers by WebRTC: one [Server] speaks WHEP
// (draft-ietf-wish-whep) and serves a page that plays. Only users with an account
// are admitted, by digest, so that no password crosses in clear.
//
// # What is carried
//
// H.264 and, where the browser offers it, H.265, in packets of our own making
// (RFC 6184, RFC 7798), parameter sets before each key picture; G.711 as it is.
// AAC cannot be carried by WebRTC: such a stream is shown without sound. Pictures
// that are shown in another order than they are sent (B pictures) cannot be
// either, since a browser shows what comes in the order of its coming. Where the
// main stream of a channel does not fit, the sub stream is tried.
//
// # The way of a packet
//
// A viewer is a sink of its stream, see [playout]. The owner copies packets into a
// queue of bounded size, and never waits: while the queue is full the unit stays in
// the ring, and a viewer too far behind goes on at a newer key picture. A goroutine
// of the viewer's own encrypts and sends, since that is slow and allocates. What
// was sent stays in the queue for a while, to be sent again on request (RFC 4585
// §6.2.1), but in the long run no more than is sent anew.
//
// # ICE
//
// The gateway is an ICE-lite agent (RFC 8445 §2.5): it has host candidates only, on
// one port for UDP and TCP, sends nothing before it is asked, and knows no other
// server. By TCP it hears nobody who does not name one of its sessions. What a browser offers is read by [parseOffer], and the library gets a
// description of our own writing, so that nothing of the wire reaches its parser.
//
// # Cameras
//
// Where there are [Cameras], the page has a pad for who may move the one that it
// shows. While something is held down it says so every 400 ms, at /CHANNEL/ptz, and
// once that it is let go; nothing here goes on for it, so that a camera whose viewer
// vanished stands soon. A command is JSON and comes from no page of another site.
package webrtc
