package client

import (
	"context"
	"errors"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/pkg/contract/subjects"
)

// Apply has the services that own them check and write objects: jobs the
// scheduler, sites the vcenter service, site recovery jobs the orchestrator. All are
// checked first; if any is refused nothing is written, and the error has every problem
// of every object. With dryRun nothing is written in any case.
//
// The replies are in the order of the objects. On an error in the middle of
// writing they end with the last object that was written.
func (c *Client) Apply(ctx context.Context, objects []spec.Object, dryRun bool) ([]api.ApplyReply, error) {
	checked, err := c.applyAll(ctx, objects, true)
	if err != nil || dryRun {
		return checked, err
	}
	written, err := c.applyAll(ctx, objects, false)
	for i := range written { // what a job warns of was found by the check
		if written[i].Change == api.Unchanged {
			written[i] = checked[i]
		}
	}
	return written, err
}

// applyAll asks for each object. A check goes on after a refusal, to find them all;
// writing stops there.
func (c *Client) applyAll(ctx context.Context, objects []spec.Object, dryRun bool) ([]api.ApplyReply, error) {
	var replies []api.ApplyReply
	var bad []error
	for _, o := range objects {
		r, err := c.applyOne(ctx, o, dryRun)
		if err == nil {
			err = r.Err()
		}
		if err != nil {
			bad = append(bad, err)
			if !dryRun {
				break
			}
			continue
		}
		replies = append(replies, r)
	}
	return replies, Join(bad)
}

func (c *Client) applyOne(ctx context.Context, o spec.Object, dryRun bool) (r api.ApplyReply, err error) {
	doc, err := spec.Document(o)
	if err != nil {
		return r, err
	}
	service, endpoint := subjects.Scheduler, api.JobApply
	switch {
	case o.Site != nil:
		service, endpoint = subjects.VCenter, api.SiteApply
	case o.Plan != nil:
		service, endpoint = subjects.Orchestrator, api.PlanApply
	}
	return r, c.ask(ctx, checkTime, service, endpoint, api.ApplyRequest{Document: doc, DryRun: dryRun}, &r)
}

// Join makes one error of several, of the kind of the first; nil of none.
func Join(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	joined := errors.Join(errs...)
	return &cdp.Error{Op: "several things are wrong", Kind: cdp.KindOf(errs[0]), Hint: cdp.HintOf(errs[0]), Cause: errors.New("\n" + joined.Error())}
}
