package vcenter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// check handles api.VMCheck: does the VM work? It is asked until everything is
// well or the time is over; what was found last is told, and changes nothing.
func (s *Service) check(ctx context.Context, r *run) (api.VMRunReply, error) {
	var none api.VMRunReply
	var checks inventory.Checks
	job, err := s.deps.Jobs.Get(ctx, r.m.Value.Job)
	if err == nil {
		checks = job.Job.Checks
	} else if !cdp.Is(err, cdp.NotFound) {
		return none, err
	}
	if checks.Timeout <= 0 {
		checks.Timeout = s.cfg.CheckTimeout
	}
	over := s.deps.Clock.After(checks.Timeout)
	end := s.deps.Clock.Now().Add(checks.Timeout)
	for {
		v, err := r.vm(ctx)
		if err != nil {
			return none, err
		}
		results := r.look(ctx, v, checks, end)
		good := 0
		for _, c := range results {
			if c.OK {
				good++
			}
		}
		r.tell(fmt.Sprintf("%d of %d checks are good", good, len(results)), int64(good), int64(len(results)))
		ended := false
		if good < len(results) {
			select {
			case <-ctx.Done():
				return none, cdp.Wrap(ctx.Err(), "check", v.Name)
			case <-over:
				ended = true
			case <-s.deps.Clock.After(s.cfg.CheckEvery):
			}
		}
		if good == len(results) || ended {
			vm := r.tellVM(ctx, v)
			vm.Checks = results
			return api.VMRunReply{VM: vm}, nil
		}
	}
}

// look makes every check once.
func (r *run) look(ctx context.Context, v inventory.VM, c inventory.Checks, end time.Time) []api.VMCheckResult {
	left := max(end.Sub(r.s.deps.Clock.Now()), 100*time.Millisecond)
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	var out []api.VMCheckResult
	note := func(name, good string, err error) {
		x := api.VMCheckResult{Name: name, OK: err == nil, Text: good}
		if err != nil {
			x.Text = err.Error()
		}
		out = append(out, x)
	}
	// What was to get an address is looked at there and nowhere else: another
	// address of its may be production's, and answer.
	has, told := addresses(v, r.m.Value.Identity), toldAddresses(r.m.Value.Identity)
	ip := ""
	if len(told) > 0 {
		ip = told[0]
	} else if len(has) > 0 {
		ip = has[0]
	}
	atIP := func(f func() error) error {
		if ip == "" {
			return fmt.Errorf("its address is not known: VMware Tools tell none")
		}
		return f()
	}
	if v.Power != inventory.PoweredOn {
		note("power", "", fmt.Errorf("it is %s", v.Power))
	} else {
		note("power", "it is on", nil)
	}
	if len(told) > 0 {
		var err error
		if slices.ContainsFunc(told, func(ip string) bool { return !slices.Contains(has, ip) }) {
			err = fmt.Errorf("it was told %s, and VMware Tools tell %s", strings.Join(told, ", "), orNone(has))
		}
		note("addresses", "it has "+strings.Join(told, ", "), err)
	}
	if c.Tools {
		var err error
		if !v.Guest.ToolsRunning || v.Guest.Heartbeat != "green" {
			err = fmt.Errorf("VMware Tools: running %v, heartbeat %s", v.Guest.ToolsRunning, v.Guest.Heartbeat)
		}
		note("tools", "VMware Tools run, their heartbeat is green", err)
	}
	if c.Ping {
		note("ping", ip+" answers", atIP(func() error { return r.s.deps.Prober.Ping(ctx, ip) }))
	}
	for _, p := range c.Ports {
		note("port", fmt.Sprintf("%s:%d takes connections", ip, p), atIP(func() error { return r.s.deps.Prober.Port(ctx, ip, p) }))
	}
	if c.Script != "" {
		text, err := r.s.deps.Prober.Script(ctx, c.Script, []string{
			"TIDEMARK_VM=" + v.Name, "TIDEMARK_IP=" + ip, "TIDEMARK_JOB=" + r.req.Job, "TIDEMARK_RUN=" + r.req.Run})
		note("script", text, err)
	}
	return out
}

func orNone(ips []string) string {
	if len(ips) == 0 {
		return "none"
	}
	return strings.Join(ips, ", ")
}
