package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
)

// ServeConfig configures the volume's child process.
type ServeConfig struct {
	Log *slog.Logger // nil: discard
}

// ServeVolume is the life of a volume's child process: it owns every index file of
// the volume and answers its parent over conn until the parent closes it. The
// parent is [Volume]; what is served it says in its first request. It returns nil
// when conn was closed.
func ServeVolume(conn io.ReadWriteCloser, cfg ServeConfig) error {
	defer conn.Close()
	debug.SetPanicOnFault(true) // this goroutine reads mapped files: a bad disk must not be the end
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{log: cfg.Log}
	defer s.close()
	for {
		f, err := readFrame(conn)
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) { // the parent closed it, or is gone
			return nil
		}
		if err != nil {
			return fmt.Errorf("volume child: %w", err)
		}
		body, err := s.answer(op(f.code), f.body)
		status, text := statusOf(err)
		if err != nil {
			body = text
		}
		if err := writeFrame(conn, frame{f.number, status, body}); err != nil {
			return fmt.Errorf("volume child: %w", err)
		}
	}
}

// A server is the child's side of the protocol.
type server struct {
	index    *index
	recovery *recovery
	log      *slog.Logger
}

func (s *server) close() {
	if s.index == nil {
		return
	}
	if err := guard(s.index.close); err != nil {
		s.log.Error("index not closed cleanly", "err", err)
	}
}

// answer carries out one request. A month whose index turns out to be damaged is
// set aside, to be made again by the recovery that the parent then asks for.
func (s *server) answer(o op, body []byte) (out []byte, err error) {
	if s.index == nil && o != opHello {
		return nil, errors.New("no hello yet")
	}
	err = guard(func() error {
		out, err = s.dispatch(o, body)
		return err
	})
	var bad *monthError
	if errors.As(err, &bad) && errors.Is(err, ErrCorrupt) {
		s.log.Error("index set aside", "month", bad.month, "err", err)
		s.recovery = nil
		err = errors.Join(err, guard(func() error { return s.index.setAside(bad.month, 0) }))
	}
	return out, err
}

func (s *server) dispatch(o op, body []byte) ([]byte, error) {
	switch o {
	case opHello:
		return nil, s.hello(body)
	case opRecover:
		return s.recover()
	case opAppend:
		rows, err := decodeRows(&decoder{b: body})
		if err != nil {
			return nil, err
		}
		return nil, s.index.put(rows)
	case opQuery:
		return s.query(body)
	case opStats:
		st, err := s.index.stats()
		return st.encode(), err
	case opMark:
		e, err := decodeExpiry(body)
		if err != nil {
			return nil, err
		}
		rows, err := s.index.mark(e)
		return appendRows(nil, rows), err
	case opPurge:
		more, err := s.index.purge()
		return appendBool(nil, more), err
	case opRebuild:
		return nil, s.rebuild()
	case opCheck:
		return s.check(body)
	}
	return nil, fmt.Errorf("unknown operation %d", o)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func (s *server) hello(body []byte) error {
	h, err := decodeHello(body)
	if err != nil {
		return err
	}
	if s.index != nil {
		return errors.New("second hello")
	}
	id, err := ReadIdentity(h.dir)
	if err != nil {
		return err
	}
	if id.Volume != h.volume.String() {
		return fmt.Errorf("%s holds volume %s: %w", h.dir, id.Volume, ErrWrongVolume)
	}
	s.index, err = openIndex(h, s.log)
	return err
}

// recover does a step of the recovery, planning it first. A later request after it
// is done begins anew.
func (s *server) recover() ([]byte, error) {
	if s.recovery == nil {
		r, err := newRecovery(s.index)
		if err != nil {
			return nil, err
		}
		s.recovery = r
	}
	done, err := s.recovery.step(time.Now().Add(stepTime))
	found := s.recovery.found
	if done || err != nil {
		s.recovery = nil
	}
	return binary.AppendUvarint(appendBool(nil, done), uint64(found)), err
}

func (s *server) query(body []byte) ([]byte, error) {
	q, err := decodeQuery(body)
	if err != nil {
		return nil, err
	}
	rows, more, err := s.index.query(q)
	return appendRows(appendBool(nil, more), rows), err
}

// rebuild sets every index file aside.
func (s *server) rebuild() error {
	s.recovery = nil
	for name := range s.index.months {
		if err := s.index.setAside(name, 0); err != nil {
			return err
		}
	}
	return nil
}

// heldMemory returns the bytes of objects that the last collection of garbage found in
// use, and of goroutines' stacks.
func heldMemory() int64 {
	samples := [...]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples[:])
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}

func (s *indexStats) encode() []byte {
	var b []byte
	for _, v := range []int64{s.bytes, s.segments, s.free, s.space, s.oldest, s.held} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	b = binary.AppendUvarint(b, uint64(len(s.channels)))
	for _, c := range s.channels {
		b = appendStr(b, c)
	}
	return b
}

// decodeStats takes the names of channels from known where they are the same: the
// parent asks every other second.
func decodeStats(b []byte, known []string) (indexStats, error) {
	d := decoder{b: b}
	s := indexStats{bytes: int64(d.u64()), segments: int64(d.u64()), free: int64(d.u64()), space: int64(d.u64()), oldest: int64(d.u64()), held: int64(d.u64())}
	n := int(min(d.uvarint(), uint64(len(b))))
	s.channels = make([]string, 0, n)
	for i := range n {
		if name := d.blob(64); i < len(known) && known[i] == string(name) {
			s.channels = append(s.channels, known[i])
		} else {
			s.channels = append(s.channels, string(name))
		}
	}
	return s, d.err("totals")
}

// A checkReport sums up the check of some segments.
type checkReport struct {
	channel  string // where to go on; empty: everything was checked
	start    int64
	segments uint64
	bytes    uint64
	bad      []Segment
}

func (c *checkReport) encode() []byte {
	b := binary.BigEndian.AppendUint64(appendStr(nil, c.channel), uint64(c.start))
	b = binary.AppendUvarint(binary.AppendUvarint(b, c.segments), c.bytes)
	return appendRows(b, c.bad)
}

func decodeCheck(b []byte) (checkReport, error) {
	d := decoder{b: b}
	c := checkReport{channel: d.str(64), start: int64(d.u64()), segments: d.uvarint(), bytes: d.uvarint()}
	if err := d.err("check report"); err != nil {
		return c, err
	}
	var err error
	c.bad, err = decodeRows(&d)
	return c, err
}

// check verifies segments against their rows and checksums, from a position on.
func (s *server) check(body []byte) ([]byte, error) {
	at, err := decodeCheck(body)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(stepTime)
	rep := checkReport{}
	var buf []byte
	for _, ch := range s.index.channels() {
		if ch < at.channel {
			continue
		}
		from := int64(0)
		if ch == at.channel {
			from = at.start
		}
		err := s.index.each(ch, from, 1<<62, func(row Segment) bool {
			if time.Now().After(until) {
				rep.channel, rep.start = ch, row.Start
				return false
			}
			rep.verify(filepath.Join(s.index.dir, row.Path()), row, &buf)
			return true
		})
		if err != nil || rep.channel != "" {
			return rep.encode(), err
		}
	}
	return rep.encode(), nil
}

// verify reads all of a finished segment.
func (c *checkReport) verify(name string, row Segment, buf *[]byte) {
	if row.Flags&(SegmentOpen|segmentDeleted) != 0 {
		return
	}
	c.segments++
	c.bytes += uint64(row.Bytes)
	if !intact(name, row, buf) {
		c.bad = append(c.bad, row)
	}
}

func intact(name string, row Segment, buf *[]byte) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	h, err := readHeader(f, row.Bytes, buf)
	if err != nil || h.channel != row.Channel || h.start != row.Start {
		return false
	}
	c, err := scanFragments(f, row.Bytes, h, buf)
	return err == nil && !c.holed && c.tally.crc == row.CRC
}
