// Package ps multiplexes and demultiplexes the MPEG program stream (ISO/IEC
// 13818-1 §2.5) in the profile of GB/T 28181-2022 Annex C: one picture, or one
// frame of audio, in one pack; H.264, H.265, G.711 and AAC. It is pure and copies
// no payload: both directions deal in ranges of the stream's ring.
//
// # Out
//
// A [Muxer] describes the pack of an access unit as an [Image]: runs of header
// bytes, which the image owns, and ranges of the ring, in the order of the wire.
// A [Cutter] walks an image in RTP payloads. The pack of an access unit depends
// on the access unit and the tracks only, so that a sender which was stopped in
// the middle of one makes the image again and resumes at the same piece.
//
// # In
//
// An [Unpacker] finds the access units in the packets of a unit, wherever the
// packets were cut. It believes the stream about nothing it can check: devices
// send maps with wrong checksums, PES packets without a length, no map at all.
// What is damaged is flagged, never passed for whole. [Read] does the same for a
// program stream that lies in memory as a whole, such as a file.
package ps
