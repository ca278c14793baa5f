// Package sock provides the sockets of the media path: non-blocking sends of
// scattered memory, receives straight into a stream's ring, and a wait that
// another goroutine can end.
//
// A socket belongs to the owner of one stream. Only Wake and Close may be called
// by others; and where a connection carries requests besides media, another
// goroutine may be the one that receives. Nothing here allocates in steady state. Descriptors are never
// stored: every system call runs inside the runtime's control of the descriptor
// ([syscall.RawConn]), so that a closed socket cannot hit a reused number.
package sock
