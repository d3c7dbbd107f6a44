package bus

import (
	"context"

	"tidemark.dev/pkg/cdp"
)

// BeginAnew does to all copies of a peer what FollowPeer does to one that
// stands still.
func BeginAnew(ctx context.Context, conn *Conn, peer cdp.Site) error {
	js, err := conn.jetstream(conn.site)
	if err != nil {
		return err
	}
	for _, cfg := range peerStreams(peer) {
		if err := beginAnew(ctx, js, cfg); err != nil {
			return err
		}
	}
	return nil
}
