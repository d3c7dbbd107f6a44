package stage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/failoverrun"
)

// Tidemark runs the command line as an operator does, who talks to dr unless the
// arguments say --site, and returns what it printed. The error has the command and what it complained of.
func (s *Stage) Tidemark(ctx context.Context, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, s.cfg.Tidemark, append(args, "--dir", s.State())...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("tidemark %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// ask runs a command with -o json and reads what it says.
func (s *Stage) ask(ctx context.Context, into any, args ...string) error {
	out, err := s.Tidemark(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("tidemark %v: %w in %s", args, err, out)
	}
	return nil
}

// Standing is a group's state: what is read here of `job status`.
type Standing struct {
	State    string `json:"state"`
	Problems []struct{ Text, Do string }
	Journal  *api.GroupStatus  `json:"journal"`
	Capture  *api.CaptureGroup `json:"capture"`
}

// Standing asks for the group's state.
func (s *Stage) Standing(ctx context.Context) (Standing, error) {
	return s.StandingOf(ctx, s.Group())
}

// StandingOf asks for the state of any group.
func (s *Stage) StandingOf(ctx context.Context, group string) (Standing, error) {
	var all []Standing
	err := s.ask(ctx, &all, "job", "status", group)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("job status %s: %d answers", group, len(all))
	}
	if err != nil {
		return Standing{}, err
	}
	return all[0], nil
}

// Until asks for the group's state until fit accepts it. The error says how it
// stood last.
func (s *Stage) Until(ctx context.Context, what string, fit func(Standing) bool) (Standing, error) {
	var last Standing // that was read
	for {
		st, err := s.Standing(ctx)
		if err == nil {
			last = st
			if fit(st) {
				return st, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, fmt.Errorf("wait until %s: %w; %s is %s, problems %v, journal %+v, capture %+v (%v)",
				what, ctx.Err(), s.Group(), last.State, last.Problems, last.Journal, last.Capture, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Points lists the group's points, oldest first.
func (s *Stage) Points(ctx context.Context) ([]cdp.Point, error) { return s.PointsOf(ctx, s.Group()) }

// PointsOf lists the points of any group.
func (s *Stage) PointsOf(ctx context.Context, group string) (ps []cdp.Point, err error) {
	return ps, s.ask(ctx, &ps, "point", "list", group)
}

// Failover is the state of the group's failover run.
func (s *Stage) Failover(ctx context.Context) (st failoverrun.Run, err error) {
	return st, s.ask(ctx, &st, "failover", "status", s.Group())
}

// Protection is how the VM is protected.
type Protection struct {
	Capture cdp.CaptureMode // tap or cbt
	RPO     time.Duration   // 0: 5 s with a tap, 20 s with cbt, whose points cost a snapshot each
}

// WriteJob writes the description of the job, and returns the file.
func (s *Stage) WriteJob(p Protection) (string, error) {
	capture, rpo := p.Capture, p.RPO
	if p.Capture == cdp.Tap {
		capture += ", filter: " + Filter
		rpo = cmp.Or(rpo, 5*time.Second)
	} else {
		rpo = cmp.Or(rpo, 20*time.Second)
	}
	vms := []string{"{name: " + VM + "}"}
	for _, name := range s.cfg.Plain {
		vms = append(vms, "{name: "+name+"}")
	}
	file := filepath.Join(s.cfg.Dir, "job.yaml")
	return file, os.WriteFile(file, []byte(fmt.Sprintf(`apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: %s}
spec:
  source: {site: %s, capture: %s, vms: [%s]}
  target:
    site: %s
    cluster: %s-cluster
    datastore: %s-ds1
    networks: [{from: VM Network, to: DR Network, test: isolated}]
  checks: {tools: true, timeout: 3m}
  rpo: %s
  journal: {mode: rollback, history: 1h}
`, s.Job(), Prod, capture, strings.Join(vms, ", "), DR, DR, DR, rpo)), 0o600)
}

// Filter is the I/O filter that is installed on the hosts.
const Filter = "tidemark"

// ApplySites describes both sites to Tidemark.
func (s *Stage) ApplySites(ctx context.Context) error {
	_, err := s.Tidemark(ctx, "apply", "-f", s.SiteFile(Prod), "-f", s.SiteFile(DR))
	return err
}

// Protect describes the sites and the job, and starts the job.
func (s *Stage) Protect(ctx context.Context, p Protection) error {
	if err := s.ApplySites(ctx); err != nil {
		return err
	}
	job, err := s.WriteJob(p)
	if err != nil {
		return err
	}
	// What dr was told of prod's vCenter takes a moment to be known at prod.
	for end := time.Now().Add(30 * time.Second); ; {
		if _, err = s.Tidemark(ctx, "apply", "-f", job); err == nil {
			break
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return err
		}
	}
	_, err = s.Tidemark(ctx, "job", "run", s.Job(), "--no-wait")
	return err
}
