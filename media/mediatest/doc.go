// Package mediatest helps to test what stands around a media.Stream: a [Source]
// that delivers what the test pushes, a [Sink] that keeps what it was given, and
// packetizers that make RTP packets of NAL units and audio frames.
//
// Everything waits on channels and timers only, so that it runs in a bubble of
// testing/synctest.
package mediatest
