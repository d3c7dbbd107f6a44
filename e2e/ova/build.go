package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"tidemark.dev/pkg/adapter/appliance"
)

// recipe is what an OVA is built from.
type recipe struct {
	bin, parts, version string
	dataGiB             int
	work                string // where it is built; set by build
}

// build writes the OVA.
func (r recipe) build(ctx context.Context, out string) error {
	var err error
	for _, p := range []*string{&r.bin, &r.parts, &out} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if r.work, err = os.MkdirTemp("", "ova-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := r.system(ctx); err != nil {
		return err
	}
	const disk = "tidemark-transporter-disk1.vmdk"
	if err := r.sh(ctx, "qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", "system.raw", disk); err != nil {
		return err
	}
	vmdk, err := os.ReadFile(filepath.Join(r.work, disk))
	if err != nil {
		return err
	}
	ovf, err := r.descriptor(disk, len(vmdk))
	if err != nil {
		return err
	}
	const name = "tidemark-transporter"
	manifest := fmt.Appendf(nil, "SHA256(%s.ovf)= %x\nSHA256(%s)= %x\n", name, sha256.Sum256(ovf), disk, sha256.Sum256(vmdk))
	return pack(out, []part{{name + ".ovf", ovf}, {name + ".mf", manifest}, {disk, vmdk}})
}

// descriptor fills in the OVF.
func (r recipe) descriptor(disk string, size int) ([]byte, error) {
	t, err := template.ParseFiles(filepath.Join(r.parts, "transporter.ovf"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{"Disk": disk, "FileSize": size, "Capacity": diskBytes, "DataGiB": r.dataGiB, "Version": r.version, "Settings": appliance.Keys})
	return b.Bytes(), err
}

type part struct {
	name string
	body []byte
}

// pack writes the archive: the descriptor has to be first.
func pack(out string, parts []part) error {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, p := range parts {
		if err := w.WriteHeader(&tar.Header{Name: p.name, Mode: 0o644, Size: int64(len(p.body)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := w.Write(p.body); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}
