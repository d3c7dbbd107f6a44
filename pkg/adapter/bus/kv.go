package bus

import (
	"context"
	"encoding/json"
	"errors"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/cdp"
)

// Bucket is a key-value bucket of values of one type, kept as JSON. Keys have
// the form <prefix>.<name>; the prefix keeps types apart within one bucket.
//
// A value that cannot be read, or that its type's CheckKey refuses, is set aside: what
// the key had before stays in force, as far as the bucket's history has it. It stops
// no reader and hides no other value.
type Bucket[T any] struct {
	conn   *Conn
	kv     jetstream.KeyValue
	name   string
	prefix string
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
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	kv, err := conn.js.KeyValue(ctx, name)
	if err != nil {
		return nil, wrap(err, "open bucket", string(conn.site)+"/"+name)
	}
	return &Bucket[T]{conn: conn, kv: kv, name: name, prefix: prefix + "."}, nil
}

// Get returns the newest value that can be read; NotFound if there is none. If
// there is only one that cannot be read, the error is Corrupt, and the entry has its
// revision, over which it can be replaced.
func (b *Bucket[T]) Get(ctx context.Context, key string) (Entry[T], error) {
	get, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	e, err := b.kv.Get(get, b.prefix+key)
	if err != nil {
		return Entry[T]{}, b.fail("read", key, err)
	}
	x, err := b.entry(ctx, stored{subject: b.subject(key), seq: e.Revision(), data: e.Value()})
	if err == nil && x.Lost {
		err = x.Bad
	}
	return x, err
}

// Put sets the value unconditionally and returns its revision.
func (b *Bucket[T]) Put(ctx context.Context, key string, v T) (uint64, error) {
	return b.write(ctx, key, v, func(ctx context.Context, data []byte) (uint64, error) { return b.kv.Put(ctx, b.prefix+key, data) })
}

// Create sets the value if there is none; else Conflict.
func (b *Bucket[T]) Create(ctx context.Context, key string, v T) (uint64, error) {
	return b.write(ctx, key, v, func(ctx context.Context, data []byte) (uint64, error) { return b.kv.Create(ctx, b.prefix+key, data) })
}

// Update sets the value if revision is still the newest; else Conflict.
func (b *Bucket[T]) Update(ctx context.Context, key string, v T, revision uint64) (uint64, error) {
	return b.write(ctx, key, v, func(ctx context.Context, data []byte) (uint64, error) {
		return b.kv.Update(ctx, b.prefix+key, data, revision)
	})
}

func (b *Bucket[T]) write(ctx context.Context, key string, v T, put func(context.Context, []byte) (uint64, error)) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, &cdp.Error{Op: "write", Kind: cdp.Invalid, Subject: b.name + "/" + b.prefix + key, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	rev, err := put(ctx, data)
	return rev, b.fail("write", key, err)
}

// Delete removes the value; it is no error if there is none. A revision other
// than 0 must still be the newest; else Conflict.
func (b *Bucket[T]) Delete(ctx context.Context, key string, revision uint64) error {
	var opts []jetstream.KVDeleteOpt
	if revision != 0 {
		opts = append(opts, jetstream.LastRevision(revision))
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return b.fail("delete", key, b.kv.Delete(ctx, b.prefix+key, opts...))
}

func (b *Bucket[T]) fail(op, key string, err error) error {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil && js.APIError().ErrorCode == codeWrongLastSequence {
		return &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: b.name + "/" + b.prefix + key, Cause: err}
	}
	return wrap(err, op, b.name+"/"+b.prefix+key)
}
