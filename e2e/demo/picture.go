package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// pictured takes a picture of the failover as a person sees it in Jaeger, once the page
// shows each service of the trace and each step of the failover.
func (c *containers) pictured(ctx context.Context) error {
	c.step(10, "A picture of it")
	file, err := filepath.Abs(c.picture)
	if err != nil {
		return err
	}
	address := jaeger + "/trace/" + fireTrace + "?uiEmbed=v0" // without the menus around it
	var page string
	err = until(ctx, "Jaeger's page to show the failover", func() bool {
		var missing []string
		page, err = c.browse(ctx, "--dump-dom", address)
		for _, text := range c.fire.texts() {
			if !strings.Contains(page, text) {
				missing = append(missing, text)
			}
		}
		if err == nil && len(missing) > 0 {
			err = fmt.Errorf("the page lacks %q", missing)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%w; the page is\n%s", err, page[:min(len(page), 2000)])
	}
	if _, err := c.browse(ctx, "--screenshot="+file, address); err != nil {
		return err
	}
	c.say("PROVEN: %s shows the %d spans of the failover.", c.picture, len(c.fire.Spans))
	return nil
}

// texts are what a page that shows the trace must say.
func (t shown) texts() (out []string) {
	out = t.services()
	for _, s := range t.Spans {
		if strings.HasPrefix(s.Operation, "failover ") {
			out = append(out, s.Operation)
		}
	}
	return out
}

// browse has Chromium open a page, and returns what it prints.
func (c *containers) browse(ctx context.Context, do, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1400,1160",
		"--user-data-dir="+filepath.Join(c.dir, "chromium"), "--virtual-time-budget=20000", do, address)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("chromium %s %s: %w", do, address, err)
	}
	return string(out), nil
}
