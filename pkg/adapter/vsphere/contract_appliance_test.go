package vsphere_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// diskContent is of the disk of an OVA; it does not shrink to nothing.
func diskContent() []byte {
	b := bytes.Repeat([]byte("what a transporter is made of. "), 4<<20/31+1)[:4<<20]
	for i := range b {
		b[i] ^= byte(i >> 8 * 7)
	}
	return b
}

// appliance are the files of a good OVA: descriptor, manifest, disk.
func appliance(t *testing.T) []vcsim.File { return vcsim.Appliance(t, diskContent()) }

func (e *env) importing(ova, name string) inventory.Import {
	return inventory.Import{
		OVA: ova, Name: e.prefix + "-" + name, Note: "a transporter", Host: e.host.Ref, Pool: e.cluster.Pool, Folder: e.folder.Ref, Datastore: e.store.Ref,
		Networks:  map[string]inventory.Ref{"": e.network.Ref},
		Guestinfo: map[string]string{"guestinfo.site": "paris", "guestinfo.tidemark": "role=transporter"},
		Extra:     map[string]string{"disk.EnableUUID": "TRUE"},
	}
}

// named is a VM of the inventory.
func (e *env) named(name string) (inventory.VM, bool) {
	e.Helper()
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	i := slices.IndexFunc(inv.VMs, func(v inventory.VM) bool { return v.Name == name })
	if i < 0 {
		return inventory.VM{}, false
	}
	return inv.VMs[i], true
}

func contractImport(e *env) {
	i := e.importing(vcsim.OVA(e.T, appliance(e.T)...), "transporter")
	var seen []int
	ref, err := e.c.Import(e.ctx, i, func(p int) { seen = append(seen, p) })
	e.must(err)
	e.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := e.c.Destroy(ctx, ref, true); err != nil {
			e.Errorf("clean up: %v", err)
		}
	})
	if len(seen) < 2 || !slices.IsSorted(seen) || seen[0] != 0 || seen[len(seen)-1] != 100 {
		e.Errorf("its progress was %v", seen)
	}
	v, ok := e.named(i.Name)
	if !ok || v.Ref != ref {
		e.Fatalf("it is not in the inventory: %+v", v)
	}
	h := v.Hardware
	if v.Power != "off" || v.Note != i.Note || h.CPUs != 2 || h.MemoryMB != 128 || len(h.Disks) != 1 || h.Disks[0].Size != 4<<20 {
		e.Errorf("it is %+v", v)
	}
	if len(h.NICs) != 1 || h.NICs[0].Network != e.network.Ref {
		e.Errorf("its NICs are %+v, not on %s", h.NICs, e.network.Ref)
	}
	extra, err := e.c.Extra(e.ctx, ref)
	e.must(err)
	for _, m := range []map[string]string{i.Guestinfo, i.Extra} {
		for k, want := range m {
			if extra[k] != want {
				e.Errorf("%s is %q, not %q", k, extra[k], want)
			}
		}
	}
	_, err = e.c.Import(e.ctx, i, nil)
	e.is(err, cdp.Conflict, "taken")
}

// Tidemark's own OVA has a blank data disk, unless the VM gets another one's.
func contractImportOwn(e *env) {
	ova := vcsim.OVA(e.T, vcsim.WithDataDisk(appliance(e.T), 8<<20)...)
	for _, keep := range []bool{false, true} {
		i := e.importing(ova, fmt.Sprintf("own-%v", keep))
		i.KeepData = keep
		ref, err := e.c.Import(e.ctx, i, nil)
		e.must(err)
		e.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := e.c.Destroy(ctx, ref, true); err != nil {
				e.Errorf("clean up: %v", err)
			}
		})
		v, _ := e.named(i.Name)
		var sizes []int64
		for _, d := range v.Hardware.Disks {
			if at := v.Hardware.Address(d); at != inventory.OwnData || d.Size == 8<<20 {
				sizes = append(sizes, d.Size)
			}
		}
		want := []int64{4 << 20, 8 << 20}
		if keep {
			want = want[:1]
		}
		if !slices.Equal(sizes, want) || v.Mark(inventory.MarkData) != inventory.OwnData {
			e.Errorf("keeping data: %v: its disks are %+v, marked %q", keep, v.Hardware.Disks, v.Mark(inventory.MarkData))
		}
	}
}

// The disk's content is that of the OVA, with or without a manifest.
func TestImportedContent(t *testing.T) {
	e := target(t, vcsim.Config{})
	files := appliance(t)
	_, err := e.c.Import(e.ctx, e.importing(vcsim.OVA(t, files[0], files[2]), "a"), nil)
	e.must(err)
	made, err := e.sim.VM(e.prefix + "-a")
	e.must(err)
	got, err := os.ReadFile(made.Disks[0].Flat)
	e.must(err)
	if !bytes.Equal(got, diskContent()) {
		t.Error("it differs")
	}
}

func TestBadOVA(t *testing.T) {
	e := target(t, vcsim.Config{})
	good := appliance(t)
	change := func(name string, f func([]byte) []byte) []vcsim.File {
		files := slices.Clone(good)
		for i := range files {
			if files[i].Name == name {
				files[i].Body = f(bytes.Clone(files[i].Body))
			}
		}
		return files
	}
	for name, c := range map[string]struct {
		files []vcsim.File
		says  string
	}{
		"damaged disk":  {change("disk1.vmdk", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), "checksum"},
		"short disk":    {change("disk1.vmdk", func(b []byte) []byte { return b[:len(b)-512] }), "bytes"},
		"not OVF":       {change("transporter.ovf", func([]byte) []byte { return []byte("<Envelope") }), "not OVF"},
		"no descriptor": {good[1:], "no .ovf"},
		"no disk":       {good[:2], "disk1.vmdk"},
		"two":           {append(slices.Clone(good), vcsim.File{Name: "b.ovf", Body: []byte("x")}), "two descriptors"},
		"no sum":        {change("transporter.mf", func(b []byte) []byte { return bytes.SplitAfter(b, []byte("\n"))[0] }), "does not name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.c.Import(e.ctx, e.importing(vcsim.OVA(t, c.files...), "bad"), nil)
			wantError(t, err, cdp.Invalid, c.says)
		})
	}
	t.Run("cut off", func(t *testing.T) {
		ova := vcsim.OVA(t, good...)
		s, err := os.Stat(ova)
		e.must(err)
		e.must(os.Truncate(ova, s.Size()-40000))
		_, err = e.c.Import(e.ctx, e.importing(ova, "bad"), nil)
		wantError(t, err, cdp.Invalid, "not copied whole")
	})
	t.Run("no tar", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "a.ova")
		e.must(os.WriteFile(name, []byte(strings.Repeat("no", 1000)), 0o600))
		_, err := e.c.Import(e.ctx, e.importing(name, "bad"), nil)
		wantError(t, err, cdp.Invalid, "tar")
	})
	t.Run("networks", func(t *testing.T) {
		i := e.importing(vcsim.OVA(t, good...), "bad")
		i.Networks = map[string]inventory.Ref{"back": e.network.Ref}
		_, err := e.c.Import(e.ctx, i, nil)
		wantError(t, err, cdp.Invalid, "back", "front")
		i.Networks = nil
		_, err = e.c.Import(e.ctx, i, nil)
		wantError(t, err, cdp.Invalid, "front")
	})
	if e.sim.Calls("ImportVApp") != 0 {
		t.Error("something was uploaded")
	}
}

func TestImportGivenUp(t *testing.T) {
	e := target(t, vcsim.Config{})
	i := e.importing(vcsim.OVA(t, appliance(t)...), "given-up")
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	_, err := e.c.Import(ctx, i, func(int) { cancel() })
	e.is(err, cdp.Transient, "canceled")
	if e.sim.Calls("HttpNfcLeaseAbort") != 1 {
		t.Error("the lease was not given up")
	}
	if _, ok := e.named(i.Name); ok {
		t.Error("it left a VM")
	}
	_, err = e.c.Import(e.ctx, i, nil)
	e.must(err)
}
