package vsphere

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/mo"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
)

// tagBatch is how many VMs one question for tags is about.
const tagBatch = 1000

// addTags puts the tags on VMs, as category/name. A server that has no tags
// (ESXi) leaves them empty; one that fails to tell them is an error, because a
// job that goes by tags would lose its VMs.
func (c *Client) addTags(ctx context.Context, of []vms.VM) error {
	if c.about.ESX || len(of) == 0 {
		return nil
	}
	const op = "read the tags of"
	err := c.rest.with(ctx, c, func(ctx context.Context, rc *rest.Client) error {
		m := tags.NewManager(rc)
		byRef := make(map[vms.Ref][]string, len(of))
		for batch := range slices.Chunk(of, tagBatch) {
			ids := make([]mo.Reference, len(batch))
			for i, v := range batch {
				r, err := vmRef(v.Ref)
				if err != nil {
					return err
				}
				ids[i] = r
			}
			got, err := m.ListAttachedTagsOnObjects(ctx, ids)
			if err != nil {
				return err
			}
			for _, a := range got {
				r := a.ObjectID.Reference()
				byRef[refOf(&r)] = a.TagIDs
			}
		}
		for i := range of {
			of[i].Tags = nil
			for _, id := range byRef[of[i].Ref] {
				name, err := c.rest.tagName(ctx, m, id)
				if err != nil {
					return err
				}
				of[i].Tags = append(of[i].Tags, name)
			}
			slices.Sort(of[i].Tags)
		}
		return nil
	})
	switch {
	case rest.IsStatusError(err, http.StatusNotFound):
		return nil
	case rest.IsStatusError(err, http.StatusUnauthorized), rest.IsStatusError(err, http.StatusForbidden):
		return cdp.Errorf(cdp.Conflict, op, c.host(), "the vCenter's REST API refuses the user %s", c.cfg.User).
			WithHint("tags are read through it: give the user the privilege System.Read on the vCenter's root")
	}
	return c.fail(ctx, op, c.host(), err)
}

// tagsFor is how long the names of tags are believed.
const tagsFor = time.Minute

// tagName is a tag's category and name.
func (s *restSession) tagName(ctx context.Context, m *tags.Manager, id string) (string, error) {
	if time.Since(s.named) > tagsFor {
		s.names, s.categories, s.named = map[string]string{}, map[string]string{}, time.Now()
	}
	if n, ok := s.names[id]; ok {
		return n, nil
	}
	t, err := m.GetTag(ctx, id)
	if err != nil {
		return "", err
	}
	cat, ok := s.categories[t.CategoryID]
	if !ok {
		k, err := m.GetCategory(ctx, t.CategoryID)
		if err != nil {
			return "", err
		}
		cat = k.Name
		s.categories[t.CategoryID] = cat
	}
	s.names[id] = cat + "/" + t.Name
	return s.names[id], nil
}
