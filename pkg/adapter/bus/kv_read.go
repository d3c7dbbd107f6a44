package bus

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
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

// subject is that of a key in the bucket's stream; ">" for all keys.
func (b *Bucket[T]) subject(key string) string { return "$KV." + b.name + "." + b.prefix + key }

func (b *Bucket[T]) stream() string { return "KV_" + b.name }

// key of a message, without the prefix.
func (b *Bucket[T]) key(m stored) string { return m.subject[len(b.subject("")):] }

// deleted reports whether a message removes its key's value.
func deleted(m stored) bool {
	op := m.header.Get("KV-Operation")
	return op == "DEL" || op == "PURGE" || m.header.Get("Nats-Marker-Reason") != ""
}

// newestByKey keeps the last message of each key of a scan.
type newestByKey struct {
	at  map[string]int // index in all
	all []stored
}

func (n *newestByKey) add(m stored) {
	if i, ok := n.at[m.subject]; ok {
		n.all[i].subject = "" // superseded
	}
	if n.at == nil {
		n.at = map[string]int{}
	}
	n.at[m.subject] = len(n.all)
	n.all = append(n.all, m)
}

// each calls fn with the messages that are kept, in the order of the stream.
func (n *newestByKey) each(fn func(stored) error) error {
	for _, m := range n.all {
		if m.subject == "" {
			continue
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

// All returns a snapshot of all values, sorted by key. Entries that are Lost are
// among them.
func (b *Bucket[T]) All(ctx context.Context) ([]Entry[T], error) {
	var now newestByKey
	if _, err := b.conn.scan(ctx, b.stream(), b.subject(">"), 1, func(m stored) error { now.add(m); return nil }); err != nil {
		return nil, b.fail("list", "", err)
	}
	var out []Entry[T]
	err := now.each(func(m stored) error {
		entry, err := b.entry(ctx, m)
		if err == nil && !entry.Deleted {
			out = append(out, entry)
		}
		return err
	})
	slices.SortFunc(out, func(x, y Entry[T]) int { return strings.Compare(x.Key, y.Key) })
	return out, err
}

// Keys lists the keys that have a value.
func (b *Bucket[T]) Keys(ctx context.Context) ([]string, error) {
	var now newestByKey
	if _, err := b.conn.scan(ctx, b.stream(), b.subject(">"), 1, func(m stored) error { now.add(m); return nil }); err != nil {
		return nil, b.fail("list", "", err)
	}
	var keys []string
	_ = now.each(func(m stored) error {
		if !deleted(m) {
			keys = append(keys, b.key(m))
		}
		return nil
	})
	return keys, nil
}

// Watch calls fn with every existing value and then with every change, until ctx
// is done (it returns ctx's error) or fn fails (it returns fn's error). synced, if
// not nil, is called once, when fn has had all values that existed at the start.
func (b *Bucket[T]) Watch(ctx context.Context, synced func(), fn func(Entry[T]) error) error {
	entry := func(m stored) error {
		x, err := b.entry(ctx, m)
		if err != nil {
			return err
		}
		if err := fn(x); err != nil {
			return userError{err}
		}
		return nil
	}
	start, started := &newestByKey{}, false
	err := b.conn.follow(ctx, b.stream(), b.subject(">"), 1, func() error {
		started = true
		err := start.each(entry)
		start = nil
		if err == nil && synced != nil {
			synced()
		}
		return err
	}, func(m stored) error {
		if started {
			return entry(m)
		}
		start.add(m)
		return nil
	})
	var user userError
	switch {
	case errors.As(err, &user):
		return user.cause
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return b.fail("watch", "", err)
}

// entry decodes what is stored. An error is one of the bus.
func (b *Bucket[T]) entry(ctx context.Context, m stored) (Entry[T], error) {
	out := Entry[T]{Key: b.key(m), Revision: m.seq, Deleted: deleted(m)}
	if out.Deleted {
		return out, nil
	}
	if out.Value, out.Bad = b.value(m); out.Bad == nil {
		return out, nil
	}
	var err error
	out.Value, out.Lost, err = b.before(ctx, m)
	return out, err
}

// before is what the key of m had before: nothing if that was deleted, or if its
// history has no value that can be read.
func (b *Bucket[T]) before(ctx context.Context, m stored) (v T, lost bool, err error) {
	if b.name == subjects.BucketEpoch { // which keeps none
		return v, true, nil
	}
	var all []stored
	if _, err := b.conn.scan(ctx, b.stream(), m.subject, 1, func(old stored) error { all = append(all, old); return nil }); err != nil {
		return v, true, b.fail("read the history of", b.key(m), err)
	}
	for _, old := range slices.Backward(all) {
		if old.seq >= m.seq {
			continue
		}
		if deleted(old) {
			break
		}
		if v, err := b.value(old); err == nil {
			return v, false, nil
		}
	}
	return v, true, nil
}

// value decodes and checks one value.
func (b *Bucket[T]) value(m stored) (v T, err error) {
	var zero T
	err = json.Unmarshal(m.data, &v)
	if k, ok := any(v).(keyed); ok && err == nil {
		err = k.CheckKey(b.key(m))
	}
	if err != nil {
		x := &cdp.Error{Op: "read", Kind: cdp.Corrupt, Subject: b.name + "/" + b.prefix + b.key(m), Cause: err}
		return zero, x.WithHint("something other than the service that owns it wrote it: have that service write it again")
	}
	return v, nil
}
