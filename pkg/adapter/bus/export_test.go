package bus

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// BeginAnew does to all copies of a peer what FollowPeer does to one that
// stands still.
func BeginAnew(ctx context.Context, conn *Conn, peer cdp.Site) error {
	for _, cfg := range peerStreams(conn.site, peer) {
		if err := beginAnew(ctx, conn.js, cfg); err != nil {
			return err
		}
	}
	return nil
}
