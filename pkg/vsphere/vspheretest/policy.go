package vspheretest

import (
	"slices"

	"github.com/vmware/govmomi/pbm"
	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbmsim "github.com/vmware/govmomi/pbm/simulator"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Policy makes a storage policy with this profile id (which is its name too)
// attach an I/O filter, given by id or name.
func (s *Site) Policy(id, filter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[id] = filter
}

// profiles is the stock profile manager with the site's policies beside the
// default ones.
type profiles struct {
	*pbmsim.ProfileManager
	s *Site
}

func (s *Site) extendPolicies() {
	if s.cfg.ESX {
		return
	}
	r := simulator.NewRegistry()
	r.Namespace, r.Path, r.Cookie = pbm.Namespace, pbm.Path, simulator.SOAPCookie
	for _, o := range pbmsim.New().AllReference("PbmProfileProfileManager") {
		r.Put(&profiles{o.(*pbmsim.ProfileManager), s})
	}
	s.svc.RegisterSDK(r)
}

func (p *profiles) Reference() types.ManagedObjectReference { return p.ProfileManager.Reference() }

func (p *profiles) all() map[string]string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	m := map[string]string{}
	for id, f := range p.s.policies {
		m[id] = f
	}
	return m
}

func (p *profiles) PbmQueryProfile(req *pbmtypes.PbmQueryProfile) soap.HasFault {
	body := p.ProfileManager.PbmQueryProfile(req).(*pbmmethods.PbmQueryProfileBody)
	if body.Res != nil {
		for id := range p.all() {
			body.Res.Returnval = append(body.Res.Returnval, pbmtypes.PbmProfileId{UniqueId: id})
		}
	}
	return body
}

func (p *profiles) PbmRetrieveContent(req *pbmtypes.PbmRetrieveContent) soap.HasFault {
	ours := p.all()
	var mine []pbmtypes.BasePbmProfile
	stock := slices.DeleteFunc(slices.Clone(req.ProfileIds), func(id pbmtypes.PbmProfileId) bool {
		if _, ok := ours[id.UniqueId]; !ok {
			return false
		}
		mine = append(mine, &pbmtypes.PbmCapabilityProfile{
			PbmProfile:      pbmtypes.PbmProfile{ProfileId: id, Name: id.UniqueId, Description: "I/O filter " + ours[id.UniqueId]},
			ProfileCategory: string(pbmtypes.PbmProfileCategoryEnumREQUIREMENT),
			ResourceType:    pbmtypes.PbmProfileResourceType{ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE)},
			Constraints:     &pbmtypes.PbmCapabilitySubProfileConstraints{},
		})
		return true
	})
	if len(stock) == 0 && len(mine) > 0 {
		return &pbmmethods.PbmRetrieveContentBody{Res: &pbmtypes.PbmRetrieveContentResponse{Returnval: mine}}
	}
	body := p.ProfileManager.PbmRetrieveContent(&pbmtypes.PbmRetrieveContent{This: req.This, ProfileIds: stock}).(*pbmmethods.PbmRetrieveContentBody)
	if body.Res != nil {
		body.Res.Returnval = append(body.Res.Returnval, mine...)
	}
	return body
}

func (p *profiles) PbmQueryIOFiltersFromProfileId(req *pbmtypes.PbmQueryIOFiltersFromProfileId) soap.HasFault {
	ours := p.all()
	body := &pbmmethods.PbmQueryIOFiltersFromProfileIdBody{Res: &pbmtypes.PbmQueryIOFiltersFromProfileIdResponse{}}
	for _, id := range req.ProfileIds {
		m := pbmtypes.PbmProfileToIofilterMap{Key: id}
		if f, ok := ours[id.UniqueId]; ok {
			m.Iofilters = []pbmtypes.PbmIofilterInfo{{VibId: f, FilterType: string(types.IoFilterTypeReplication)}}
		}
		body.Res.Returnval = append(body.Res.Returnval, m)
	}
	return body
}
