package storage

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	commitEvery    = time.Second     // the index is written at most so often
	retentionEvery = 2 * time.Second // limits are looked at so often
	appendBatch    = 1000            // rows in a request
	expireRounds   = 16              // batches deleted before the index is written again
	fullReserve    = 64 << 20        // bytes freed when the disk said that it is full
)

// keep is the loop that keeps the index up to date and the volume within its
// limits. Everything it asks of the child has a deadline.
func (v *Volume) keep(ctx context.Context) {
	commit, limits := time.NewTicker(v.tempo.commit), time.NewTicker(v.tempo.limits)
	defer commit.Stop()
	defer limits.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-v.child.up:
			v.keeper.recover.Store(true)
			v.recover(ctx)
			v.keeper.marked.Store(true)
			v.note(v.retain(ctx))
		case <-commit.C:
			v.note(v.flush(ctx))
			if v.keeper.recover.Load() {
				v.recover(ctx)
			}
		case <-limits.C:
			v.note(v.retain(ctx))
		case <-v.keeper.kick:
			v.note(v.retain(ctx))
		}
	}
}

// note looks at an error of the child: damage means that the index must be made
// anew from the segments.
func (v *Volume) note(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if errors.Is(err, ErrCorrupt) {
		v.keeper.recover.Store(true)
	}
	now := time.Now().UnixNano()
	if last := v.keeper.noted.Load(); now-last >= int64(10*time.Second) && v.keeper.noted.CompareAndSwap(last, now) {
		v.log.Warn("index not up to date", "err", err)
	}
}

// flush gives the index the rows that it has not acknowledged. They are given
// again until it does.
func (v *Volume) flush(ctx context.Context) error {
	k := &v.keeper
	for {
		k.mu.Lock()
		batch := slices.Clone(k.pending[:min(len(k.pending), appendBatch)])
		k.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if _, err := v.child.ask(ctx, opAppend, appendRows(nil, batch)); err != nil {
			return err
		}
		k.mu.Lock()
		k.pending = slices.Delete(k.pending, 0, min(len(batch), len(k.pending)))
		k.mu.Unlock()
	}
}

// recover brings the index in line with the segments, step by step, committing
// rows in between, and then loads the last 24 hours.
func (v *Volume) recover(ctx context.Context) {
	k := &v.keeper
	k.busy.Store(true)
	defer k.busy.Store(false)
	k.recover.Store(false)
	if err := v.reconcile(ctx); err != nil {
		k.recover.Store(true) // the next tick goes on
		v.note(err)
	}
}

func (v *Volume) reconcile(ctx context.Context) error {
	for ctx.Err() == nil {
		b, err := v.child.ask(ctx, opRecover, nil)
		if err != nil {
			return err
		}
		d := decoder{b: b}
		done, found := d.u8() != 0, d.uvarint()
		if done {
			if found > 0 {
				v.log.Info("index recovered", "segments", found)
			}
			break
		}
		v.note(v.flush(ctx))
	}
	return v.load(ctx)
}

// load takes the last 24 hours into memory.
func (v *Volume) load(ctx context.Context) error {
	st, err := v.askStats(ctx)
	if err != nil {
		return err
	}
	since := time.Now().Add(-keepRecent).UnixNano()
	var rows []Segment
	for _, ch := range st.channels {
		r, err := v.askRows(ctx, query{channel: ch, from: since, to: 1<<63 - 1})
		if err != nil {
			return err
		}
		rows = append(rows, r...)
	}
	k := &v.keeper
	k.mu.Lock()
	v.recent.load(since, rows, k.pending)
	k.mu.Unlock()
	select {
	case <-v.ready:
	default:
		close(v.ready)
	}
	return nil
}

func (v *Volume) askStats(ctx context.Context) (indexStats, error) {
	b, err := v.child.ask(ctx, opStats, nil)
	if err != nil {
		return indexStats{}, err
	}
	var known []string
	if before := v.keeper.totals.Load(); before != nil {
		known = before.channels
	}
	st, err := decodeStats(b, known)
	if err == nil {
		v.keeper.totals.Store(&st)
	}
	return st, err
}

// askRows asks the child for all pages of an answer.
func (v *Volume) askRows(ctx context.Context, q query) ([]Segment, error) {
	var rows []Segment
	for {
		b, err := v.child.ask(ctx, opQuery, q.encode())
		if err != nil {
			return nil, err
		}
		d := decoder{b: b}
		more := d.u8() != 0
		page, err := decodeRows(&d)
		if err != nil {
			return nil, err
		}
		rows = append(rows, page...)
		if !more || len(page) == 0 {
			return rows, nil
		}
		q.after = page[len(page)-1].Start
	}
}

// retain deletes what is over the limits, oldest first: marked in the index,
// forgotten here, then removed.
func (v *Volume) retain(ctx context.Context) error {
	now := time.Now()
	v.recent.trim(now.Add(-keepRecent).UnixNano())
	for range expireRounds {
		st, err := v.askStats(ctx)
		if err != nil {
			return err
		}
		rows, err := v.mark(ctx, v.expiry(st, now), st.oldest)
		if err == nil && v.keeper.marked.Load() {
			err = v.purge(ctx)
		}
		if err != nil || len(rows) == 0 {
			return err
		}
	}
	return nil
}

// mark has the child mark what e asks for, and forgets it. Nothing is asked for
// while the oldest segment, begun at oldest, may stay.
func (v *Volume) mark(ctx context.Context, e expiry, oldest int64) ([]Segment, error) {
	if !e.due(oldest) {
		return nil, nil
	}
	v.keeper.marked.Store(true)
	b, err := v.child.ask(ctx, opMark, e.encode())
	if err != nil {
		return nil, err
	}
	rows, err := decodeRows(&decoder{b: b})
	if err != nil {
		return nil, err
	}
	v.recent.remove(rows)
	v.keeper.expired.Add(uint64(len(rows)))
	return rows, nil
}

// purge has the child remove what is marked.
func (v *Volume) purge(ctx context.Context) error {
	for {
		b, err := v.child.ask(ctx, opPurge, nil)
		if err != nil {
			return err
		}
		if len(b) == 0 || b[0] == 0 {
			v.keeper.marked.Store(false)
			return nil
		}
	}
}

// expiry returns what is over the limits. A volume that said that it is full is
// given some room whatever its file system claims.
func (v *Volume) expiry(st indexStats, now time.Time) expiry {
	open, _ := v.recent.open()
	e := expiry{limit: purgeBatch, bytes: v.cfg.MinFree - st.free, cutoffs: make(map[string]int64, len(v.cfg.ChannelDays))}
	if v.cfg.MaxBytes > 0 {
		e.bytes = max(e.bytes, st.bytes+open-v.cfg.MaxBytes)
	}
	if v.keeper.full.Swap(false) {
		e.bytes = max(e.bytes, fullReserve)
	}
	e.cutoff = cutoff(now, v.cfg.Days)
	for ch, days := range v.cfg.ChannelDays {
		e.cutoffs[ch] = cutoff(now, days)
	}
	return e
}

// cutoff returns the instant days before now; 0 for no limit.
func cutoff(now time.Time, days int) int64 {
	if days <= 0 {
		return 0
	}
	return now.AddDate(0, 0, -days).UnixNano()
}
