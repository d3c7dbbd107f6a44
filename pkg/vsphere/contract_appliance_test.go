package vsphere_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
	"tidemark.dev/pkg/vsphere/vspheretest"
)

// descriptor is of a VM with one disk and one NIC, and a property.
const descriptor = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References><File ovf:href="disk1.vmdk" ovf:id="file1" ovf:size="%d"/></References>
  <DiskSection><Info>Disks</Info>
    <Disk ovf:capacity="4" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1"
      ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info>Networks</Info><Network ovf:name="front"><Description>front</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="transporter"><Info>A VM</Info><Name>transporter</Name>
    <OperatingSystemSection ovf:id="101"><Info>OS</Info></OperatingSystemSection>
    <VirtualHardwareSection ovf:transport="com.vmware.guestInfo"><Info>Hardware</Info>
      <System><vssd:ElementName>Virtual Hardware Family</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemType>vmx-15</vssd:VirtualSystemType></System>
      <Item><rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits><rasd:ElementName>2 CPU</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>128MB</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>128</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:ElementName>SCSI 0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>Disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>7</rasd:AddressOnParent><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>front</rasd:Connection><rasd:ElementName>Ethernet 1</rasd:ElementName><rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
    <ProductSection><Info>Product</Info><Product>Tidemark</Product>
      <Property ovf:key="guestinfo.site" ovf:type="string" ovf:userConfigurable="true"><Label>Site</Label></Property></ProductSection>
  </VirtualSystem>
</Envelope>`

// member is a file of an OVA.
type member struct {
	name string
	body []byte
}

// parts are the members of a good OVA: descriptor, manifest, disk.
func parts(t *testing.T) []member {
	t.Helper()
	dir := t.TempDir()
	raw, vmdk := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "disk1.vmdk")
	content := bytes.Repeat([]byte("what a transporter is made of. "), 4<<20/31+1)[:4<<20]
	for i := range content {
		content[i] ^= byte(i >> 8 * 7) // so that it does not shrink to nothing
	}
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, vmdk).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img: %v %s", err, out)
	}
	disk, err := os.ReadFile(vmdk)
	if err != nil {
		t.Fatal(err)
	}
	ovf := fmt.Appendf(nil, descriptor, len(disk))
	mf := fmt.Appendf(nil, "SHA256(transporter.ovf)= %x\nSHA256(disk1.vmdk)= %x\n", sha256.Sum256(ovf), sha256.Sum256(disk))
	return []member{{"transporter.ovf", ovf}, {"transporter.mf", mf}, {"disk1.vmdk", disk}}
}

func writeOVA(t *testing.T, ms []member) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range ms {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "a.ova")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (e *env) importing(ova, name string) vms.Import {
	return vms.Import{
		OVA: ova, Name: e.prefix + "-" + name, Note: "a transporter", Host: e.host.Ref, Pool: e.cluster.Pool, Folder: e.folder.Ref, Datastore: e.store.Ref,
		Networks:  map[string]vms.Ref{"": e.network.Ref},
		Guestinfo: map[string]string{"guestinfo.site": "paris", "guestinfo.tidemark": "role=transporter"},
		Extra:     map[string]string{"disk.EnableUUID": "TRUE"},
	}
}

// named is a VM of the inventory.
func (e *env) named(name string) (vms.VM, bool) {
	e.Helper()
	inv, err := e.c.Inventory(e.ctx)
	e.must(err)
	i := slices.IndexFunc(inv.VMs, func(v vms.VM) bool { return v.Name == name })
	if i < 0 {
		return vms.VM{}, false
	}
	return inv.VMs[i], true
}

func contractImport(e *env) {
	i := e.importing(writeOVA(e.T, parts(e.T)), "transporter")
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
	for _, m := range []map[string]string{i.Guestinfo, i.Extra} {
		for k, want := range m {
			if h.Extra[k] != want {
				e.Errorf("%s is %q, not %q", k, h.Extra[k], want)
			}
		}
	}
	_, err = e.c.Import(e.ctx, i, nil)
	e.is(err, cdp.Conflict, "taken")
}

// The content of the disk is what was in the OVA.
func TestImportedContent(t *testing.T) {
	e := target(t, vspheretest.Config{})
	ms := parts(t)
	_, err := e.c.Import(e.ctx, e.importing(writeOVA(t, ms), "a"), nil)
	e.must(err)
	made, err := e.sim.VM(e.prefix + "-a")
	e.must(err)
	dir := t.TempDir()
	vmdk, raw := filepath.Join(dir, "d.vmdk"), filepath.Join(dir, "d.raw")
	e.must(os.WriteFile(vmdk, ms[2].body, 0o600))
	out, err := exec.Command("qemu-img", "convert", "-f", "vmdk", "-O", "raw", vmdk, raw).CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	want, err := os.ReadFile(raw)
	e.must(err)
	got, err := os.ReadFile(made.Disks[0].Flat)
	e.must(err)
	if !bytes.Equal(got, want) {
		t.Error("it differs")
	}
}

func TestBadOVA(t *testing.T) {
	e := target(t, vspheretest.Config{})
	good := parts(t)
	change := func(name string, f func([]byte) []byte) []member {
		ms := slices.Clone(good)
		for i := range ms {
			if ms[i].name == name {
				ms[i].body = f(bytes.Clone(ms[i].body))
			}
		}
		return ms
	}
	for name, c := range map[string]struct {
		ms   []member
		says string
	}{
		"damaged disk":  {change("disk1.vmdk", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }), "checksum"},
		"short disk":    {change("disk1.vmdk", func(b []byte) []byte { return b[:len(b)-512] }), "bytes"},
		"not OVF":       {change("transporter.ovf", func([]byte) []byte { return []byte("<Envelope") }), "not OVF"},
		"no descriptor": {good[1:], "no .ovf"},
		"no disk":       {good[:2], "disk1.vmdk"},
		"two":           {append(slices.Clone(good), member{"b.ovf", []byte("x")}), "two descriptors"},
		"no sum":        {change("transporter.mf", func(b []byte) []byte { return bytes.SplitAfter(b, []byte("\n"))[0] }), "does not name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.c.Import(e.ctx, e.importing(writeOVA(t, c.ms), "bad"), nil)
			wantError(t, err, cdp.Invalid, c.says)
		})
	}
	t.Run("cut off", func(t *testing.T) {
		ova := writeOVA(t, good)
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
		i := e.importing(writeOVA(t, good), "bad")
		i.Networks = map[string]vms.Ref{"back": e.network.Ref}
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
	e := target(t, vspheretest.Config{})
	i := e.importing(writeOVA(t, parts(t)), "given-up")
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
