package client

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// Peers are the sites that the site of conn is linked with, as it says itself.
// None if it has never been set up.
func Peers(ctx context.Context, conn *bus.Conn) ([]cdp.Site, error) {
	b, err := bus.OpenBucket[api.SiteLinks](ctx, conn, conn.Site(), subjects.BucketState, subjects.KeyLinks)
	if err != nil {
		return nil, err
	}
	x, err := b.Get(ctx, string(conn.Site()))
	if cdp.Is(err, cdp.NotFound) {
		return []cdp.Site{}, nil
	}
	return x.Value.Peers, err
}

// peerSpecs are the documents of a kind that were applied at a linked site, as far as
// they have been copied here.
func peerSpecs[T any](ctx context.Context, c *Client, peer cdp.Site, key string) ([]T, error) {
	b, err := bus.OpenPeerBucket[T](ctx, c.conn, peer, subjects.BucketSpec, key)
	if cdp.Is(err, cdp.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := b.All(ctx)
	var out []T
	for _, x := range all {
		if !x.Lost {
			out = append(out, x.Value)
		}
	}
	return out, err
}
