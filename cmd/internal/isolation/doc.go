// Package isolation is one stream with consumers of every kind over real sockets,
// and ways to hurt one of them: the others must not notice. Its tests hold the laws,
// and the bench measures the delay.
//
//	                   +-> rtsp.Server ---- TCP, UDP ----> Witness, Witness
//	source -> Stream --+-> relay.Sender --- TCP, UDP ----> Witness, Witness
//	                   +-> storage.Recorder -> volume
//	                   +-> the victim of a Fault
//
// Each picture carries its number and the instant it was pushed into the stream
// (package counter). A Witness is a gateway's own receiving end: it tallies what was
// lost, doubled or out of order, and how old each picture was when it was whole.
package isolation
