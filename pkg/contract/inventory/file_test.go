package inventory_test

import (
	"testing"

	"tidemark.dev/pkg/contract/inventory"
)

func TestFilesAreTakenApartWhateverTheirDatastoreIsCalled(t *testing.T) {
	for _, x := range []struct{ file, datastore, rest, clean string }{
		{"[ds1] web/web.vmdk", "ds1", "web/web.vmdk", "[ds1] web/web.vmdk"},
		{" [ds1]web//web.vmdk ", "ds1", "web//web.vmdk", "[ds1] web/web.vmdk"},
		{"[vsanDatastore (1)] a b/c.vmdk", "vsanDatastore (1)", "a b/c.vmdk", "[vsanDatastore (1)] a b/c.vmdk"},
		{"[a[1]] x/./y.vmdk", "a[1]", "x/./y.vmdk", "[a[1]] x/y.vmdk"},
		{"[[old]-ds] x/y.vmdk", "[old]-ds", "x/y.vmdk", "[[old]-ds] x/y.vmdk"},
		{"[ds] a] b/c.vmdk", "ds", "a] b/c.vmdk", "[ds] a] b/c.vmdk"},
		{"[a%2fb] x/y.vmdk", "a%2fb", "x/y.vmdk", "[a%2fb] x/y.vmdk"},
		{"[50%] 数据/é.vmdk", "50%", "数据/é.vmdk", "[50%] 数据/é.vmdk"},
		{"[ds1]", "ds1", "", "[ds1]"},
		{"[ds1] ../../x.vmdk", "ds1", "../../x.vmdk", "[ds1] x.vmdk"},
	} {
		ds, rest, ok := inventory.SplitFile(x.file)
		if !ok || ds != x.datastore || rest != x.rest || inventory.CleanFile(x.file) != x.clean {
			t.Errorf("%q is %q and %q (%v), and %q in its canonical form", x.file, ds, rest, ok, inventory.CleanFile(x.file))
		}
	}
	for _, file := range []string{"", "ds1/x.vmdk", "[ds1", "x] y"} {
		if _, _, ok := inventory.SplitFile(file); ok || inventory.CleanFile(file) != file {
			t.Errorf("%q is no path of a file", file)
		}
	}
}

func TestADatastoreHoldsFilesByItsNameEscapedOrNot(t *testing.T) {
	for name, files := range map[string][]string{
		"a/b": {"[a/b] x.vmdk", "[a%2fb] x.vmdk", "[a%2Fb] x.vmdk"},
		"50%": {"[50%] x.vmdk", "[50%25] x.vmdk"},
		"a b": {"[a b] x.vmdk"},
	} {
		d := inventory.Datastore{Place: inventory.Place{Name: name}}
		for _, file := range files {
			if !d.Holds(file) {
				t.Errorf("%q does not hold %q", name, file)
			}
		}
		if d.Holds("[other] x.vmdk") || d.Holds("x.vmdk") {
			t.Errorf("%q holds what is elsewhere", name)
		}
	}
}
