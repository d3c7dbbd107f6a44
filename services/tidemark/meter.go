package main

import (
	"context"
	"fmt"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
)

// silence is the reason why a site is missing from a list.
func silence(site cdp.Site, err error) string {
	text := fmt.Sprintf("site %s: %v", site, err)
	if hint := cdp.HintOf(err); hint != "" {
		text += "\n  hint: " + hint
	}
	return text
}

// vcenterSites are the sites that a command is about: the named one, or all that
// have a vCenter.
func vcenterSites(ctx context.Context, c *client.Client, named string) ([]cdp.Site, error) {
	if named != "" {
		return []cdp.Site{cdp.Site(named)}, c.CheckSiteName(cdp.Site(named))
	}
	return c.VCenterSites(ctx)
}

// meter shows progress: a bar on a terminal, otherwise a line for each new text and
// each 10%.
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

// say prints a text unless it was printed last.
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
