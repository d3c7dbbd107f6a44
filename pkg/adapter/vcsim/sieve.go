package vcsim

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// sieve gives a property collector only those updates that its filters can be about.
// For each update, whatever it is of, the simulator copies all objects of all filters
// through XML, which took a third of the time of tests. In the registry the sieve takes
// the collector's place, because it has the same reference.
type sieve struct {
	*simulator.PropertyCollector
	about subject
}

// subject are the properties that filters are about, by the type of the object; none
// means all. A nil subject is everything.
type subject map[string][]string

var _ simulator.RegisterObject = sieve{}

func (s sieve) PutObject(ctx *simulator.Context, o mo.Reference) {
	if s.about.has(o.Reference().Type) {
		s.PropertyCollector.PutObject(ctx, o)
	}
}

func (s sieve) UpdateObject(ctx *simulator.Context, o mo.Reference, changes []types.PropertyChange) {
	if s.about.has(o.Reference().Type, changes...) {
		s.PropertyCollector.UpdateObject(ctx, o, s.about.whole(o, changes))
	}
}

func (s sieve) RemoveObject(ctx *simulator.Context, ref types.ManagedObjectReference) {
	if s.about.has(ref.Type) {
		s.PropertyCollector.RemoveObject(ctx, ref)
	}
}

// has reports whether objects of a type belong to the subject, and one of the changes
// does if there are any.
func (s subject) has(kind string, changes ...types.PropertyChange) bool {
	paths, ok := s[kind]
	if !ok || len(paths) == 0 || len(changes) == 0 {
		return ok
	}
	return slices.ContainsFunc(changes, func(c types.PropertyChange) bool {
		return slices.ContainsFunc(paths, func(p string) bool {
			return strings.HasPrefix(c.Name, p) || strings.HasPrefix(p, c.Name)
		})
	})
}

// exact are types that no other type is derived from.
var exact = []string{"VirtualMachine", "HostSystem", "Datastore", "Task", "ContainerView", "ListView"}

// subjectOf is what a filter is about.
func subjectOf(f types.PropertyFilterSpec) subject {
	s := subject{}
	for _, p := range f.PropSet {
		s[p.Type] = p.PathSet
		if p.All != nil && *p.All {
			s[p.Type] = nil
		}
	}
	for _, o := range f.ObjectSet {
		if len(o.SelectSet) > 0 { // its own properties lead to other objects
			s[o.Obj.Type] = nil
		}
	}
	for kind := range s {
		if !slices.Contains(exact, kind) {
			return nil
		}
	}
	return s
}

// sift notes what a collector's filter is about, and puts the sieve in front of the
// collector once it has reported everything there is. A collector with several filters
// gets none. g.mu is held.
func (g *gate) sift(ctx *simulator.Context, pc *simulator.PropertyCollector, m *simulator.Method) {
	switch b := m.Body.(type) {
	case *types.CreateFilter:
		_, more := g.subjects[pc]
		if g.subjects[pc] = subjectOf(b.Spec); more {
			g.subjects[pc] = nil
		}
	case *types.WaitForUpdatesEx:
		if s := g.subjects[pc]; s != nil && b.Version != "" {
			ctx.Map.AddHandler(sieve{pc, s})
		}
	case *types.DestroyPropertyCollector:
		delete(g.subjects, pc)
	}
}
