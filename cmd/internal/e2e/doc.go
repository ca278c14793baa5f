// Package e2e tests the programs against peers that nobody of this project
// wrote: GStreamer's and VLC's RTSP servers, ffmpeg, mpv, Chromium and Wireshark's
// dissectors. `make e2e` runs it; it needs the Debian packages that .ci/packages
// lists and the right to capture on the loopback interface. A program that is
// missing fails the test that needs it.
//
// Everything happens on loopback and is bounded in time; every process a test
// starts is ended by its number.
package e2e
