package bus

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// Bucket is a key-value bucket of values of one type, kept as JSON. Keys have
// the form <prefix>.<name>; the prefix keeps types apart within one bucket.
type Bucket[T any] struct {
	kv     jetstream.KeyValue
	name   string
	prefix string
}

// Entry is one value of a bucket.
type Entry[T any] struct {
	Key      string // without the prefix
	Value    T      // the zero value when Deleted
	Revision uint64 // for Update
	Deleted  bool
}

// OpenBucket opens the values under prefix of a bucket of the connection's own
// site. Another site's bucket cannot be opened: only that site's services write it.
// OpenPeerBucket reads its copy.
func OpenBucket[T any](ctx context.Context, conn *Conn, site cdp.Site, bucket, prefix string) (*Bucket[T], error) {
	if site != conn.site {
		return nil, cdp.Errorf(cdp.Invalid, "open bucket", string(site)+"/"+bucket, "a bucket can be written only at its own site").
			WithHint("ask the service of site " + string(site) + " that owns it")
	}
	return openBucket[T](ctx, conn, bucket, prefix)
}

// OpenPeerBucket opens the local copy of a peer's bucket: it can be read and
// watched while the link is down. Nothing may be written through it.
func OpenPeerBucket[T any](ctx context.Context, conn *Conn, peer cdp.Site, bucket, prefix string) (*Bucket[T], error) {
	return openBucket[T](ctx, conn, subjects.PeerBucket(bucket, peer), prefix)
}

func openBucket[T any](ctx context.Context, conn *Conn, name, prefix string) (*Bucket[T], error) {
	kv, err := conn.js.KeyValue(ctx, name)
	if err != nil {
		return nil, wrap(err, "open bucket", string(conn.site)+"/"+name)
	}
	return &Bucket[T]{kv: kv, name: name, prefix: prefix + "."}, nil
}

// Get returns the newest value; NotFound if there is none.
func (b *Bucket[T]) Get(ctx context.Context, key string) (Entry[T], error) {
	e, err := b.kv.Get(ctx, b.prefix+key)
	if err != nil {
		return Entry[T]{}, b.fail("read", key, err)
	}
	return b.entry(e)
}

// Put sets the value unconditionally and returns its revision.
func (b *Bucket[T]) Put(ctx context.Context, key string, v T) (uint64, error) {
	return b.write(key, v, func(data []byte) (uint64, error) { return b.kv.Put(ctx, b.prefix+key, data) })
}

// Create sets the value if there is none; else Conflict.
func (b *Bucket[T]) Create(ctx context.Context, key string, v T) (uint64, error) {
	return b.write(key, v, func(data []byte) (uint64, error) { return b.kv.Create(ctx, b.prefix+key, data) })
}

// Update sets the value if revision is still the newest; else Conflict.
func (b *Bucket[T]) Update(ctx context.Context, key string, v T, revision uint64) (uint64, error) {
	return b.write(key, v, func(data []byte) (uint64, error) { return b.kv.Update(ctx, b.prefix+key, data, revision) })
}

func (b *Bucket[T]) write(key string, v T, put func([]byte) (uint64, error)) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, &cdp.Error{Op: "write", Kind: cdp.Invalid, Subject: b.name + "/" + b.prefix + key, Cause: err}
	}
	rev, err := put(data)
	return rev, b.fail("write", key, err)
}

// Delete removes the value; it is no error if there is none. A revision other
// than 0 must still be the newest; else Conflict.
func (b *Bucket[T]) Delete(ctx context.Context, key string, revision uint64) error {
	var opts []jetstream.KVDeleteOpt
	if revision != 0 {
		opts = append(opts, jetstream.LastRevision(revision))
	}
	return b.fail("delete", key, b.kv.Delete(ctx, b.prefix+key, opts...))
}

// All returns a snapshot of all values, sorted by key.
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
			entry, err := b.entry(e)
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
// not nil, is called once, when fn has had all values that existed at the start. A
// value that is not valid JSON of a T ends the watch with a Corrupt error.
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
			entry, err := b.entry(e)
			if err != nil {
				return err
			}
			if err := fn(entry); err != nil {
				return err
			}
		}
	}
}

func (b *Bucket[T]) entry(e jetstream.KeyValueEntry) (Entry[T], error) {
	out := Entry[T]{Key: e.Key()[len(b.prefix):], Revision: e.Revision(), Deleted: e.Operation() != jetstream.KeyValuePut}
	if out.Deleted {
		return out, nil
	}
	if err := json.Unmarshal(e.Value(), &out.Value); err != nil {
		return out, &cdp.Error{Op: "read", Kind: cdp.Corrupt, Subject: b.name + "/" + e.Key(), Cause: err}
	}
	return out, nil
}

func (b *Bucket[T]) fail(op, key string, err error) error {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil && js.APIError().ErrorCode == codeWrongLastSequence {
		return &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: b.name + "/" + b.prefix + key, Cause: err}
	}
	return wrap(err, op, b.name+"/"+b.prefix+key)
}
