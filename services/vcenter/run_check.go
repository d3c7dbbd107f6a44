package vcenter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// check handles api.VMCheck: it repeats the VM's checks until all pass or the time is
// up, and returns the last results. It changes nothing, but for a guest whose addresses
// could not be set when it was started.
func (r *run) check(ctx context.Context) (api.VMRunReply, error) {
	var none api.VMRunReply
	var checks inventory.Checks
	job, err := r.jobs.Get(ctx, r.m.Value.Job)
	if err == nil {
		checks = job.Job.Checks
	} else if !cdp.Is(err, cdp.NotFound) {
		return none, err
	}
	if checks.Timeout <= 0 {
		checks.Timeout = r.cfg.CheckTimeout
	}
	if v, err := r.vm(ctx); err == nil && v.Power == inventory.PoweredOn {
		if err := r.readdress(ctx, v, 0); err != nil {
			return none, err
		}
	}
	over := clock.After(r.clock, checks.Timeout)
	end := r.clock.Now().Add(checks.Timeout)
	for {
		v, err := r.vm(ctx)
		if err != nil {
			return none, err
		}
		results := r.checkOnce(ctx, v, checks, end)
		good := 0
		for _, c := range results {
			if c.OK {
				good++
			}
		}
		r.tell(fmt.Sprintf("%d of %d checks pass", good, len(results)), int64(good), int64(len(results)))
		ended := false
		if good < len(results) {
			select {
			case <-ctx.Done():
				return none, cdp.Wrap(ctx.Err(), "check", v.Name)
			case <-over:
				ended = true
			case <-clock.After(r.clock, r.cfg.CheckEvery):
			}
		}
		if good == len(results) || ended {
			vm := r.reply(ctx, v)
			vm.Checks = results
			return api.VMRunReply{VM: vm}, nil
		}
	}
}

// checkOnce does every check once.
func (r *run) checkOnce(ctx context.Context, v inventory.VM, c inventory.Checks, end time.Time) []api.VMCheckResult {
	left := max(end.Sub(r.clock.Now()), 100*time.Millisecond)
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
	// A VM that was given an address is checked at that one only: another of its
	// addresses may be production's, and answer.
	has, given := addresses(v, r.identity()), givenAddresses(r.identity())
	ip := ""
	if len(given) > 0 {
		ip = given[0]
	} else if len(has) > 0 {
		ip = has[0]
	}
	atIP := func(f func() error) error {
		if ip == "" {
			return fmt.Errorf("its address is not known: VMware Tools report none")
		}
		return f()
	}
	if v.Power != inventory.PoweredOn {
		note("power", "", fmt.Errorf("it is %s", v.Power))
	} else {
		note("power", "it is on", nil)
	}
	if r.rec.Value.Unwired != "" {
		note("networks", "its network cards are connected", r.unwired(ctx, v))
	}
	unset := r.rec.Value.Unset
	if len(given) > 0 || unset != "" {
		var err error
		if unset != "" && len(given) == 0 {
			err = errors.New(unset)
		}
		if slices.ContainsFunc(given, func(ip string) bool { return !slices.Contains(has, ip) }) {
			err = fmt.Errorf("it was given %s, but VMware Tools report %s", strings.Join(given, ", "), orNone(has))
			if unset != "" {
				err = fmt.Errorf("%s; VMware Tools report %s", unset, orNone(has))
			}
		}
		note("addresses", "it has "+strings.Join(given, ", "), err)
	}
	if c.Tools {
		var err error
		if !v.Guest.ToolsRunning || v.Guest.Heartbeat != "green" {
			err = fmt.Errorf("VMware Tools: running %v, heartbeat %s", v.Guest.ToolsRunning, v.Guest.Heartbeat)
		}
		note("tools", "VMware Tools run, their heartbeat is green", err)
	}
	if c.Ping {
		note("ping", ip+" answers", atIP(func() error { return r.prober.Ping(ctx, ip) }))
	}
	for _, p := range c.Ports {
		note("port", fmt.Sprintf("%s:%d accepts connections", ip, p), atIP(func() error { return r.prober.Port(ctx, ip, p) }))
	}
	if c.Script != "" {
		text := ""
		path, err := r.local.Script(c.Script)
		if err == nil {
			text, err = r.prober.Script(ctx, path, []string{
				"TIDEMARK_VM=" + v.Name, "TIDEMARK_IP=" + ip, "TIDEMARK_JOB=" + r.req.Job, "TIDEMARK_RUN=" + r.req.Run})
		}
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
