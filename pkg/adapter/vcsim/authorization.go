package vcsim

import (
	"reflect"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// authMethods answers what the user may do, and stores the disabled methods.
type authMethods struct{ target }

// Deny removes privileges of the user, such as
// "VirtualMachine.State.CreateSnapshot".
func (s *Site) Deny(privileges ...string) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	for _, p := range privileges {
		s.gate.denied[p] = true
	}
}

// Allow restores privileges; without arguments, all.
func (s *Site) Allow(privileges ...string) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if len(privileges) == 0 {
		clear(s.gate.denied)
	}
	for _, p := range privileges {
		delete(s.gate.denied, p)
	}
}

func (m *authMethods) granted(p string) bool {
	m.s.gate.mu.Lock()
	defer m.s.gate.mu.Unlock()
	return !m.s.gate.denied[p]
}

func (m *authMethods) FetchUserPrivilegeOnEntities(ctx *simulator.Context, req *types.FetchUserPrivilegeOnEntities) soap.HasFault {
	am := ctx.Map.Get(req.This).(*simulator.AuthorizationManager)
	var all []string
	for _, p := range object.AuthorizationRoleList(am.RoleList).ByName("Admin").Privilege {
		if m.granted(p) {
			all = append(all, p)
		}
	}
	body := &methods.FetchUserPrivilegeOnEntitiesBody{Res: &types.FetchUserPrivilegeOnEntitiesResponse{}}
	for _, e := range req.Entities {
		body.Res.Returnval = append(body.Res.Returnval, types.UserPrivilegeResult{Entity: e, Privileges: all})
	}
	return body
}

func (m *authMethods) entity(e types.ManagedObjectReference, ids []string) types.EntityPrivilege {
	r := types.EntityPrivilege{Entity: e}
	for _, id := range ids {
		r.PrivAvailability = append(r.PrivAvailability, types.PrivilegeAvailability{PrivId: id, IsGranted: m.granted(id)})
	}
	return r
}

func (m *authMethods) HasUserPrivilegeOnEntities(ctx *simulator.Context, req *types.HasUserPrivilegeOnEntities) soap.HasFault {
	body := &methods.HasUserPrivilegeOnEntitiesBody{Res: &types.HasUserPrivilegeOnEntitiesResponse{}}
	for _, e := range req.Entities {
		body.Res.Returnval = append(body.Res.Returnval, m.entity(e, req.PrivId))
	}
	return body
}

func (m *authMethods) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	body := &methods.HasPrivilegeOnEntitiesBody{Res: &types.HasPrivilegeOnEntitiesResponse{}}
	for _, e := range req.Entity {
		body.Res.Returnval = append(body.Res.Returnval, m.entity(e, req.PrivId))
	}
	return body
}

// DisableMethods and EnableMethods are internal methods of vCenter that govmomi can
// call but has no types for.
type DisableMethods struct {
	This   types.ManagedObjectReference   `xml:"_this"`
	Entity []types.ManagedObjectReference `xml:"entity"`
	Method []object.DisabledMethodRequest `xml:"method"`
	Source string                         `xml:"sourceId"`
	Scope  bool                           `xml:"sessionScope,omitempty"`
}

type EnableMethods struct {
	This   types.ManagedObjectReference   `xml:"_this"`
	Entity []types.ManagedObjectReference `xml:"entity"`
	Method []string                       `xml:"method"`
	Source string                         `xml:"sourceId"`
}

// The decoder finds types by name in a global table; it must be complete before
// the first request anywhere.
func init() {
	types.Add("DisableMethods", reflect.TypeFor[DisableMethods]())
	types.Add("EnableMethods", reflect.TypeFor[EnableMethods]())
}

type DisableMethodsResponse struct{}
type EnableMethodsResponse struct{}

type disableBody struct {
	Res    *DisableMethodsResponse `xml:"urn:vim25 DisableMethodsResponse,omitempty"`
	Fault_ *soap.Fault             `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

type enableBody struct {
	Res    *EnableMethodsResponse `xml:"urn:vim25 EnableMethodsResponse,omitempty"`
	Fault_ *soap.Fault            `xml:"http://schemas.xmlsoap.org/soap/envelope/ Fault,omitempty"`
}

func (b *disableBody) Fault() *soap.Fault { return b.Fault_ }
func (b *enableBody) Fault() *soap.Fault  { return b.Fault_ }

func (m *authMethods) DisableMethods(ctx *simulator.Context, req *DisableMethods) soap.HasFault {
	for _, e := range req.Entity {
		m.s.setDisabled(ctx, e, func(set map[string]string) {
			for _, x := range req.Method {
				set[x.Method] = req.Source
			}
		})
	}
	return &disableBody{Res: &DisableMethodsResponse{}}
}

func (m *authMethods) EnableMethods(ctx *simulator.Context, req *EnableMethods) soap.HasFault {
	for _, e := range req.Entity {
		m.s.setDisabled(ctx, e, func(set map[string]string) {
			for _, x := range req.Method {
				delete(set, x)
			}
		})
	}
	return &enableBody{Res: &EnableMethodsResponse{}}
}

func (s *Site) setDisabled(ctx *simulator.Context, e types.ManagedObjectReference, f func(map[string]string)) {
	g := s.gate
	g.mu.Lock()
	set := g.disabled[e]
	if set == nil {
		set = map[string]string{}
		g.disabled[e] = set
	}
	f(set)
	var names []string
	for n := range set {
		names = append(names, n)
	}
	g.mu.Unlock()
	slices.Sort(names)
	if o, ok := ctx.Map.Get(e).(mo.Entity); ok {
		ctx.WithLock(o, func() { ctx.Update(o, []types.PropertyChange{{Name: "disabledMethod", Val: names}}) })
	}
}

func (s *Site) disabledMethod(e types.ManagedObjectReference, method string) fault {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	if source, ok := s.gate.disabled[e][method]; ok {
		return &types.MethodDisabled{Source: source}
	}
	return nil
}
