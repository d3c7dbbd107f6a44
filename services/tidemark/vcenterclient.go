package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// vcenterTime is how long one question to a vcenter service may take: a vCenter
// is slow.
const vcenterTime = 30 * time.Second

// askVCenter asks the vcenter service of a site.
func askVCenter[R any](ctx context.Context, c *session, site cdp.Site, endpoint string, in any) (r R, err error) {
	ctx, cancel := context.WithTimeout(ctx, vcenterTime)
	defer cancel()
	return r, c.conn.Request(ctx, site, subjects.VCenter, endpoint, in, &r)
}

// checkSite says whether a site is one of the two.
func (c *session) checkSite(site cdp.Site) error {
	if site == c.site || site == c.peer {
		return nil
	}
	return cdp.Errorf(cdp.NotFound, "find site", string(site), "the sites are %s and %s", c.site, c.peer)
}

// vcenterSites are the sites that a command is about: the one that is named, or
// those of kind vsphere; where none is described, the own one. The peer's stand
// last.
func (c *session) vcenterSites(ctx context.Context, named string) ([]cdp.Site, error) {
	if named != "" {
		return []cdp.Site{cdp.Site(named)}, c.checkSite(cdp.Site(named))
	}
	b, err := c.sites(ctx)
	if err != nil {
		return nil, err
	}
	var own, others []cdp.Site
	err = collect(ctx, b, "", func(s spec.Site) {
		switch {
		case s.Kind != spec.SiteVSphere || c.checkSite(s.Name) != nil:
		case s.Name == c.site:
			own = append(own, s.Name)
		default:
			others = append(others, s.Name)
		}
	})
	if len(own)+len(others) == 0 {
		own = []cdp.Site{c.site}
	}
	return append(own, others...), err
}

// silence is why a site's part of a list is missing.
func silence(site cdp.Site, err error) string {
	text := fmt.Sprintf("site %s: %v", site, err)
	if hint := cdp.HintOf(err); hint != "" {
		text += "\n  hint: " + hint
	}
	return text
}

// finish asks for what takes long until it is done, and shows how far it is. A
// service that is started again goes on: once it has answered, its silence is
// waited for, as long as ctx lasts. look is the command that shows what has come
// of it if that was not long enough.
func (a *app) finish(ctx context.Context, what, look string, ask func(context.Context) (api.Progress, error)) (api.Progress, error) {
	m := newMeter(a, what)
	defer m.close()
	answered := false
	for {
		p, err := ask(ctx)
		switch {
		case errors.Is(ctx.Err(), context.Canceled):
			return p, ctx.Err()
		case ctx.Err() != nil:
			return p, cdp.Errorf(cdp.Transient, "wait", "", "not done within the --timeout").
				WithHint("the same command waits on: what has begun goes on meanwhile, what waits for something else has not begun; look with: " + look)
		case err != nil && answered && isSilent(err):
			m.say("the service does not answer; asking again")
		case err != nil:
			return p, err
		case p.Done:
			m.show(p)
			return p, nil
		default:
			answered = true
			m.show(p)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// isSilent says whether an error is that nobody answered, and not the answer. An
// error that was answered has the answerer's own op.
func isSilent(err error) bool {
	var e *cdp.Error
	return errors.As(err, &e) && e.Op == "ask "+subjects.VCenter && cdp.Is(err, cdp.Transient)
}

// meter shows progress: a bar on a terminal, else a line for each new text and
// each tenth.
type meter struct {
	a     *app
	what  string
	bars  *mpb.Progress
	bar   *mpb.Bar
	text  string
	tenth int64
}

func newMeter(a *app, what string) *meter {
	m := &meter{a: a, what: what, tenth: -1}
	if isTerminal(a.err) {
		m.bars = mpb.New(mpb.WithOutput(a.err), mpb.WithWidth(40))
	}
	return m
}

// say writes a text, if it is a new one.
func (m *meter) say(text string) {
	if text == "" || text == m.text {
		return
	}
	m.text, m.tenth = text, -1
	m.unbar()
	fmt.Fprintf(m.a.err, "  %s: %s\n", m.what, text)
}

func (m *meter) show(p api.Progress) {
	m.say(p.Text)
	if p.Total <= 0 {
		return
	}
	if m.bars == nil {
		if t := min(p.Moved, p.Total) * 10 / p.Total; t != m.tenth {
			m.tenth = t
			fmt.Fprintf(m.a.err, "  %s: %d%%\n", m.what, t*10)
		}
		return
	}
	if m.bar == nil {
		m.bar = m.bars.AddBar(p.Total, mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name("  "+m.what+" ")), mpb.AppendDecorators(decor.Percentage()))
	}
	m.bar.SetTotal(p.Total, false)
	m.bar.SetCurrent(min(p.Moved, p.Total))
}

func (m *meter) unbar() {
	if m.bar != nil {
		m.bar.Abort(true)
		m.bar.Wait()
		m.bar = nil
	}
}

func (m *meter) close() {
	m.unbar()
	if m.bars != nil {
		m.bars.Wait()
	}
}
