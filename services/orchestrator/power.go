package orchestrator

import (
	"context"
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// setPower starts or stops a VM.
func (s *Service) setPower(ctx context.Context, until *deadline, a spec.Action) (string, error) {
	r := api.SetPowerRequest{VM: a.Power.VM, Want: a.Power.Do, Wait: min(a.Timeout, spec.Duration(time.Hour))}
	err := s.stubborn(ctx, until, func(ctx context.Context) error {
		_, err := s.deps.VMs.SetPower(ctx, r)
		return err
	})
	return fmt.Sprintf("%s is %s", a.Power.VM, a.Power.Do.Power()), err
}

// isOn reports whether a VM is on.
func (s *Service) isOn(ctx context.Context, p spec.PowerAction) (bool, error) {
	power, err := s.deps.VMs.SetPower(ctx, api.SetPowerRequest{VM: p.VM, Want: p.Do, DryRun: true})
	return power == inventory.PoweredOn, err
}

// cleanPower puts a VM back to what it was before a test. The guest of one that the test
// started shuts down, if it can.
func (s *Service) cleanPower(ctx context.Context, until *deadline, p spec.PowerAction) (string, error) {
	back := []inventory.PowerChange{inventory.PowerStart}
	if p.Do == inventory.PowerStart {
		back = []inventory.PowerChange{inventory.PowerShutdown, inventory.PowerOff}
	}
	var err error
	for _, want := range back {
		// A shutdown gets half of the time that is left.
		left, _ := until.left(s.deps.Clock.Now())
		wait := max(time.Second, left/2)
		err = s.stubborn(ctx, until, func(ctx context.Context) error {
			_, err := s.deps.VMs.SetPower(ctx, api.SetPowerRequest{VM: p.VM, Want: want, Wait: spec.Duration(wait)})
			return err
		})
		if err == nil {
			return fmt.Sprintf("%s is %s, as before", p.VM, want.Power()), nil
		}
		if !cdp.Is(err, cdp.Conflict) {
			break
		}
	}
	return "", err
}

// powerFacts says of a plan's actions on VMs why they cannot be done.
func (s *Service) powerFacts(ctx context.Context, p spec.Plan) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range p.Actions {
		if a.Power == nil {
			continue
		}
		_, err := s.isOn(ctx, *a.Power)
		switch {
		case err == nil:
			out[a.Name] = ""
		case ctx.Err() != nil:
			return nil, err
		case !cdp.Is(err, cdp.Transient): // else it is not known
			out[a.Name] = err.Error()
		}
	}
	return out, nil
}
