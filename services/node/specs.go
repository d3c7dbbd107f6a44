package node

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// specs are the values of a kind in the spec buckets: what was applied here, and
// the copies of what was applied at the peers, which need no link.
type specs[T any] struct {
	e     *env
	own   *bus.Bucket[T]
	peers []*bus.Bucket[T]
}

func openSpecs[T any](ctx context.Context, e *env, conn *bus.Conn, prefix string) (s specs[T], err error) {
	s.e = e
	if s.own, err = bus.OpenBucket[T](ctx, conn, e.site, subjects.BucketSpec, prefix); err != nil {
		return s, err
	}
	s.peers, err = openCopies[T](ctx, e, conn, subjects.BucketSpec, prefix)
	return s, err
}

// openCopies opens the local copies of all peers' buckets, in the peers' order.
func openCopies[T any](ctx context.Context, e *env, conn *bus.Conn, bucket, prefix string) ([]*bus.Bucket[T], error) {
	var out []*bus.Bucket[T]
	for _, p := range e.peers {
		b, err := bus.OpenPeerBucket[T](ctx, conn, p, bucket, prefix)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// get looks here first, then at what came from the peers: the first that is
// wanted. Names are unique at one site only.
func (s specs[T]) get(ctx context.Context, name string, wanted func(T) bool) (T, error) {
	var none T
	var bad error
	for _, b := range append([]*bus.Bucket[T]{s.own}, s.peers...) {
		x, err := b.Get(ctx, name)
		switch {
		case err == nil && wanted(x.Value):
			return x.Value, nil
		case cdp.Is(err, cdp.Corrupt):
			bad = err // another site may have a good one
		case err != nil && !cdp.Is(err, cdp.NotFound):
			return none, err
		}
	}
	if bad != nil {
		return none, bad
	}
	return none, cdp.Errorf(cdp.NotFound, "find spec", name, "neither %s nor a site linked with it has one", s.e.site)
}

// described takes any description of a site: that of a peer's people, too.
func described(spec.Site) bool { return true }
