package vsphere

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/vapi/library"

	"tidemark.dev/pkg/adapter/localpath"
	"tidemark.dev/pkg/cdp"
)

const opOVA = "read the OVA"

// ova is an open OVA file with verified checksums.
type ova struct {
	name  string
	f     *os.File
	ovf   []byte
	desc  *ovf.Envelope
	files map[string]section
}

// section is the position of a file in the OVA.
type section struct{ off, size int64 }

// mostText is the size limit of the descriptor and the manifest, which are read
// whole.
const mostText = 16 << 20

// openOVA reads the whole OVA and compares it with its manifest, if it has one, so
// that nothing damaged is uploaded. name is an absolute path without symbolic links.
// Invalid says what is wrong.
func openOVA(ctx context.Context, name string) (*ova, error) {
	f, err := localpath.Open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, cdp.Errorf(cdp.Invalid, opOVA, name, "%w", err)
	}
	o := &ova{name: name, f: f, files: map[string]section{}}
	if err := o.read(ctx); err != nil {
		_ = f.Close()
		return nil, err
	}
	return o, nil
}

func (o *ova) close() { _ = o.f.Close() }

// open reads a file of the OVA.
func (o *ova) open(name string) (io.Reader, int64, bool) {
	s, ok := o.files[name]
	return io.NewSectionReader(o.f, s.off, s.size), s.size, ok
}

func (o *ova) wrong(format string, args ...any) error {
	return cdp.Errorf(cdp.Invalid, opOVA, o.name, format, args...)
}

func (o *ova) read(ctx context.Context) error {
	ovfName, manifest, err := o.list()
	if err != nil {
		return err
	}
	if o.desc, err = ovf.Unmarshal(bytes.NewReader(o.ovf)); err != nil {
		return o.wrong("its descriptor %s is not OVF: %w", ovfName, err)
	}
	if o.desc.VirtualSystem == nil {
		return o.wrong("its descriptor %s is not of one VM", ovfName)
	}
	for _, r := range o.desc.References {
		s, ok := o.files[r.Href]
		switch {
		case !ok:
			return o.wrong("the file %s that its descriptor names is not in it", r.Href)
		case r.ChunkSize != nil && *r.ChunkSize > 0, r.Compression != nil && *r.Compression != "" && *r.Compression != "identity":
			return o.wrong("the file %s is compressed or in parts, which is not supported", r.Href)
		case r.Size != 0 && int64(r.Size) != s.size:
			return o.wrong("the file %s is of %d bytes, but its descriptor says %d", r.Href, s.size, r.Size)
		}
	}
	if manifest == nil {
		return nil
	}
	return o.check(ctx, ovfName, manifest)
}

// list notes the positions of the files in the tar.
func (o *ova) list() (ovfName string, manifest []byte, err error) {
	tr := tar.NewReader(o.f)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return "", nil, o.wrong("it ends too early: it was not copied whole")
		}
		if err != nil {
			return "", nil, o.wrong("it is not a tar archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		// The archive is read without a buffer, so the file is positioned at the
		// content.
		off, err := o.f.Seek(0, io.SeekCurrent)
		if err != nil {
			return "", nil, o.wrong("%w", err)
		}
		name := path.Clean(h.Name)
		o.files[name] = section{off: off, size: h.Size}
		text := func() []byte {
			var b []byte
			b, err = io.ReadAll(io.LimitReader(tr, mostText))
			return b
		}
		switch strings.ToLower(path.Ext(name)) {
		case ".ovf":
			if ovfName != "" {
				return "", nil, o.wrong("there are two descriptors in it: %s and %s", ovfName, name)
			}
			ovfName, o.ovf = name, text()
		case ".mf":
			manifest = text()
		}
		if err != nil {
			return "", nil, o.wrong("%w", err)
		}
	}
	if ovfName == "" {
		return "", nil, o.wrong("there is no .ovf in it, so it is no OVA")
	}
	end, err := o.f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", nil, o.wrong("%w", err)
	}
	for name, s := range o.files {
		if s.off+s.size > end {
			return "", nil, o.wrong("it ends in the middle of %s: it was not copied whole", name)
		}
	}
	return ovfName, manifest, nil
}

// check compares all files with the manifest.
func (o *ova) check(ctx context.Context, ovfName string, manifest []byte) error {
	sums, err := library.ReadManifest(bytes.NewReader(manifest))
	if err != nil {
		return o.wrong("its manifest cannot be read: %w", err)
	}
	must := []string{ovfName}
	for _, r := range o.desc.References {
		must = append(must, r.Href)
	}
	for _, name := range must {
		if sums[name] == nil {
			return o.wrong("its manifest does not name %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		r, _, ok := o.open(name)
		if !ok {
			return o.wrong("the file %s that its manifest names is not in it", name)
		}
		h := hashOf(sums[name].Algorithm)
		if h == nil {
			return o.wrong("its manifest has a checksum of an unknown kind, %s", sums[name].Algorithm)
		}
		if _, err := io.Copy(h, &stopper{ctx: ctx, r: r}); err != nil {
			if ctx.Err() != nil {
				return cdp.Errorf(cdp.Transient, opOVA, o.name, "%w", ctx.Err())
			}
			return o.wrong("%w", err)
		}
		if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, sums[name].Checksum) {
			return cdp.Errorf(cdp.Invalid, opOVA, o.name, "%s is damaged: its checksum is not the manifest's", name).
				WithHint("copy or download the OVA again")
		}
	}
	return nil
}

func hashOf(algorithm string) hash.Hash {
	switch strings.ToUpper(algorithm) {
	case "SHA1":
		return sha1.New()
	case "SHA256":
		return sha256.New()
	case "SHA512":
		return sha512.New()
	}
	return nil
}

// stopper is a reader that ends with ctx.
type stopper struct {
	ctx context.Context
	r   io.Reader
}

func (s *stopper) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// networks are the names of the descriptor's networks.
func (o *ova) networks() []string {
	var out []string
	if o.desc.Network != nil {
		for _, n := range o.desc.Network.Networks {
			out = append(out, n.Name)
		}
	}
	return out
}

// properties are the full keys of the properties that the descriptor declares.
func (o *ova) properties() []string {
	var out []string
	for _, p := range o.desc.VirtualSystem.Product {
		for _, d := range p.Property {
			key := d.Key
			if p.Class != nil && *p.Class != "" {
				key = *p.Class + "." + key
			}
			if p.Instance != nil && *p.Instance != "" {
				key += "." + *p.Instance
			}
			out = append(out, key)
		}
	}
	return out
}
