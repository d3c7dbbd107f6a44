package vcsim

import (
	"maps"
	"slices"

	"github.com/vmware/govmomi/pbm"
	"github.com/vmware/govmomi/pbm/methods"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Policy adds a storage policy with this profile id, which is also its name, that
// attaches an I/O filter, given by id or name.
func (s *Site) Policy(id, filter string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies[id] = filter
}

// The storage policy service is ours: the stock one writes to package globals
// whenever a site is made, while others read them.
func (s *Site) registerPolicies() {
	if s.cfg.ESX {
		return
	}
	r := simulator.NewRegistry()
	r.Namespace, r.Path, r.Cookie = pbm.Namespace, pbm.Path, simulator.SOAPCookie
	p := &profiles{newTarget(types.ManagedObjectReference{Type: "PbmProfileProfileManager", Value: "ProfileManager"}, s)}
	r.Put(p)
	r.Put(&policyService{target: newTarget(pbm.ServiceInstance, s), profiles: p.Self})
	s.svc.RegisterSDK(r)
}

type policyService struct {
	target
	profiles types.ManagedObjectReference
}

func (p *policyService) PbmRetrieveServiceContent(*pbmtypes.PbmRetrieveServiceContent) soap.HasFault {
	ref := func(kind, value string) types.ManagedObjectReference {
		return types.ManagedObjectReference{Type: kind, Value: value}
	}
	return &methods.PbmRetrieveServiceContentBody{Res: &pbmtypes.PbmRetrieveServiceContentResponse{Returnval: pbmtypes.PbmServiceInstanceContent{
		AboutInfo:                 pbmtypes.PbmAboutInfo{Name: "PBM", Version: "2.0", InstanceUuid: "pbm-" + p.s.cfg.Name},
		SessionManager:            ref("PbmSessionManager", "SessionManager"),
		CapabilityMetadataManager: ref("PbmCapabilityMetadataManager", "CapabilityMetadataManager"),
		ProfileManager:            p.profiles,
		ComplianceManager:         ref("PbmComplianceManager", "complianceManager"),
		PlacementSolver:           ref("PbmPlacementSolver", "placementSolver"),
	}}}
}

// profiles is the profile manager.
type profiles struct{ target }

func (p *profiles) all() map[string]string {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return maps.Clone(p.s.policies)
}

func (p *profiles) PbmQueryProfile(*pbmtypes.PbmQueryProfile) soap.HasFault {
	res := &pbmtypes.PbmQueryProfileResponse{}
	for _, id := range slices.Sorted(maps.Keys(p.all())) {
		res.Returnval = append(res.Returnval, pbmtypes.PbmProfileId{UniqueId: id})
	}
	return &methods.PbmQueryProfileBody{Res: res}
}

func (p *profiles) PbmRetrieveContent(req *pbmtypes.PbmRetrieveContent) soap.HasFault {
	all := p.all()
	res := &pbmtypes.PbmRetrieveContentResponse{}
	for _, id := range req.ProfileIds {
		f, ok := all[id.UniqueId]
		if !ok {
			return &methods.PbmRetrieveContentBody{Fault_: soapFault(&types.InvalidArgument{InvalidProperty: "profileIds"})}
		}
		res.Returnval = append(res.Returnval, &pbmtypes.PbmCapabilityProfile{
			PbmProfile:      pbmtypes.PbmProfile{ProfileId: id, Name: id.UniqueId, Description: "I/O filter " + f},
			ProfileCategory: string(pbmtypes.PbmProfileCategoryEnumREQUIREMENT),
			ResourceType:    pbmtypes.PbmProfileResourceType{ResourceType: string(pbmtypes.PbmProfileResourceTypeEnumSTORAGE)},
			Constraints:     &pbmtypes.PbmCapabilitySubProfileConstraints{},
		})
	}
	return &methods.PbmRetrieveContentBody{Res: res}
}

func (p *profiles) PbmQueryIOFiltersFromProfileId(req *pbmtypes.PbmQueryIOFiltersFromProfileId) soap.HasFault {
	all := p.all()
	res := &pbmtypes.PbmQueryIOFiltersFromProfileIdResponse{}
	for _, id := range req.ProfileIds {
		m := pbmtypes.PbmProfileToIofilterMap{Key: id}
		if f, ok := all[id.UniqueId]; ok {
			m.Iofilters = []pbmtypes.PbmIofilterInfo{{VibId: f, FilterType: string(types.IoFilterTypeReplication)}}
		}
		res.Returnval = append(res.Returnval, m)
	}
	return &methods.PbmQueryIOFiltersFromProfileIdBody{Res: res}
}
