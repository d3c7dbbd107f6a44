package vcsim

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"
)

// Client is a new logged-in client of the site. The caller logs out.
func (s *Site) Client(ctx context.Context) (*govmomi.Client, error) {
	u, err := url.Parse(s.URL())
	if err != nil {
		return nil, err
	}
	u.User = url.UserPassword(s.cfg.User, s.cfg.Password)
	return govmomi.NewClient(ctx, u, true)
}

func (s *Site) tag(ref types.ManagedObjectReference, names []string) error {
	if len(names) == 0 {
		return nil
	}
	ctx := context.Background()
	c, err := s.Client(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Logout(ctx) }()
	rc := rest.NewClient(c.Client)
	if err = rc.Login(ctx, url.UserPassword(s.cfg.User, s.cfg.Password)); err != nil {
		return err
	}
	defer func() { _ = rc.Logout(ctx) }()
	m := tags.NewManager(rc)
	for _, full := range names {
		category, name, ok := strings.Cut(full, "/")
		if !ok {
			return fmt.Errorf("vspheretest: tag %q is not category/tag", full)
		}
		if _, err = m.GetCategory(ctx, category); err != nil {
			if _, err = m.CreateCategory(ctx, &tags.Category{Name: category, Cardinality: "MULTIPLE", AssociableTypes: []string{"VirtualMachine"}}); err != nil {
				return err
			}
		}
		t, err := m.GetTagForCategory(ctx, name, category)
		if err != nil {
			if _, err = m.CreateTag(ctx, &tags.Tag{Name: name, CategoryID: category}); err != nil {
				return err
			}
			if t, err = m.GetTagForCategory(ctx, name, category); err != nil {
				return err
			}
		}
		if err = m.AttachTag(ctx, t.ID, ref); err != nil {
			return err
		}
	}
	return nil
}
