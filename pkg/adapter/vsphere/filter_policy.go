package vsphere

import (
	"context"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/pbm"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// policies runs fn with the API of storage policies.
func (c *Client) policies(ctx context.Context, op, subject string, fn func(ctx context.Context, pc *pbm.Client) error) error {
	return c.do(ctx, op, subject, func(ctx context.Context, v *vim25.Client) error {
		ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
		pc, err := pbm.NewClient(ctx, v)
		if err != nil {
			return err
		}
		return fn(ctx, pc)
	})
}

// policyID finds a storage policy by its name or id.
func (c *Client) policyID(ctx context.Context, op, policy string) (string, error) {
	id := ""
	err := c.policies(ctx, op, policy, func(ctx context.Context, pc *pbm.Client) error {
		ids, err := pc.QueryProfile(ctx, pbmtypes.PbmProfileResourceType{
			ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE),
		}, string(pbmtypes.PbmProfileCategoryEnumREQUIREMENT))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ids, func(p pbmtypes.PbmProfileId) bool { return p.UniqueId == policy }) {
			id = policy
			return nil
		}
		profiles, err := pc.RetrieveContent(ctx, ids)
		if err != nil {
			return err
		}
		for _, p := range profiles {
			if g := p.GetPbmProfile(); g.Name == policy {
				id = g.ProfileId.UniqueId
				return nil
			}
		}
		return cdp.Errorf(cdp.NotFound, op, policy, "there is no storage policy of that name").
			WithHint("create one with the I/O filter (Policies and Profiles, VM Storage Policies)")
	})
	return id, err
}

// byPolicy reports whether a storage policy attached the filter to a disk.
func (c *Client) byPolicy(ctx context.Context, op string, vm types.ManagedObjectReference, disk int32, filter string) (bool, error) {
	found := false
	err := c.policies(ctx, op, vm.String(), func(ctx context.Context, pc *pbm.Client) error {
		ids, err := pc.QueryAssociatedProfile(ctx, pbmtypes.PbmServerObjectRef{
			ObjectType: string(pbmtypes.PbmObjectTypeVirtualDiskId),
			Key:        fmt.Sprintf("%s:%d", vm.Value, disk),
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			brings, err := pc.QueryIOFiltersFromProfileId(ctx, id.UniqueId)
			if err != nil {
				return err
			}
			for _, b := range brings {
				found = found || slices.ContainsFunc(b.Iofilters, func(f pbmtypes.PbmIofilterInfo) bool {
					return inventory.SameFilter(f.VibId, filter)
				})
			}
		}
		return nil
	})
	if cdp.Is(err, cdp.Invalid) {
		// A server that does not support the query has no policies that attach
		// filters.
		return false, nil
	}
	return found, err
}
