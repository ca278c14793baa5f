// Package sip is the transceiver: it carries the requests and answers of
// [domain.Processor] over SIP as GB/T 28181 uses it, on UDP and TCP at one
// address, to uppers and lowers alike.
//
// Of sipgo it uses the parser, the transport and the transactions. Dialogs are its
// own, as are digest, SDP and the retransmission of a 200 until its ACK
// (RFC 3261 clause 13.3.1.4), which sipgo leaves to its user.
//
// In front of sipgo's transport stands a gate, on both transports. It mends what
// sloppy peers send (LF-only lines, wrong or missing Content-Length), answers whom
// it does not know without keeping any state (401 to a REGISTER, 403 to the rest),
// and bounds sizes, rates and connections: a transaction, which costs some 4 KB
// for 32 s, exists only for a peer that has proven itself or whose host is known.
//
// Requests are served side by side, but for the commands that move cameras: those of a
// host are told to the processor in the order in which they came.
//
// Nothing here decides: requests become [domain.Event] values, and whatever is
// answered comes from the processor as a [domain.Effect]. Not carried yet, and
// answered so: subscriptions to anything but the catalogue (489), redirection of a
// registration by 302 (told to the processor as a refusal), and commands of MANSCDP that the processor has no event for (200, and a
// response with Result ERROR where the standard wants a response).
package sip
