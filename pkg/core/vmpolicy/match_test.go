package vmpolicy_test

import (
	"fmt"
	"testing"

	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

func TestMatch(t *testing.T) {
	a, b, twin, tpl, rep := web("a"), web("b"), web("a"), web("tpl"), web("rep")
	twin.Path, twin.UUID = "/A/vm/Other/a", "uuid-twin"
	b.Tags, twin.Tags = []string{"tier/web"}, []string{"tier/web"}
	tpl.Template = true
	rep.Hardware.Extra = map[string]string{inventory.MarkGroup: "x"}
	agent, tenant, app := web("vCLS-1"), web("tenant"), web("app")
	agent.Manager, tenant.Manager, app.VApp = "com.vmware.vim.eam", "com.vmware.vcloud", true
	inv := inventory.Inventory{VMs: []inventory.VM{a, b, twin, tpl, rep, agent, tenant, app}}
	for _, p := range []string{"/A/vm/Prod", "/A/vm/Empty", "/A/vm/Twice", "/C/vm/Twice"} {
		inv.Folders = append(inv.Folders, place("Folder", p))
	}
	for _, c := range []struct {
		s    inventory.Selector
		want string
		rule string
	}{
		{inventory.Selector{Name: "b"}, "[/A/vm/Prod/b]", ""},
		{inventory.Selector{Name: "a"}, "[]", "ambiguous"},
		{inventory.Selector{Path: "/A/vm/Other/a"}, "[/A/vm/Other/a]", ""},
		{inventory.Selector{UUID: "UUID-A"}, "[/A/vm/Prod/a]", ""},
		{inventory.Selector{Folder: "Prod"}, "[/A/vm/Prod/a /A/vm/Prod/b]", ""},
		{inventory.Selector{Folder: "Prod", Exclude: []string{"a"}}, "[/A/vm/Prod/b]", ""},
		{inventory.Selector{Folder: "Prod", Exclude: []string{"a", "aa"}}, "[/A/vm/Prod/b]", "reference"},
		{inventory.Selector{Folder: "Empty"}, "[]", "reference"},
		{inventory.Selector{Tag: "tier/db"}, "[]", "reference"},
		{inventory.Selector{Folder: "Nowhere"}, "[]", "folder"},
		{inventory.Selector{Tag: "tier/web"}, "[/A/vm/Other/a /A/vm/Prod/b]", ""},
		{inventory.Selector{Name: "tpl"}, "[]", "unsupported"},
		{inventory.Selector{Name: "vCLS-1"}, "[]", "unsupported"},
		{inventory.Selector{Name: "tenant"}, "[/A/vm/Prod/tenant]", ""},
		{inventory.Selector{Name: "app"}, "[]", "unsupported"},
		{inventory.Selector{Folder: "Twice"}, "[]", "ambiguous"},
		{inventory.Selector{Folder: "/C/vm/Twice"}, "[]", "reference"},
		{inventory.Selector{Name: "rep"}, "[]", "unsupported"},
	} {
		got, bad := vmpolicy.Match(inv, []inventory.Selector{c.s, c.s}, "")
		var paths []string
		for _, v := range got {
			paths = append(paths, v.Path)
		}
		if fmt.Sprint(paths) != c.want || (len(bad) > 0) != (c.rule != "") || c.rule != "" && bad[0].Rule != c.rule {
			t.Errorf("%+v: %v, %+v", c.s, paths, bad)
		}
	}
}
