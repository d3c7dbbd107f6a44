package capture

import "context"

// newestOrdinal is the last ordinal with writes. Call with mu held.
func (o *order) newestOrdinal() uint64 {
	last := o.out.win.Last()
	if open, n, _ := o.out.win.OpenFrame(); open && n == 0 {
		last--
	}
	return last
}

// arrived asks the journal whether it has every frame up to an ordinal, and none of
// another history. It locks.
func (o *order) arrived(ctx context.Context, last uint64) bool {
	o.mu.Lock()
	base, epoch := o.out.base, o.book.Mark().Epoch
	want := base.No // of what came before it, lost frames aside
	if last >= o.out.from {
		want = o.out.number(last)
	}
	o.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, o.cfg.AskTimeout)
	defer cancel()
	have, err := o.deps.Journal.Cursor(ctx, o.job.Target, o.job.Group)
	here := have.Epoch == epoch || have.No == base.No && have.Hash == base.Hash // see strays
	return err == nil && have.No >= want && here
}

// probe sends an empty frame when there is nothing else on its way: a stream that lost
// what the journal still lacks is noticed only so. It locks.
func (o *order) probe() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if accepts(o.state) && o.out.pending() == 0 && o.fits(0) {
		o.out.win.End(0, o.stamp())
		o.wake.Ring()
	}
}
