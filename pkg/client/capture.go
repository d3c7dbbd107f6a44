package client

import (
	"context"
	"time"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
)

// captureTime is how long capture may take to say how it is: an answer that is lost
// with it costs no more.
const captureTime = 5 * time.Second

// CaptureStatus is what the capture service at site says of a group that is replicated
// to target; empty: to whichever site. NotFound: it captures no such group.
func CaptureStatus(ctx context.Context, conn *bus.Conn, site, target cdp.Site, g cdp.GroupID) (api.CaptureGroup, error) {
	ctx, cancel := context.WithTimeout(ctx, captureTime)
	defer cancel()
	var r api.CaptureStatusReply
	if err := conn.Request(ctx, site, subjects.Capture, api.CaptureStatus, api.GroupRequest{Target: target, Group: g}, &r); err != nil {
		return api.CaptureGroup{}, err
	}
	for _, x := range r.Groups {
		if x.Group == g {
			return x, nil
		}
	}
	return api.CaptureGroup{}, cdp.Errorf(cdp.NotFound, "ask capture", string(g), "it is not captured at %s", site)
}
