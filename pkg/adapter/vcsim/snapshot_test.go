package vcsim_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
	"tidemark.dev/pkg/adapter/vcsim"
)

func (c *client) write(vm string, key int32, off int64, text string) {
	c.t.Helper()
	c.ok(c.s.GuestWrite(vm, key, off, []byte(text)))
}

func (c *client) guest(vm string, key int32, off int64, n int) string {
	c.t.Helper()
	b := make([]byte, n)
	c.ok(c.s.GuestRead(vm, key, off, b))
	return string(b)
}

func (c *client) removeSnapshot(snap types.ManagedObjectReference, children bool) error {
	c.t.Helper()
	r, err := methods.RemoveSnapshot_Task(c.ctx, c.Client, &types.RemoveSnapshot_Task{This: snap, RemoveChildren: children})
	c.ok(err)
	return object.NewTask(c.Client.Client, r.Returnval).Wait(c.ctx)
}

func TestSnapshotIsFrozen(t *testing.T) {
	c := site(t, vcsim.Config{})
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: 4 * mib}}, On: true})
	appl, _ := c.add(vcsim.VMSpec{Name: "appl", Disks: []vcsim.DiskSpec{{Size: mib}}, On: true})
	key, base := ref.Disks[0].Key, ref.Disks[0].File
	c.write("x", key, 0, "before")
	snap := c.snapshot(vm, "s1")
	c.write("x", key, 0, "after!")
	// A guest outside the process writes to the flat file it opened at power-on.
	c.ok(os.WriteFile(ref.Disks[0].Flat+".probe", nil, 0o600))
	f, err := os.OpenFile(ref.Disks[0].Flat, os.O_RDWR, 0)
	c.ok(err)
	_, err = f.WriteAt([]byte("qemu"), mib)
	c.ok(err)
	c.ok(f.Close())
	if got := c.guest("x", key, mib, 4); got != "qemu" {
		t.Errorf("guest reads %q", got)
	}
	live := c.disks(vm)[0]
	if b := backing(live); !strings.HasSuffix(b.FileName, "-000001.vmdk") || b.Parent == nil || b.Parent.FileName != base {
		t.Errorf("live disk: %+v", b)
	}
	sd := c.snapDisk(snap, 0)
	if backing(sd).FileName != base {
		t.Errorf("snapshot's disk: %s", backing(sd).FileName)
	}
	// The running VM's own disk is locked, its parent may be read.
	if _, err = c.attach(appl, backing(live).FileName, types.VirtualDiskModeIndependent_nonpersistent); !fault.Is(err, &types.FileLocked{}) {
		t.Errorf("live disk: %v", err)
	}
	if _, err = c.attach(appl, base, types.VirtualDiskModePersistent); !fault.Is(err, &types.FileLocked{}) {
		t.Errorf("parent, to write: %v", err)
	}
	d, err := c.attach(appl, base, types.VirtualDiskModeIndependent_nonpersistent)
	c.ok(err)
	b, err := os.ReadFile(device(c.s, "appl", backing(d).Uuid))
	c.ok(err)
	if string(b[:6]) != "before" || string(b[mib:mib+4]) != "\x00\x00\x00\x00" {
		t.Errorf("frozen: %q %q", b[:6], b[mib:mib+4])
	}
	// While it is read the snapshot goes but cannot be merged.
	if err = c.removeSnapshot(snap, false); !fault.Is(err, &types.FileLocked{}) {
		t.Errorf("remove while attached: %v", err)
	}
	m := c.props(vm, "runtime.consolidationNeeded", "snapshot")
	if !m.Runtime.ConsolidationNeeded || m.Snapshot != nil {
		t.Errorf("%+v", m.Snapshot)
	}
	c.ok(appl.RemoveDevice(c.ctx, true, d))
	r, err := methods.ConsolidateVMDisks_Task(c.ctx, c.Client, &types.ConsolidateVMDisks_Task{This: vm.Reference()})
	c.ok(err)
	c.ok(object.NewTask(c.Client.Client, r.Returnval).Wait(c.ctx))
	if b := backing(c.disks(vm)[0]); b.FileName != base || b.Parent != nil || c.s.Frozen() != 0 {
		t.Errorf("after consolidation: %s, %d frozen", b.FileName, c.s.Frozen())
	}
	if got := c.guest("x", key, 0, 6) + c.guest("x", key, mib, 4); got != "after!qemu" {
		t.Errorf("%q", got)
	}
	if p, _ := c.s.FlatPath(base); p != ref.Disks[0].Flat {
		t.Errorf("the flat file moved: %s", p)
	}
}

// TestSnapshotChains does random things to a VM's snapshots and compares every
// disk with a model that copies whole contents.
func TestSnapshotChains(t *testing.T) {
	c := site(t, vcsim.Config{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	vm, ref := c.add(vcsim.VMSpec{Name: "x", Disks: []vcsim.DiskSpec{{Size: mib}}})
	key := ref.Disks[0].Key
	const cells = 8
	live := [cells]string{}
	model := map[types.ManagedObjectReference][cells]string{}
	var order []types.ManagedObjectReference
	for step := range 40 {
		switch op := rnd.IntN(10); {
		case op < 4:
			i := rnd.IntN(cells)
			live[i] = fmt.Sprintf("%04d", step)
			c.write("x", key, int64(i)*grain, live[i])
		case op < 7:
			s := c.snapshot(vm, fmt.Sprint(step))
			model[s] = live
			order = append(order, s)
		case op < 8 && len(order) > 0:
			i := rnd.IntN(len(order))
			c.ok(c.removeSnapshot(order[i], false))
			delete(model, order[i])
			order = append(order[:i], order[i+1:]...)
		case op < 9 && len(order) > 0:
			s := order[rnd.IntN(len(order))]
			r, err := methods.RevertToSnapshot_Task(c.ctx, c.Client, &types.RevertToSnapshot_Task{This: s})
			c.ok(err)
			c.ok(object.NewTask(c.Client.Client, r.Returnval).Wait(c.ctx))
			live = model[s]
		}
		for i, want := range live {
			if got := strings.Trim(c.guest("x", key, int64(i)*grain, 4), "\x00"); got != want {
				t.Fatalf("step %d: live cell %d is %q, want %q", step, i, got, want)
			}
		}
		for s, cellsOf := range model {
			b := backing(c.snapDisk(s, key))
			for i, want := range cellsOf {
				if got := strings.Trim(string(c.content(b.FileName, int64(i)*grain, 4)), "\x00"); got != want {
					t.Fatalf("step %d: snapshot %s (%s) cell %d is %q, want %q", step, s.Value, b.FileName, i, got, want)
				}
			}
		}
		if b := backing(c.disks(vm)[0]); b.FileName == "" {
			t.Fatal("no name")
		}
	}
	c.must(vm.RemoveAllSnapshot(c.ctx, types.NewBool(true)))
	if b := backing(c.disks(vm)[0]); b.FileName != ref.Disks[0].File || b.Parent != nil || c.s.Frozen() != 0 {
		t.Errorf("after all: %s, %d frozen, %v", b.FileName, c.s.Frozen(), c.s.Files("vc-ds1"))
	}
	for _, f := range c.s.Files("vc-ds1") {
		if strings.Contains(f, "-00000") || strings.HasSuffix(f, ".vmsn") {
			t.Errorf("left behind: %s", f)
		}
	}
}

const grain = 64 << 10
