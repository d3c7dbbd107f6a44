package vspheretest_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf/importer"
	"tidemark.dev/pkg/vsphere/vspheretest"
)

const ovfXML = `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
<References><File ovf:href="disk.vmdk" ovf:id="file1" ovf:size="%d"/></References>
<DiskSection><Info>d</Info><Disk ovf:capacity="4" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
<NetworkSection><Info>n</Info><Network ovf:name="net"><Description>n</Description></Network></NetworkSection>
<VirtualSystem ovf:id="appl"><Info>v</Info><Name>appl</Name>
<OperatingSystemSection ovf:id="101"><Info>o</Info></OperatingSystemSection>
<VirtualHardwareSection><Info>h</Info><System><vssd:ElementName>f</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-19</vssd:VirtualSystemType></System>
<Item><rasd:ElementName>cpu</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:ElementName>mem</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
<Item><rasd:ElementName>scsi</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
<Item><rasd:Connection>net</rasd:Connection><rasd:ElementName>eth</rasd:ElementName><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
</VirtualHardwareSection>
<ProductSection><Info>p</Info><Property ovf:key="guestinfo.token" ovf:type="string" ovf:userConfigurable="true"><Label>t</Label></Property></ProductSection>
</VirtualSystem></Envelope>`

func ova(t *testing.T, content []byte) string {
	t.Helper()
	dir := t.TempDir()
	raw, disk := filepath.Join(dir, "raw"), filepath.Join(dir, "disk.vmdk")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, disk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img is needed: %v %s", err, out)
	}
	data, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		data []byte
	}{{"appl.ovf", fmt.Appendf(nil, ovfXML, len(data))}, {"disk.vmdk", data}} {
		if err = w.WriteHeader(&tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: 0o644}); err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, "appl.ova")
	if err = os.WriteFile(p, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestImportOVA(t *testing.T) {
	c := site(t, vspheretest.Config{})
	content := bytes.Repeat([]byte{0}, 4*mib)
	copy(content[3*mib:], "the appliance")
	file := ova(t, content)
	ds, err := c.find.Datastore(c.ctx, "vc-ds2")
	c.ok(err)
	pool, err := c.find.DefaultResourcePool(c.ctx)
	c.ok(err)
	folder, err := c.find.DefaultFolder(c.ctx)
	c.ok(err)
	host, err := c.find.HostSystem(c.ctx, "vc-esx2")
	c.ok(err)
	imp := importer.Importer{
		Client: c.Client.Client, Finder: c.find, Sinker: nil, Log: func(string) (int, error) { return 0, nil },
		Datacenter: c.dc, Datastore: ds, ResourcePool: pool, Folder: folder, Host: host,
		Archive: &importer.TapeArchive{Path: file, Opener: importer.Opener{Client: c.Client.Client}},
	}
	name := "appl-1"
	ref, err := imp.Import(c.ctx, "appl.ovf", importer.Options{
		Name: &name, NetworkMapping: []importer.Network{{Name: "net", Network: "DR Network"}},
		PropertyMapping: []importer.Property{{KeyValue: importer.KeyValue{Key: "guestinfo.token", Value: "secret"}}},
	})
	c.ok(err)
	vm := object.NewVirtualMachine(c.Client.Client, *ref)
	d := c.disks(vm)[0]
	if d.CapacityInBytes != 4*mib || !bytes.Equal(c.content(backing(d).FileName, 0, 4*mib), content) {
		t.Errorf("content of %s is not what was uploaded", backing(d).FileName)
	}
	info, err := c.s.VM(name)
	c.ok(err)
	if info.Host != "vc-esx2" {
		t.Errorf("on %s", info.Host)
	}
	m := c.props(vm, "config.extraConfig", "network", "config.hardware")
	found := false
	for _, o := range m.Config.ExtraConfig {
		kv := o.GetOptionValue()
		found = found || kv.Key == "guestinfo.token" && kv.Value == "secret"
	}
	if !found || len(m.Network) != 1 || m.Config.Hardware.NumCPU != 2 {
		t.Errorf("guestinfo %v, networks %v, %d CPUs", found, m.Network, m.Config.Hardware.NumCPU)
	}
	c.must(vm.PowerOn(c.ctx))
}
