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
	"tidemark.dev/pkg/contract/inventory"
)

// tagBatch is how many VMs one query for tags covers.
const tagBatch = 1000

// addTags adds the tags of VMs, as category/name. A server without tags (ESXi)
// leaves them empty. A failure is an error, because a job that selects by tags
// would lose its VMs.
func (c *Client) addTags(ctx context.Context, of []inventory.VM) error {
	if c.about.ESX || len(of) == 0 {
		return nil
	}
	const op = "read the tags of"
	err := c.rest.with(ctx, c, func(ctx context.Context, rc *rest.Client) error {
		m := tags.NewManager(rc)
		byRef := make(map[inventory.Ref][]string, len(of))
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
	if rest.IsStatusError(err, http.StatusNotFound) {
		return nil
	}
	return c.failTags(ctx, op, err)
}

func (c *Client) failTags(ctx context.Context, op string, err error) error {
	switch {
	case rest.IsStatusError(err, http.StatusUnauthorized), rest.IsStatusError(err, http.StatusForbidden):
		return cdp.Errorf(cdp.Conflict, op, c.host(), "the vCenter's REST API refuses the user %s", c.cfg.User).
			WithHint("it is needed to read tags: give the user the privilege System.Read on the vCenter's root folder")
	}
	return c.fail(ctx, op, c.host(), err)
}

// Tags are the names of a category's tags, sorted, whether or not a VM has them;
// NotFound.
func (c *Client) Tags(ctx context.Context, category string) ([]string, error) {
	const op = "read the tags of"
	if c.about.ESX {
		return nil, cdp.Errorf(cdp.NotFound, op, c.host(), "a single ESXi host has no tags")
	}
	var names []string
	id := ""
	err := c.rest.with(ctx, c, func(ctx context.Context, rc *rest.Client) error {
		names, id = nil, ""
		m := tags.NewManager(rc)
		ids, err := m.ListCategories(ctx)
		for _, x := range ids {
			if err != nil || id != "" {
				break
			}
			var k *tags.Category
			if k, err = m.GetCategory(ctx, x); err == nil && k.Name == category {
				id = k.ID
			}
		}
		if err != nil || id == "" {
			return err
		}
		found, err := m.GetTagsForCategory(ctx, id)
		for _, t := range found {
			names = append(names, t.Name)
		}
		return err
	})
	if err == nil && id == "" {
		return nil, cdp.Errorf(cdp.NotFound, op, c.host(), "there is no tag category %q, or the user %s may not see it", category, c.cfg.User)
	}
	slices.Sort(names)
	return names, c.failTags(ctx, op, err)
}

// tagsFor is how long the names of tags are cached.
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
