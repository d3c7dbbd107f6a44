package vcsim

import (
	"archive/tar"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// applianceOVF is of a VM with a disk, a NIC on the network "front", and the
// property "guestinfo.site". Its blanks are the disk file's size and the disk's.
//
//go:embed appliance.ovf
var applianceOVF string

// File is a file of an OVA.
type File struct {
	Name string
	Body []byte
}

// Appliance are the files of a small but real OVA whose disk has the content:
// transporter.ovf, its manifest transporter.mf, and disk1.vmdk. It needs qemu-img.
func Appliance(t testing.TB, content []byte) []File {
	t.Helper()
	dir := t.TempDir()
	raw, vmdk := filepath.Join(dir, "disk1.raw"), filepath.Join(dir, "disk1.vmdk")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, vmdk).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img is needed: %v %s", err, out)
	}
	disk, err := os.ReadFile(vmdk)
	if err != nil {
		t.Fatal(err)
	}
	ovf := fmt.Appendf(nil, applianceOVF, len(disk), len(content))
	mf := fmt.Appendf(nil, "SHA256(transporter.ovf)= %x\nSHA256(disk1.vmdk)= %x\n", sha256.Sum256(ovf), sha256.Sum256(disk))
	return []File{{"transporter.ovf", ovf}, {"transporter.mf", mf}, {"disk1.vmdk", disk}}
}

// WithDataDisk makes the files those of an OVA such as Tidemark's own: it has a blank
// second disk of size bytes, in the slot scsi0:1, on which it keeps everything.
func WithDataDisk(files []File, size int64) []File {
	ovf := strings.NewReplacer(
		`ovf:id="transporter"`, `ovf:id="tidemark-transporter"`,
		"</DiskSection>", fmt.Sprintf(`<Disk ovf:capacity="%d" ovf:capacityAllocationUnits="byte" ovf:diskId="data"/></DiskSection>`, size),
		`<Item><rasd:AddressOnParent>7<`, `<Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:ElementName>Disk 2</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/data</rasd:HostResource><rasd:InstanceID>6</rasd:InstanceID><rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>7<`,
	).Replace(string(files[0].Body))
	mf := fmt.Appendf(nil, "SHA256(transporter.ovf)= %x\nSHA256(disk1.vmdk)= %x\n", sha256.Sum256([]byte(ovf)), sha256.Sum256(files[2].Body))
	return []File{{files[0].Name, []byte(ovf)}, {files[1].Name, mf}, files[2]}
}

// OVA packs files in their order, and returns the name of the OVA.
func OVA(t testing.TB, files ...File) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "a.ova"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	for _, x := range files {
		if err := w.WriteHeader(&tar.Header{Name: x.Name, Mode: 0o644, Size: int64(len(x.Body)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(x.Body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
