package vcenter

import (
	"context"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/inventory"
)

// reporter emits events. An event that cannot be emitted never stops the work
// that it is about.
type reporter struct {
	events Events
	site   func(context.Context) (Site, error)
	notify func(error)
}

// longestText is the most characters of text in an event.
const longestText = 2048

// clip shortens a text to so many characters.
func clip(text string, room int) string {
	r := []rune(text)
	if len(r) <= room {
		return text
	}
	return string(r[:room-3]) + "..."
}

// note notifies of an error, if there is one.
func (r *reporter) note(err error) {
	if err != nil {
		r.notify(err)
	}
}

func (r *reporter) emit(ctx context.Context, p event.Payload) {
	if err := r.events.Emit(ctx, p); err != nil && ctx.Err() == nil {
		r.notify(cdp.Wrap(err, "emit event", p.EventType()))
	}
}

// alarm reports that something at the vCenter needs attention, or that it no
// longer does.
func (r *reporter) alarm(ctx context.Context, kind, subject, text string) {
	site, err := r.site(ctx)
	if err == nil {
		err = r.events.Emit(ctx, event.VCenterAlarm{Site: site.Name, Kind: kind, Subject: clip(subject, 256), Text: clip(text, longestText)})
	}
	if err != nil && ctx.Err() == nil {
		r.notify(cdp.Wrap(err, "emit alarm", kind))
	}
}

func (r *reporter) member(ctx context.Context, m inventory.Member, text string) {
	r.emit(ctx, event.VCenterMemberChanged{Job: m.Job, Group: cdp.GroupID(m.Group), VM: clip(m.VM.Name, 256), State: m.State, Text: clip(text, longestText)})
}

func (r *reporter) filter(ctx context.Context, c inventory.Cluster, id string, state event.FilterState, text string) {
	site, err := r.site(ctx)
	if err != nil {
		r.notify(err)
		return
	}
	r.emit(ctx, event.VCenterFilterChanged{Site: site.Name, Cluster: c.Name, Filter: id, State: state, Text: clip(text, longestText)})
}

func (r *reporter) transporter(ctx context.Context, name string, state event.TransporterState, text string) {
	site, err := r.site(ctx)
	if err != nil {
		r.notify(err)
		return
	}
	r.emit(ctx, event.VCenterTransporterChanged{Site: site.Name, Name: name, State: state, Text: clip(text, longestText)})
}
