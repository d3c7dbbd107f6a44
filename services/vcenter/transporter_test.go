package vcenter_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/api"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/vms"
)

// ovf is of a VM with one disk and one NIC.
const ovf = `<?xml version="1.0" encoding="UTF-8"?>
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

// ova is a small, but real, appliance.
func ova(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	raw, vmdk, name := filepath.Join(dir, "raw"), filepath.Join(dir, "disk1.vmdk"), filepath.Join(dir, "a.ova")
	write(t, raw, strings.Repeat("tidemark", 4<<20/8))
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, vmdk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img is needed: %v %s", err, out)
	}
	disk, err := os.ReadFile(vmdk)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range []struct {
		name string
		body []byte
	}{{"transporter.ovf", fmt.Appendf(nil, ovf, len(disk))}, {"disk1.vmdk", disk}} {
		err := w.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.body))})
		if err == nil {
			_, err = w.Write(m.body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, name, b.String())
	return name
}

// TestTransporter is the life of a transporter.
func TestTransporter(t *testing.T) {
	w := newWorld(t)
	inv := w.inventory(w.b)
	before := w.picture(w.b)
	r := api.DeployRequest{Name: "tp2", OVA: ova(t), Host: inv.Hosts[0].Name, Datastore: inv.Datastores[0].Name,
		Network: inv.Networks[0].Path, Settings: map[string]string{"nats": "nats://10.0.0.1"}}
	set := func(answers bool, holds ...string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.answers["tp2"], w.holds["tp2"] = answers, holds
	}
	bad := r
	bad.Host, bad.Network = "nowhere", "nothing"
	if err := w.b.refused(api.TransporterDeploy, bad); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "nothing") {
		t.Error(err)
	}
	foreign := r
	foreign.Name = "transporter"
	if err := w.b.refused(api.TransporterDeploy, foreign); !cdp.Is(err, cdp.Conflict) {
		t.Error("a VM that is not ours:", err)
	}
	p, err := ask[api.Progress](w.ctx, w.b, api.TransporterDeploy, r)
	w.must(err)
	w.until("it is powered on", func() bool {
		p, err = ask[api.Progress](w.ctx, w.b, api.TransporterDeploy, r)
		v, _ := w.vm(w.b, "tp2")
		return err == nil && v.Power == "on" && !p.Done
	})
	w.b.stop() // killed while it waits
	w.b.start()
	set(true)
	w.b.progress(api.TransporterDeploy, r)
	w.b.progress(api.TransporterDeploy, r)
	list := func() []vms.Appliance {
		l, err := ask[api.TransportersReply](w.ctx, w.b, api.TransporterList, api.Empty{})
		w.must(err)
		return l.Transporters
	}
	l := list()
	if len(l) != 2 || l[0].Name != "tp2" || !l[0].Answers || l[0].Power != "on" || l[1].Name != "transporter" {
		t.Fatalf("%+v", l)
	}
	extra, err := w.b.c.Extra(w.ctx, l[0].VM)
	w.must(err)
	if extra["guestinfo.tidemark.nats"] != "nats://10.0.0.1" || extra["disk.EnableUUID"] != "TRUE" {
		t.Error(extra)
	}
	set(true, "shop-web01")
	r.Upgrade = true
	for what, err := range map[string]error{
		"upgrade": w.b.refused(api.TransporterDeploy, r),
		"remove":  w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}),
	} {
		if !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "shop-web01") {
			t.Error(what, err)
		}
	}
	set(true)
	w.b.progress(api.TransporterDeploy, r)
	if now := list(); len(now) != 2 || now[0].Name != "tp2" || now[0].VM == l[0].VM {
		t.Errorf("after the upgrade: %+v", now)
	}
	if _, there := w.vm(w.b, "tp2-new"); there {
		t.Error("the new one kept its other name")
	}
	set(true, "shop-web01")
	w.b.progress(api.TransporterRemove, api.RemoveRequest{Name: "tp2", Force: true})
	if err := w.b.refused(api.TransporterRemove, api.RemoveRequest{Name: "tp2"}); !cdp.Is(err, cdp.NotFound) {
		t.Error("removed twice:", err)
	}
	if after := w.picture(w.b); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	for _, s := range []string{"deploying", "ready", "removed"} {
		if !w.told(s) {
			t.Error("not told:", s)
		}
	}
}
