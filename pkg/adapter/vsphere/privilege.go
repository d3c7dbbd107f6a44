package vsphere

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Lacks asks the vCenter which of these privileges the session has, through roles,
// groups and inheritance. A privilege that several uses need is returned once. One
// that the vCenter's version does not know is not needed there.
func (c *Client) Lacks(ctx context.Context, needs []inventory.Privilege) ([]inventory.Missing, error) {
	const op = "check the privileges of"
	byEntity := map[inventory.Ref][]inventory.Privilege{}
	order := []inventory.Ref{}
	for _, n := range needs {
		if _, ok := byEntity[n.Entity]; !ok {
			order = append(order, n.Entity)
		}
		byEntity[n.Entity] = append(byEntity[n.Entity], n)
	}
	missing := []inventory.Missing{}
	err := c.do(ctx, op, c.cfg.User, func(ctx context.Context, v *vim25.Client) error {
		missing = missing[:0]
		am := v.ServiceContent.AuthorizationManager
		if am == nil {
			return cdp.Errorf(cdp.Invalid, op, c.cfg.User, "this server does not report privileges")
		}
		sess, err := session.NewManager(v).UserSession(ctx)
		if err != nil {
			return err
		}
		if sess == nil {
			return soap.WrapVimFault(&types.NotAuthenticated{})
		}
		known, err := knownPrivileges(ctx, v, *am)
		if err != nil {
			return err
		}
		for _, at := range order {
			found, err := lackingAt(ctx, v, *am, sess, at, byEntity[at], known)
			if err != nil {
				return err
			}
			missing = append(missing, found...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return missing, nil
}

// knownPrivileges are those of the vCenter's version; none if unknown.
func knownPrivileges(ctx context.Context, v *vim25.Client, am types.ManagedObjectReference) ([]string, error) {
	objs, err := retrieve(ctx, v, []types.ManagedObjectReference{am}, am.Type, []string{"privilegeList"})
	if err != nil {
		return nil, err
	}
	var known []string
	for _, o := range objs {
		o.MissingSet = nil
		got, err := mo.ObjectContentToType(o)
		if err != nil {
			return nil, err
		}
		if m, ok := got.(mo.AuthorizationManager); ok {
			for _, p := range m.PrivilegeList {
				known = append(known, p.PrivId)
			}
		}
	}
	return known, nil
}

func lackingAt(ctx context.Context, v *vim25.Client, am types.ManagedObjectReference, sess *types.UserSession, at inventory.Ref, needs []inventory.Privilege, known []string) ([]inventory.Missing, error) {
	entity, name := v.ServiceContent.RootFolder, "the vCenter's root"
	if at != "" {
		var err error
		if entity, err = morOf(at); err != nil {
			return nil, err
		}
		name = string(at)
	}
	var ids []string
	for _, n := range needs {
		if (len(known) == 0 || slices.Contains(known, n.ID)) && !slices.Contains(ids, n.ID) {
			ids = append(ids, n.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	res, err := methods.HasPrivilegeOnEntities(ctx, v, &types.HasPrivilegeOnEntities{
		This: am, Entity: []types.ManagedObjectReference{entity}, SessionId: sess.Key, PrivId: ids,
	})
	if err != nil {
		return nil, err
	}
	var denied []string
	for _, e := range res.Returnval {
		for _, p := range e.PrivAvailability {
			if !p.IsGranted {
				denied = append(denied, p.PrivId)
			}
		}
	}
	var out []inventory.Missing
	for _, n := range needs {
		if !slices.Contains(denied, n.ID) {
			continue
		}
		if i := slices.IndexFunc(out, func(m inventory.Missing) bool { return m.Privilege == n.ID }); i >= 0 {
			out[i].Purpose += "; " + n.Purpose
			out[i].Roles = append(out[i].Roles, n.Role)
			continue
		}
		out = append(out, inventory.Missing{Privilege: n.ID, Purpose: n.Purpose, Entity: name, Roles: []inventory.Role{n.Role}})
	}
	return out, nil
}
