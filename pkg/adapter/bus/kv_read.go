package bus

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// Entry is one value of a bucket.
type Entry[T any] struct {
	Key      string // without the prefix
	Value    T      // the zero value when Deleted or Lost
	Revision uint64 // the newest one of the key, for Update
	Deleted  bool
	// Bad is why the newest value was set aside; nil: it was not. Value is then an
	// older one, or Lost is set: there is none that can be read.
	Bad  error
	Lost bool
}

// keyed is a type that knows whether a value may be stored under a key.
type keyed interface{ CheckKey(key string) error }

// All returns a snapshot of all values, sorted by key. Entries that are Lost are
// among them.
func (b *Bucket[T]) All(ctx context.Context) ([]Entry[T], error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := b.kv.Watch(ctx, b.prefix+">", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, b.fail("list", "", err)
	}
	defer func() { _ = w.Stop() }()
	var out []Entry[T]
	for {
		select {
		case <-ctx.Done():
			return nil, b.fail("list", "", ctx.Err())
		case e, ok := <-w.Updates():
			if !ok {
				return nil, cdp.Errorf(cdp.Transient, "list", b.name, "the connection was lost")
			}
			if e == nil {
				slices.SortFunc(out, func(x, y Entry[T]) int { return strings.Compare(x.Key, y.Key) })
				return out, nil
			}
			entry, err := b.entry(ctx, e)
			if err != nil {
				return nil, err
			}
			out = append(out, entry)
		}
	}
}

// Keys lists the keys that have a value.
func (b *Bucket[T]) Keys(ctx context.Context) ([]string, error) {
	l, err := b.kv.ListKeysFiltered(ctx, b.prefix+">")
	if err != nil {
		return nil, b.fail("list", "", err)
	}
	defer l.Stop()
	var keys []string
	for k := range l.Keys() {
		keys = append(keys, k[len(b.prefix):])
	}
	return keys, ctx.Err()
}

// Watch calls fn with every existing value and then with every change, until ctx
// is done (it returns ctx's error) or fn fails (it returns fn's error). synced, if
// not nil, is called once, when fn has had all values that existed at the start.
func (b *Bucket[T]) Watch(ctx context.Context, synced func(), fn func(Entry[T]) error) error {
	w, err := b.kv.Watch(ctx, b.prefix+">")
	if err != nil {
		return b.fail("watch", "", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-w.Updates():
			switch {
			case !ok && ctx.Err() != nil:
				return ctx.Err()
			case !ok:
				return cdp.Errorf(cdp.Transient, "watch", b.name, "the watch ended")
			case e == nil:
				if synced != nil {
					synced()
				}
				continue
			}
			entry, err := b.entry(ctx, e)
			if err != nil {
				return err
			}
			if err := fn(entry); err != nil {
				return err
			}
		}
	}
}

// entry decodes what is stored. An error is one of the bus.
func (b *Bucket[T]) entry(ctx context.Context, e jetstream.KeyValueEntry) (Entry[T], error) {
	out := Entry[T]{Key: e.Key()[len(b.prefix):], Revision: e.Revision(), Deleted: e.Operation() != jetstream.KeyValuePut}
	if out.Deleted {
		return out, nil
	}
	if out.Value, out.Bad = b.value(e); out.Bad == nil {
		return out, nil
	}
	var err error
	out.Value, out.Lost, err = b.before(ctx, e)
	return out, err
}

// before is what the key of e had before: nothing if that was deleted, or if its
// history has no value that can be read.
func (b *Bucket[T]) before(ctx context.Context, e jetstream.KeyValueEntry) (v T, lost bool, err error) {
	all, err := b.kv.History(ctx, e.Key())
	if err != nil {
		return v, true, b.fail("read the history of", e.Key()[len(b.prefix):], err)
	}
	for _, old := range slices.Backward(all) {
		if old.Revision() >= e.Revision() {
			continue
		}
		if old.Operation() != jetstream.KeyValuePut {
			break
		}
		if v, err := b.value(old); err == nil {
			return v, false, nil
		}
	}
	return v, true, nil
}

// value decodes and checks one value.
func (b *Bucket[T]) value(e jetstream.KeyValueEntry) (v T, err error) {
	var zero T
	err = json.Unmarshal(e.Value(), &v)
	if k, ok := any(v).(keyed); ok && err == nil {
		err = k.CheckKey(e.Key()[len(b.prefix):])
	}
	if err != nil {
		x := &cdp.Error{Op: "read", Kind: cdp.Corrupt, Subject: b.name + "/" + e.Key(), Cause: err}
		return zero, x.WithHint("something other than the service that owns it wrote it: have that service write it again")
	}
	return v, nil
}
