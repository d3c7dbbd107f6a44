package main

import (
	"context"
	"fmt"
	"net/url"
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
			var answer struct {
				Data struct {
					Result []struct {
						Value [2]any `json:"value"`
					} `json:"result"`
				} `json:"data"`
			}
			last = getJSON(ctx, prometheus+"/api/v1/query?query="+url.QueryEscape(query), &answer)
			if last != nil || len(answer.Data.Result) != 1 {
				return false
			}
			c.say("%s: %v", query, answer.Data.Result[0].Value[1])
			return true
		})
		if err != nil {
			return fmt.Errorf("%w (%v)", err, last)
		}
	}
	return nil
}
