package scheduler_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/approval"
)

// Agreed and Keep are scheduler.Approvals.
func (o *owner) Agreed(_ context.Context, a approval.Act) error {
	if o.agreed == nil {
		return nil
	}
	return o.agreed(a)
}

func (o *owner) Keep(_ context.Context, l approval.Line) ([]string, error) {
	return []string{l.By}, nil
}

// A job on VMs is deleted, with its replicas or without, and its journals are made to keep
// less, once two persons agreed to that at this revision; whatever else changes needs nobody.
func TestTwoPersonsAgreeAboutJobsOnVMs(t *testing.T) {
	o := newOwner(t)
	kept := strings.Replace(vmsDoc, `"rpo":"1m"`, `"rpo":"1m","journal":{"history":"2h","size":"2GiB"}`, 1)
	o.apply(kept, false)
	var asked []string
	o.agreed = func(a approval.Act) error {
		asked = append(asked, a.String())
		return cdp.Errorf(cdp.Conflict, "approve", a.Job, "nobody has")
	}
	less := strings.NewReplacer(`"2h"`, `"1h"`, `"2GiB"`, `"1GiB"`).Replace(kept)
	for _, dry := range []bool{true, false} {
		if r := o.apply(less, dry); r.Change != "" || len(r.Problems) != 1 || r.Problems[0].Rule != "approval" || r.Problems[0].Path != "/spec/journal" {
			t.Errorf("%+v", r)
		}
	}
	for _, replicas := range []bool{false, true} {
		if _, err := ask[api.Progress](o, api.JobDelete, api.JobDeleteRequest{Job: "shop", DropPoints: true, Force: true, Replicas: replicas}); !cdp.Is(err, cdp.Conflict) {
			t.Errorf("deleted: %v", err)
		}
	}
	shorter := "shorten shop (revision 1: history 2h to 1h, size 2GiB to 1GiB)"
	if want := []string{shorter, shorter, "delete shop (revision 1)", "delete-replicas shop (revision 1)"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %q", asked)
	}
	if r := o.apply(strings.Replace(kept, `"2h"`, `"3h"`, 1), false); r.Change != api.Changed || len(asked) != 4 {
		t.Errorf("%+v, asked %q", r, asked)
	}
	if _, err := ask[api.ApproveReply](o, api.JobApprove, approval.Line{Act: approval.Act{Site: "prod", What: approval.Delete, Job: "shop", Of: "revision 2"}, By: "ana"}); !cdp.Is(err, cdp.Invalid) {
		t.Errorf("about another site: %v", err)
	}
}
