package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The profile metrics of the demo's containers adds Prometheus, which answers here.
const prometheus = "http://127.0.0.1:9090"

// measured waits until Prometheus has seen the failover, what was lost, and that the
// capture of the source does not answer any more.
func (c *containers) measured(ctx context.Context) error {
	c.step(8, "Prometheus has seen it")
	for _, query := range []string{
		`tidemark_failover_running{replication_job="shop", site="dr"} == 1`,
		`tidemark_last_point_timestamp_seconds{replication_job="shop", site="dr"} > 0`,
		`up{instance="prod-capture:9464"} == 0`,
		`count(up == 1) == 4`,
		`histogram_quantile(0.99, rate(tidemark_journal_store_seconds_bucket[5m])) > 0`,
	} {
		var last error
		err := until(ctx, "Prometheus to find "+query, func() bool {
			var found found
			if found, last = asked(ctx, "query", url.Values{"query": {query}}); last != nil || len(found) != 1 {
				return false
			}
			c.say("%s: %v", query, found[0].Value[1])
			return true
		})
		if err != nil {
			return fmt.Errorf("%w (%v)", err, last)
		}
	}
	return nil
}

// found are series that Prometheus answers with.
type found []struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
	Values [][2]any          `json:"values"`
}

// line reports whether Grafana draws the i-th of them.
func (f found) line(i int) bool {
	return slices.ContainsFunc(f[i].Values, func(v [2]any) bool { return v[1] != "NaN" })
}

// asked is what Prometheus answers to a query. An error has its reason.
func asked(ctx context.Context, endpoint string, q url.Values) (found, error) {
	var answer struct {
		Status, Error string
		Data          struct {
			Result found `json:"result"`
		} `json:"data"`
	}
	err := getJSON(ctx, prometheus+"/api/v1/"+endpoint+"?"+q.Encode(), &answer)
	if err == nil && answer.Status != "success" {
		err = errors.New(answer.Error)
	}
	return answer.Data.Result, err
}

// without are titles of the dashboard's panels about what this story does not have.
var without = []string{"Since the last good test", "Plans"}

// label is one that a legend shows.
var label = regexp.MustCompile(`{{(\w+)}}`)

// drawn fails unless Prometheus answers every query of the dashboard as Grafana asks it,
// and each panel about something that happened in the story has a line.
func (c *containers) drawn(ctx context.Context) error {
	c.step(9, "The dashboard has its lines")
	text, err := os.ReadFile("deploy/grafana/tidemark.json")
	if err != nil {
		return err
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		return err
	}
	now, queries, lines := time.Now(), 0, 0
	for _, p := range board.Panels {
		n := 0
		for _, x := range p.Targets {
			q := url.Values{"query": {strings.NewReplacer("$site", ".*", "$job", ".*").Replace(x.Expr)}, "step": {"5"},
				"start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)}}
			series, err := asked(ctx, "query_range", q)
			if err != nil {
				return fmt.Errorf("the panel %q: %s: %w", p.Title, x.Expr, err)
			}
			queries++
			for i := range series {
				if !series.line(i) {
					continue
				}
				n++
				for _, m := range label.FindAllStringSubmatch(x.LegendFormat, -1) {
					if series[i].Metric[m[1]] == "" {
						return fmt.Errorf("the panel %q: its legend shows the label %s, which %s has not", p.Title, m[1], x.Expr)
					}
				}
			}
		}
		if n == 0 && !slices.Contains(without, p.Title) {
			return fmt.Errorf("the panel %q has no line", p.Title)
		}
		lines += n
	}
	c.say("PROVEN: Prometheus answers the %d queries of its %d panels, with %d lines.", queries, len(board.Panels), lines)
	return nil
}
