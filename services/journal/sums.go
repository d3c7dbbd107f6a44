package journal

import (
	"crypto/sha256"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/engine/vault"
)

// sums are checksums of a range of a disk at head, so that a source can
// find out what need not be sent.
func (g *group) sums(r api.SumsRequest) (api.SumsReply, error) {
	const op = "checksum disk"
	disks := g.vault.Disks()
	switch {
	case int(r.Disk) >= len(disks):
		return api.SumsReply{}, cdp.Errorf(cdp.Invalid, op, "disk", "there is no disk %d", r.Disk)
	case r.N < 1 || r.N > api.SumsMax:
		return api.SumsReply{}, cdp.Errorf(cdp.Invalid, op, "n", "%d: must be 1 to %d bytes", r.N, api.SumsMax)
	case r.Off < 0 || r.Off > disks[r.Disk].Size-r.N:
		return api.SumsReply{}, cdp.Errorf(cdp.Invalid, op, "off", "%d+%d: the disk has %d bytes", r.Off, r.N, disks[r.Disk].Size)
	case r.Block < api.SumsBlockMin:
		return api.SumsReply{}, cdp.Errorf(cdp.Invalid, op, "block", "%d: must be at least %d bytes", r.Block, api.SumsBlockMin)
	}
	if err := g.readable(op); err != nil {
		return api.SumsReply{}, err
	}
	var reply api.SumsReply
	err := g.vault.Glance(func(v *vault.View) (err error) {
		reply.Seq = v.At()
		reply.Sums, err = sumsOf(v.Sparse(), r)
		return err
	})
	return reply, cdp.Wrap(err, op, string(g.job.id))
}

// sumsOf reads a region's worth at a time, whatever the blocks' size.
func sumsOf(v *vault.View, r api.SumsRequest) ([]byte, error) {
	buf := make([]byte, min(r.N, cdp.RegionSize))
	out := make([]byte, 0, (r.N+r.Block-1)/r.Block*sha256.Size)
	h, left := sha256.New(), r.Block
	for off, end := r.Off, r.Off+r.N; off < end; {
		p := buf[:min(int64(len(buf)), end-off)]
		if err := v.ReadAt(r.Disk, p, off); err != nil {
			return nil, err
		}
		off += int64(len(p))
		for len(p) > 0 {
			n := min(left, int64(len(p)))
			h.Write(p[:n])
			p, left = p[n:], left-n
			if left == 0 {
				out, left = h.Sum(out), r.Block
				h.Reset()
			}
		}
	}
	if left < r.Block {
		out = h.Sum(out)
	}
	return out, nil
}
