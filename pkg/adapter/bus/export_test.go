package bus

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
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

// StartEdited starts a server with a configuration that edit has changed.
func StartEdited(ctx context.Context, cfg ServerConfig, edit func(text string) string) (*Server, error) {
	text, err := cfg.Text()
	if err != nil {
		return nil, err
	}
	return cfg.start(ctx, edit(text))
}

// ForbiddenEndpoints are requests that no link carries to site.
func ForbiddenEndpoints(site cdp.Site) (out []string) {
	for _, s := range subjects.Services() {
		out = append(out, subjects.RequestSubject(site, s, "unlisted"), subjects.CommandSubject(site, s, "unlisted", "x"))
	}
	return out
}

// Delivered is what a peer is told about a consumer that it has reset.
var Delivered = delivered
