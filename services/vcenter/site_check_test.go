package vcenter_test

import (
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// What other roles need is listed apart, and each privilege once.
func TestSiteCheckAsksForWhatTheSiteNeeds(t *testing.T) {
	w := newWorld(t)
	w.a.sim.Deny("Host.Config.Patch", "VApp.Import", "Network.Assign", "VirtualMachine.Config.ChangeTracking")
	check := func(roles ...inventory.Role) (lacks, later string) {
		r, err := ask[api.SiteCheck](w.ctx, w.a, api.VCenterCheck, api.CheckRequest{For: roles})
		w.must(err)
		text := func(all []inventory.Missing) string {
			var out []string
			for _, m := range all {
				x := m.Privilege
				for _, r := range m.Roles {
					x += " " + string(r)
				}
				out = append(out, x)
			}
			return strings.Join(out, "; ")
		}
		return text(r.Lacks), text(r.Later)
	}
	const tracking, network = "VirtualMachine.Config.ChangeTracking source", "Network.Assign target transporter"
	for _, c := range []struct {
		roles        []inventory.Role
		lacks, later string
	}{
		{nil, tracking + "; " + network + "; Host.Config.Patch iofilter; VApp.Import transporter", ""},
		{[]inventory.Role{inventory.Every}, "", tracking + "; " + network + "; Host.Config.Patch iofilter; VApp.Import transporter"},
		{[]inventory.Role{inventory.AsSource}, tracking, network + "; Host.Config.Patch iofilter; VApp.Import transporter"},
		{[]inventory.Role{inventory.AsTarget, inventory.ForFilter}, network + "; Host.Config.Patch iofilter", tracking + "; VApp.Import transporter"},
	} {
		if lacks, later := check(c.roles...); lacks != c.lacks || later != c.later {
			t.Errorf("for %v: lacks %q, later %q", c.roles, lacks, later)
		}
	}
}

// It names the site and says what to do.
func TestSiteCheckOfAMissingTransporter(t *testing.T) {
	w := newWorld(t)
	v, ok := w.vm(w.a, "transporter")
	if !ok {
		t.Fatal("there is no transporter")
	}
	w.must(w.a.c.Label(w.ctx, v.Ref, "elsewhere", v.Note, nil))
	w.until("it is missed", func() bool {
		r, err := ask[api.SiteCheck](w.ctx, w.a, api.VCenterCheck, api.CheckRequest{})
		w.must(err)
		if r.Transporter != nil {
			return false
		}
		text := strings.Join(r.Problems, "\n")
		for _, want := range []string{`there is no VM "transporter" at the site a`, "set spec.vsphere.transporter"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in: %s", want, text)
			}
		}
		return true
	})
}
