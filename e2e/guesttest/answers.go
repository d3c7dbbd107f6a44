package guesttest

import (
	"context"
	"encoding/json"
	"fmt"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// Standing is a job's state: what this package reads of `job status`.
type Standing struct {
	State    string `json:"state"`
	RPO      string `json:"rpo"`
	Problems []struct{ Text, Do string }
	Journal  *api.GroupStatus  `json:"journal"`
	Capture  *api.CaptureGroup `json:"capture"`
}

// Standing asks for a job's state.
func (p *Product) Standing(ctx context.Context, job string) (Standing, error) {
	var all []Standing
	err := p.ask(ctx, &all, "job", "status", job)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("job status %s: %d answers", job, len(all))
	}
	if err != nil {
		return Standing{}, err
	}
	return all[0], nil
}

// Points lists a job's points, oldest first.
func (p *Product) Points(ctx context.Context, job string) (ps []cdp.Point, err error) {
	return ps, p.ask(ctx, &ps, "point", "list", job)
}

// Failover is the state of a job's failover run.
func (p *Product) Failover(ctx context.Context, job string) (st failoverrun.Run, err error) {
	return st, p.ask(ctx, &st, "failover", "status", job)
}

// Exports lists what is open of a job.
func (p *Product) Exports(ctx context.Context, job string) (xs []api.Export, err error) {
	return xs, p.ask(ctx, &xs, "export", "list", job)
}

func (p *Product) ask(ctx context.Context, into any, args ...string) error {
	out, err := p.CLI(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("tidemark %v: %w in %s", args, err, out)
	}
	return nil
}
