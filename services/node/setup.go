package node

import (
	"context"
	"sync"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// setUp makes the site's streams and buckets and the copies of its peers'. It
// tries until ctx ends: the server may be killed and started again meanwhile.
func setUp(ctx context.Context, e *env) error {
	for {
		err := setUpOnce(ctx, e)
		if err == nil || !cdp.Is(err, cdp.Transient) || ctx.Err() != nil {
			return err
		}
		e.warn(err)
		if clock.Sleep(ctx, e.clock, 200*time.Millisecond) != nil {
			return err
		}
	}
}

func setUpOnce(ctx context.Context, e *env) error {
	conn, err := e.connect(ctx, subjects.Setup)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := bus.EnsureSite(ctx, conn); err != nil {
		return err
	}
	if err := e.shareLinks(ctx, conn); err != nil {
		return err
	}
	for _, p := range e.peers {
		if err := bus.EnsurePeer(ctx, conn, p); err != nil {
			return err
		}
	}
	return nil
}

// shareLinks keeps on the bus which sites this one is linked with, for whoever
// talks to it, and for a process that was not told.
func (e *env) shareLinks(ctx context.Context, conn *bus.Conn) error {
	if e.peers == nil {
		var err error
		e.peers, err = client.Peers(ctx, conn)
		return err
	}
	b, err := bus.OpenBucket[api.SiteLinks](ctx, conn, e.site, subjects.BucketState, subjects.KeyLinks)
	if err == nil {
		_, err = b.Put(ctx, string(e.site), api.SiteLinks{Site: e.site, Peers: e.peers})
	}
	return err
}

// freeCommandsEvery is how often it is looked for commands that nobody would get.
const freeCommandsEvery = 10 * time.Second

// tendSite makes the streams that services ask for, and keeps the copies of the peers
// following and commands moving, until ctx ends.
func tendSite(ctx context.Context, e *env) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tend := func(what string, f func(*bus.Conn) error) {
		wg.Go(func() {
			conn, err := e.connect(ctx, subjects.Setup)
			if err == nil {
				defer conn.Close()
				err = f(conn)
			}
			if err != nil && ctx.Err() == nil {
				e.warn(err, "part", what)
			}
		})
	}
	for _, p := range e.peers {
		tend("copies of "+string(p), func(c *bus.Conn) error { return bus.FollowPeer(ctx, c, p) })
	}
	for _, p := range e.peers {
		tend("records of "+string(p), func(c *bus.Conn) error { return keepRecords(ctx, e, c, p) })
	}
	tend("streams", func(c *bus.Conn) error { return bus.KeepSite(ctx, c, e.peers...) })
	tend("commands", func(c *bus.Conn) error { return bus.FreeCommands(ctx, c, freeCommandsEvery) })
}

func closeTelemetry(e *env) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := e.tel.Close(ctx); err != nil {
		e.warn(err)
	}
}
