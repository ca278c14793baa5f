package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The protocol between the parent and the volume's child: frames of a length (4
// bytes), a number (4) by which a late answer is told from the right one, an
// operation or status (1), and a body. Big-endian. The child answers in order.
type op uint8

const (
	opHello   op = iota + 1 // body: hello → empty
	opRecover               // body: empty → done (1 byte), segments put in order so far
	opAppend                // body: rows → empty, when committed
	opQuery                 // body: query → more (1 byte), rows
	opStats                 // body: empty → totals
	opMark                  // body: expiry → rows marked for deletion
	opPurge                 // body: empty → more (1 byte); removes what is marked
	opRebuild               // body: empty → empty: sets the index aside; opRecover makes a new one
	opCheck                 // body: position → check report
)

const (
	statusOK uint8 = iota
	statusFailed
	statusCorrupt
	statusFull
	statusWrong
)

const (
	protoVersion = 1
	maxFrame     = 4 << 20
	frameHead    = 9
)

// A frame is one message.
type frame struct {
	number uint32
	code   uint8 // op or status
	body   []byte
}

// writeFrame writes f in one call.
func writeFrame(w io.Writer, f frame) error {
	b := make([]byte, 0, frameHead+len(f.body))
	b = binary.BigEndian.AppendUint32(b, uint32(5+len(f.body)))
	b = binary.BigEndian.AppendUint32(b, f.number)
	b = append(append(b, f.code), f.body...)
	_, err := w.Write(b)
	return err
}

// readFrame reads one message; io.EOF between two.
func readFrame(r io.Reader) (frame, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 5 || n > maxFrame {
		return frame{}, &SyntaxError{0, "a frame of at most 4 MiB"}
	}
	f := frame{number: binary.BigEndian.Uint32(head[4:]), code: head[8], body: make([]byte, n-5)}
	if _, err := io.ReadFull(r, f.body); err != nil {
		return frame{}, errors.Join(io.ErrUnexpectedEOF, err)
	}
	return f, nil
}

// statusOf and errorOf carry errors across.
func statusOf(err error) (uint8, []byte) {
	switch {
	case err == nil:
		return statusOK, nil
	case errors.Is(err, ErrCorrupt):
		return statusCorrupt, []byte(err.Error())
	case errors.Is(err, ErrFull):
		return statusFull, []byte(err.Error())
	case errors.Is(err, ErrWrongVolume):
		return statusWrong, []byte(err.Error())
	}
	return statusFailed, []byte(err.Error())
}

func errorOf(f frame) error {
	kinds := map[uint8]error{statusCorrupt: ErrCorrupt, statusFull: ErrFull, statusWrong: ErrWrongVolume}
	if kind := kinds[f.code]; kind != nil {
		return fmt.Errorf("%w (%s)", kind, f.body)
	}
	return errors.New(string(f.body))
}

// A hello tells the child whom it serves.
type hello struct {
	dir        string
	volume     VolumeID
	session    uint64
	indexBytes int64 // size at which an index file is continued in a new one
}

func (h *hello) encode() []byte {
	b := append([]byte{protoVersion}, h.volume[:]...)
	b = binary.BigEndian.AppendUint64(b, h.session)
	b = binary.BigEndian.AppendUint64(b, uint64(h.indexBytes))
	return appendStr(b, h.dir)
}

func decodeHello(b []byte) (hello, error) {
	d := decoder{b: b}
	if d.u8() != protoVersion {
		return hello{}, &SyntaxError{0, "protocol version 1"}
	}
	h := hello{volume: d.volume(), session: d.u64(), indexBytes: int64(d.u64()), dir: d.str(4096)}
	return h, d.err("hello")
}

// A query asks for the segments of channel that reach into [from, to), in order of
// start, and for the one before and the one after them.
type query struct {
	channel  string
	from, to int64
	after    int64 // only segments that start after this instant; for the next page
}

func (q *query) encode() []byte {
	b := appendStr(nil, q.channel)
	b = binary.BigEndian.AppendUint64(b, uint64(q.from))
	b = binary.BigEndian.AppendUint64(b, uint64(q.to))
	return binary.BigEndian.AppendUint64(b, uint64(q.after))
}

func decodeQuery(b []byte) (query, error) {
	d := decoder{b: b}
	q := query{channel: d.str(64), from: int64(d.u64()), to: int64(d.u64()), after: int64(d.u64())}
	return q, d.err("query")
}

// appendRows appends rows with their channels.
func appendRows(b []byte, rows []Segment) []byte {
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for i := range rows {
		b = appendStr(b, rows[i].Channel)
		b = binary.BigEndian.AppendUint64(b, uint64(rows[i].Start))
		b = appendBlob(b, appendRow(nil, &rows[i]))
	}
	return b
}

func decodeRows(d *decoder) ([]Segment, error) {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		return nil, &SyntaxError{int64(d.off), "rows that fit"}
	}
	rows := make([]Segment, 0, n)
	for range n {
		channel, key, row := d.str(64), d.take(8), d.blob(4096)
		if d.bad {
			return nil, d.err("a row")
		}
		s, err := parseRow(channel, key, row)
		if err != nil {
			return nil, err
		}
		rows = append(rows, s)
	}
	return rows, nil
}

// An expiry asks the child to mark the oldest segments for deletion: all that
// ended before their channel's cutoff, and then the oldest until bytes are found;
// at most limit.
type expiry struct {
	bytes   int64
	limit   uint32
	cutoff  int64 // for channels not listed; 0: none
	cutoffs map[string]int64
}

func (e *expiry) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(e.bytes))
	b = binary.BigEndian.AppendUint32(b, e.limit)
	b = binary.BigEndian.AppendUint64(b, uint64(e.cutoff))
	b = binary.AppendUvarint(b, uint64(len(e.cutoffs)))
	for channel, at := range e.cutoffs {
		b = binary.BigEndian.AppendUint64(appendStr(b, channel), uint64(at))
	}
	return b
}

func decodeExpiry(b []byte) (expiry, error) {
	d := decoder{b: b}
	e := expiry{bytes: int64(d.u64()), limit: d.u32(), cutoff: int64(d.u64()), cutoffs: map[string]int64{}}
	for range min(d.uvarint(), uint64(len(b))) {
		channel := d.str(64)
		e.cutoffs[channel] = int64(d.u64())
	}
	return e, d.err("expiry")
}

// due reports whether anything is asked for, where the oldest segment began at
// oldest; 0: there is none.
func (e *expiry) due(oldest int64) bool {
	latest := e.cutoff
	for _, at := range e.cutoffs {
		latest = max(latest, at)
	}
	return e.bytes > 0 || oldest > 0 && oldest < latest
}

func (e *expiry) cutoffOf(channel string) int64 {
	if at, ok := e.cutoffs[channel]; ok {
		return at
	}
	return e.cutoff
}
