package client

import (
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// CaptureStatus is what the capture service at site says of a group of the site
// that conn is at.
func CaptureStatus(ctx context.Context, conn *bus.Conn, site cdp.Site, g cdp.GroupID) (api.CaptureGroup, error) {
	var r api.CaptureStatusReply
	if err := conn.Request(ctx, site, subjects.Capture, api.CaptureStatus, api.GroupRequest{Target: conn.Site(), Group: g}, &r); err != nil {
		return api.CaptureGroup{}, err
	}
	for _, x := range r.Groups {
		if x.Group == g {
			return x, nil
		}
	}
	return api.CaptureGroup{}, cdp.Errorf(cdp.NotFound, "ask capture", string(g), "it is not captured at %s", site)
}
