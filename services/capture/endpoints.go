package capture

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/event"
)

// Endpoints are what the service answers, by the names in package api.
func (s *Service) Endpoints() map[string]api.Endpoint {
	return map[string]api.Endpoint{
		api.CaptureClock:       s.answerClock,
		api.CaptureStatus:      api.Answer(func(_ context.Context, r api.GroupRequest) (any, error) { return s.answerStatus(r), nil }),
		api.CaptureSpool:       api.Answer(func(context.Context, api.Empty) (any, error) { return s.answerSpool(), nil }),
		api.CaptureMarks:       api.Answer(s.answerMarks),
		api.CaptureDrain:       api.Answer(func(ctx context.Context, r api.DrainRequest) (any, error) { return s.answerDrain(ctx, r) }),
		api.CaptureDisks:       api.Answer(s.answerDisks),
		api.CaptureCopyStarted: s.ofDisk((*Group).CopyStarted),
		api.CaptureSynced:      s.ofDisk((*Group).Synced),
		api.CaptureLive:        s.ofDisk((*Group).Live),
		api.CaptureUnlive:      s.ofDisk(func(g *Group, d cdp.DiskID) error { g.Unlive(d); return nil }),
	}
}

// Commands are what the service handles, by their verbs.
func (s *Service) Commands() map[string]func(context.Context, event.Event) error {
	return map[string]func(context.Context, event.Event) error{"mark": s.HandleMark, "synced": s.HandleSynced}
}
