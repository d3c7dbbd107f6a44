package vcsim

import (
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vmdk"
)

// local is the local file of a datastore path "[ds] a/b". Paths that leave the
// datastore are refused.
func (s *Site) local(name string) (string, error) {
	var p object.DatastorePath
	if !p.FromString(name) {
		return "", fmt.Errorf("bad datastore path %q", name)
	}
	dir, err := s.datastoreDir(p.Datastore)
	if err != nil {
		return "", err
	}
	full := filepath.Join(dir, p.Path)
	if full != dir && !strings.HasPrefix(full, dir+"/") {
		return "", fmt.Errorf("bad datastore path %q", name)
	}
	return full, nil
}

func (s *Site) datastoreDir(name string) (string, error) {
	for _, ds := range s.Datastores() {
		if ds == name {
			return filepath.Join(s.cfg.Dir, "datastores", name), nil
		}
	}
	return "", fmt.Errorf("no datastore %q", name)
}

// Datastores are the names of the site's datastores.
func (s *Site) Datastores() []string {
	if len(s.cfg.DatastoreNames) > 0 {
		return s.cfg.DatastoreNames
	}
	names := make([]string, s.cfg.Datastores)
	for i := range names {
		names[i] = fmt.Sprintf("%s-ds%d", s.cfg.Name, i+1)
	}
	return names
}

// canonical is the form of a datastore path by which images are identified.
func canonical(name string) string {
	var p object.DatastorePath
	if !p.FromString(name) {
		return name
	}
	p.Path = strings.TrimPrefix(path.Clean("/"+p.Path), "/")
	return p.String()
}

func flatName(name string) string { return strings.TrimSuffix(name, ".vmdk") + "-flat.vmdk" }

func readDescriptor(name string) (*vmdk.Descriptor, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, err := vmdk.ParseDescriptor(f)
	if err != nil {
		return nil, err
	}
	if len(d.Extent) != 1 {
		return nil, fmt.Errorf("%s: not a disk descriptor", name)
	}
	return d, nil
}

// writeDescriptor writes the disk's size and UUID to the file that names its
// extent.
func writeDescriptor(name string, size int64, id string) error {
	d := vmdk.NewDescriptor(vmdk.Extent{Size: size / vmdk.SectorSize, Info: path.Base(flatName(name))})
	d.DDB["uuid"] = ddbUUID(id)
	d.DDB["adapterType"] = "lsilogic"
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err = d.Write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// newDiskUUID is a UUID of the form that VMware gives to disks: 6000C29x-....
func newDiskUUID() string { return "6000C29" + uuid.NewString()[7:] }

// ddbUUID is a UUID in the form of descriptors: "60 00 C2 9x xx xx xx xx-xx ...".
func ddbUUID(id string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(b) != 16 {
		return ""
	}
	return fmt.Sprintf("% x-% x", b[:8], b[8:])
}

func parseUUID(ddb string) string {
	h := strings.NewReplacer(" ", "", "-", "").Replace(ddb)
	if len(h) != 32 {
		return ""
	}
	h = strings.ToLower(h)
	if strings.HasPrefix(h, "6000c29") {
		h = "6000C29" + h[7:]
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// deviceName is what udev calls the block device of a disk.
func deviceName(id string) string {
	return "wwn-0x" + strings.ToLower(strings.ReplaceAll(id, "-", ""))
}
