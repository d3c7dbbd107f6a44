package vsphere_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// source is the hardware that the contract's VMs are made of: what a replica's
// may look like, with keys that a new VM will not have.
func (r *rig) source() inventory.Hardware {
	return inventory.Hardware{
		Version: "vmx-15", GuestID: "otherLinux64Guest", CPUs: 4, PerSocket: 2, MemoryMB: 512, Firmware: "efi", SecureBoot: true,
		NestedHV: true, CPUHotAdd: true, MemoryHotAdd: true, VBS: true, IOMMU: true,
		Controllers: []inventory.Controller{
			{Key: 200, Kind: "ide", Bus: 0},
			{Key: 7000, Kind: "pvscsi", Bus: 0, Sharing: "none"},
			{Key: 7001, Kind: "lsilogic-sas", Bus: 1, Sharing: "none"},
			{Key: 7100, Kind: "nvme", Bus: 0},
		},
		NICs: []inventory.NIC{
			{Key: 9000, Label: "Network adapter 1", Kind: "vmxnet3", NetName: "a", MAC: "00:50:56:a1:02:03", Connected: true},
			{Key: 9001, Label: "Network adapter 2", Kind: "e1000e", NetName: "b", MAC: "00:50:56:a1:02:04"},
		},
		Extra: map[string]string{"disk.EnableUUID": "TRUE"},
	}
}

func (r *rig) networks() map[int32]inventory.Ref {
	return map[int32]inventory.Ref{9000: r.nets[0], 9001: r.nets[1]}
}

func (r *rig) spec(name string) inventory.Make {
	return inventory.Make{
		Name: r.name(name), Note: "a replica", Folder: r.folder.Ref, Pool: r.cluster.Pool, Host: r.host.Ref, Datastore: r.store.Ref,
		Hardware: r.source(), Networks: r.networks(), Extra: map[string]string{"tidemark.test": name},
	}
}

// make makes a VM that is destroyed at the test's end.
func (r *rig) make(m inventory.Make) inventory.Ref {
	r.Helper()
	ref, err := r.c.MakeVM(r.ctx, m)
	r.must(err)
	r.made = append(r.made, ref)
	return ref
}

// disk makes a disk that is deleted at the test's end.
func (r *rig) disk(name string, size int64) string {
	r.Helper()
	file := fmt.Sprintf("[%s] %s/%s.vmdk", r.store.Name, r.name("disks"), name)
	r.must(r.c.MakeDisk(r.ctx, r.dc.Ref, file, size))
	r.files = append(r.files, file)
	return file
}

// clean leaves nothing: the VMs first, for they hold the disks.
func (r *rig) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, ref := range r.made {
		if err := r.c.PowerOff(ctx, ref); cdp.Is(err, cdp.NotFound) {
			continue
		}
		if err := r.c.Destroy(ctx, ref, true); err != nil {
			r.Errorf("clean up: %v", err)
		}
	}
	for _, file := range r.files {
		if err := r.c.DeleteDisk(ctx, r.dc.Ref, file, ""); err != nil {
			r.Errorf("clean up: %v", err)
		}
	}
}

// see is the VM as the inventory has it.
func (r *rig) see(ref inventory.Ref) inventory.VM {
	r.Helper()
	inv, err := r.c.Inventory(r.ctx)
	r.must(err)
	for _, v := range inv.VMs {
		if v.Ref == ref {
			return v
		}
	}
	r.Fatalf("the inventory has no %s", ref)
	return inventory.VM{}
}

func testMakeVM(r *rig) {
	for _, keep := range []bool{true, false} {
		m := r.spec(fmt.Sprintf("made-%v", keep))
		m.KeepMAC = keep
		ref := r.make(m)
		v := r.see(ref)
		h, want := v.Hardware, m.Hardware
		if v.Name != m.Name || v.Note != m.Note || v.UUID == "" || v.Power != "off" {
			r.Errorf("made %+v", v)
		}
		if h.Version != want.Version || h.GuestID != want.GuestID || h.CPUs != want.CPUs || h.PerSocket != want.PerSocket ||
			h.MemoryMB != want.MemoryMB || h.Firmware != want.Firmware || h.SecureBoot != want.SecureBoot || !h.NestedHV || !h.CPUHotAdd || !h.MemoryHotAdd || !h.VBS || !h.IOMMU || len(h.Disks) != 0 {
			r.Errorf("hardware %+v", h)
		}
		for _, c := range want.Controllers {
			if !slices.ContainsFunc(h.Controllers, func(g inventory.Controller) bool { return g.Kind == c.Kind && g.Bus == c.Bus }) {
				r.Errorf("no %s %d among %+v", c.Kind, c.Bus, h.Controllers)
			}
		}
		if got := r.nics(ref); len(got) != 2 ||
			got[0].Kind != "vmxnet3" || got[0].Network != r.nets[0] || !got[0].Connected ||
			got[1].Kind != "e1000e" || got[1].Network != r.nets[1] || got[1].Connected {
			r.Errorf("NICs %+v", got)
		} else if same := strings.EqualFold(got[0].MAC, want.NICs[0].MAC); same != keep {
			r.Errorf("keep %v: address %s", keep, got[0].MAC)
		}
		extra, err := r.c.Extra(r.ctx, ref)
		r.must(err)
		if extra["disk.EnableUUID"] != "TRUE" || extra["tidemark.test"] == "" || extra["uuid.action"] != "keep" {
			r.Errorf("settings %v", extra)
		}
		_, err = r.c.MakeVM(r.ctx, m)
		r.is(err, cdp.Conflict, m.Name)
		m.Name += "-x"
		m.Networks = map[int32]inventory.Ref{9000: r.nets[0]}
		_, err = r.c.MakeVM(r.ctx, m)
		r.is(err, cdp.Invalid, `Network adapter 2 on "b"`)
	}
}

func (r *rig) nics(ref inventory.Ref) []inventory.NIC {
	r.Helper()
	n := r.see(ref).Hardware.NICs
	slices.SortFunc(n, func(a, b inventory.NIC) int { return int(a.Key - b.Key) })
	return n
}

func testReshape(r *rig) {
	for _, keep := range []bool{false, true} {
		m := r.spec(fmt.Sprintf("reshape-%v", keep))
		m.KeepMAC = keep
		ref := r.make(m)
		h, nets := m.Hardware, r.networks()
		r.must(r.c.Reshape(r.ctx, ref, h, nets))

		h.CPUs, h.PerSocket, h.MemoryMB, h.Firmware, h.SecureBoot, h.GuestID = 2, 1, 256, "bios", false, "windows9Server64Guest"
		h.Extra = map[string]string{"disk.EnableUUID": "FALSE"}
		h.Controllers = append(slices.Clone(h.Controllers), inventory.Controller{Kind: "pvscsi", Bus: 2})
		h.Controllers[2].Kind = "lsilogic"
		// The first is gone, a new one comes last, and the one that stays moves to
		// another network.
		h.NICs = []inventory.NIC{h.NICs[1], {Key: 9002, Kind: "vmxnet3", MAC: "00:50:56:a1:02:05", Connected: true}}
		nets = map[int32]inventory.Ref{9001: r.nets[0], 9002: r.nets[1]}
		for range 2 {
			r.must(r.c.Reshape(r.ctx, ref, h, nets))
			v := r.see(ref)
			g := v.Hardware
			if g.CPUs != 2 || max(g.PerSocket, 1) != 1 || g.MemoryMB != 256 || g.Firmware != "bios" || g.SecureBoot || g.GuestID != h.GuestID {
				r.Errorf("hardware %+v", g)
			}
			if len(g.Controllers) != len(r.see(ref).Hardware.Controllers) {
				r.Errorf("controllers %+v", g.Controllers)
			}
			for _, c := range h.Controllers {
				if !slices.ContainsFunc(g.Controllers, func(g inventory.Controller) bool { return g.Kind == c.Kind && g.Bus == c.Bus }) {
					r.Errorf("no %s %d among %+v", c.Kind, c.Bus, g.Controllers)
				}
			}
			n := r.nics(ref)
			if len(n) != 2 || n[0].Kind != "e1000e" || n[0].Network != r.nets[0] || n[1].Kind != "vmxnet3" || n[1].Network != r.nets[1] || !n[1].Connected {
				r.Errorf("NICs %+v", n)
			} else if keep && (!strings.EqualFold(n[0].MAC, h.NICs[0].MAC) || !strings.EqualFold(n[1].MAC, h.NICs[1].MAC)) {
				r.Errorf("addresses %s %s", n[0].MAC, n[1].MAC)
			}
		}
		calls := r.calls("ReconfigVM_Task")
		r.must(r.c.Reshape(r.ctx, ref, h, nets))
		if r.calls("ReconfigVM_Task") != calls {
			r.Errorf("reshaped though nothing differs")
		}
		r.must(r.c.PowerOn(r.ctx, ref))
		r.is(r.c.Reshape(r.ctx, ref, h, nets), cdp.Conflict, "powered on")
	}
}

func testPower(r *rig) {
	ref := r.make(r.spec("power"))
	r.must(r.c.PowerOff(r.ctx, ref))
	for range 2 {
		r.must(r.c.PowerOn(r.ctx, ref))
	}
	r.is(r.c.Destroy(r.ctx, ref, true), cdp.Conflict, "powered on")
	for range 2 {
		r.must(r.c.PowerOff(r.ctx, ref))
	}
	for i := range 2 {
		r.must(r.c.Block(r.ctx, ref, fmt.Sprintf("it is a replica (%d)", i)))
	}
	r.is(r.c.PowerOn(r.ctx, ref), cdp.Conflict, "it is a replica (1)")
	if extra, err := r.c.Extra(r.ctx, ref); err != nil || extra["tidemark.blocked"] == "" {
		r.Errorf("marks %v, %v", extra, err)
	}
	for range 2 {
		r.must(r.c.Unblock(r.ctx, ref))
	}
	testAutoStart(r, ref)
	testHARestart(r, ref)
	r.must(r.c.PowerOn(r.ctx, ref))
	r.is(r.c.ShutdownGuest(r.ctx, ref), cdp.Conflict, "VMware Tools") // it has no guest
	r.must(r.c.PowerOff(r.ctx, ref))
	r.must(r.c.ShutdownGuest(r.ctx, ref))
	gone := inventory.Ref("VirtualMachine:vm-999999")
	r.is(r.c.PowerOn(r.ctx, gone), cdp.NotFound, "")
	r.is(r.c.PowerOff(r.ctx, gone), cdp.NotFound, "")
	r.is(r.c.ShutdownGuest(r.ctx, gone), cdp.NotFound, "")
	r.is(r.c.Unplug(r.ctx, gone, []string{"[x] y/z.vmdk"}), cdp.NotFound, "")
	r.is(r.c.PowerOn(r.ctx, "nonsense"), cdp.Invalid, "")
}

// testAutoStart takes a VM out of its host's autostart list and puts it back.
func testAutoStart(r *rig, ref inventory.Ref) {
	is := func(what string, want inventory.AutoStart) {
		r.Helper()
		if got, err := r.c.AutoStart(r.ctx, ref); err != nil || got != want {
			r.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	is("a new VM", inventory.AutoStart{})
	starts := inventory.AutoStart{StartAction: "powerOn", StartOrder: -1, StartDelay: 30, WaitForHeartbeat: "no", StopAction: "systemDefault", StopDelay: -1}
	for range 2 {
		r.must(r.c.SetAutoStart(r.ctx, ref, starts))
		is("in the list", starts)
		r.must(r.c.SetAutoStart(r.ctx, ref, starts.Off()))
		is("not in the list", starts.Off())
	}
	late := starts
	late.StartOrder = 9999 // the list is shorter now
	r.must(r.c.SetAutoStart(r.ctx, ref, late))
	is("in a list that is shorter than its place", starts)
	r.must(r.c.SetAutoStart(r.ctx, ref, starts.Off()))
}

// testHARestart has the cluster's HA leave a VM off, and gives its setting back.
func testHARestart(r *rig, ref inventory.Ref) {
	is := func(what string, want inventory.HARestart) {
		r.Helper()
		if got, err := r.c.HARestart(r.ctx, ref); err != nil || got.Override != want.Override || got.Priority != want.Priority || got.Restarts && want.Disabled() {
			r.Errorf("%s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	first, err := r.c.HARestart(r.ctx, ref)
	r.must(err)
	if err := r.c.SetHARestart(r.ctx, ref, first.Off()); cdp.Is(err, cdp.NotFound) {
		r.Log("not in a cluster: HA is not tried")
		return
	}
	high := inventory.HARestart{Override: true, Priority: "high"}
	for range 2 {
		is("left off", first.Off())
		r.must(r.c.SetHARestart(r.ctx, ref, high))
		is("with a priority of its own", high)
		r.must(r.c.SetHARestart(r.ctx, ref, first))
		is("as at first", first)
		r.must(r.c.SetHARestart(r.ctx, ref, first.Off()))
	}
	r.must(r.c.SetHARestart(r.ctx, ref, first))
}

func testLabel(r *rig) {
	ref := r.make(r.spec("label"))
	other := r.make(r.spec("label-taken"))
	for range 2 {
		r.must(r.c.Label(r.ctx, ref, r.name("label/new"), "new", map[string]string{"tidemark.test": "", "tidemark.more": "1"}))
	}
	calls := r.calls("ReconfigVM_Task")
	r.must(r.c.Label(r.ctx, ref, r.name("label/new"), "new", map[string]string{"tidemark.more": "1"}))
	r.must(r.c.Label(r.ctx, ref, "", "", nil))
	if r.calls("ReconfigVM_Task") != calls {
		r.Errorf("labelled though nothing differs")
	}
	v := r.see(ref)
	extra, err := r.c.Extra(r.ctx, ref)
	r.must(err)
	if v.Name != r.name("label/new") || v.Note != "new" || extra["tidemark.test"] != "" || extra["tidemark.more"] != "1" {
		r.Errorf("%s, %s, %v", v.Name, v.Note, extra)
	}
	_ = other
}

func testConnect(r *rig) {
	ref := r.make(r.spec("connect"))
	n := r.nics(ref)
	to := map[int32]inventory.Ref{n[0].Key: r.nets[1], n[1].Key: r.nets[0]}
	r.must(r.c.Connect(r.ctx, ref, to))
	got := r.nics(ref)
	if len(got) != 2 || got[0].Network != r.nets[1] || got[1].Network != r.nets[0] || got[0].MAC != n[0].MAC || got[0].Key != n[0].Key {
		r.Errorf("NICs %+v, before %+v", got, n)
	}
	calls := r.calls("ReconfigVM_Task")
	r.must(r.c.Connect(r.ctx, ref, to))
	if r.calls("ReconfigVM_Task") != calls {
		r.Errorf("connected though nothing differs")
	}
	r.is(r.c.Connect(r.ctx, ref, map[int32]inventory.Ref{77: r.nets[0]}), cdp.NotFound, "77")
}

func testCustomize(r *rig) {
	for _, windows := range []bool{false, true} {
		m := r.spec(fmt.Sprintf("custom-%v", windows))
		m.KeepMAC = true
		ref := r.make(m)
		id := inventory.Identity{HostName: "web01", Windows: windows, Domain: "dr.example.com", DNS: []string{"10.9.0.2"}, NICs: []inventory.NICIdentity{
			{IP: "10.9.0.5", Mask: "255.255.255.0", Gateway: "10.9.0.1"}, {}}}
		if r.inv.About.ESX {
			r.is(r.c.Customize(r.ctx, ref, id), cdp.Invalid, "without a vCenter")
			continue
		}
		for range 2 {
			r.must(r.c.Customize(r.ctx, ref, id))
		}
		id.NICs[0].IP = "10.9.0.6"
		r.is(r.c.Customize(r.ctx, ref, id), cdp.Conflict, "pending")
		id.NICs = id.NICs[:1]
		r.is(r.c.Customize(r.ctx, ref, id), cdp.Invalid, "1 NICs")
		if r.sim == nil {
			continue // no guest runs in these VMs to take it up
		}
		r.must(r.c.PowerOn(r.ctx, ref))
		g := r.see(ref).Guest
		if len(g.NICs) != 2 || len(g.NICs[0].IPs) == 0 || !strings.HasPrefix(g.NICs[0].IPs[0], "10.9.0.5") {
			r.Errorf("the guest has %+v", g)
		}
		r.is(r.c.Customize(r.ctx, ref, id), cdp.Conflict, "powered on")
	}
}
