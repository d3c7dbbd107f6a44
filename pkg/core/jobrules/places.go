package jobrules

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
)

// Places is what the machines that read and write disks found at the paths of a job
// and of the others.
type Places struct {
	// Source are facts at the job's source site, by path, and Here at the site of
	// the rules, both where capture runs.
	Source, Here map[string]api.DiskFacts
	// Replica are facts where the journal of this site runs, by path.
	Replica map[string]api.DiskFacts
	// Others are the sources at the job's source site, and OthersHere those at this
	// site, of jobs that only their own targets know.
	Others, OthersHere []api.DiskUse
}

// NeedsPlaces reports whether a job says anything about disks that the stored job
// does not.
func NeedsPlaces(j spec.ReplicationJob, now Stored) bool {
	return now.Job == nil || j.Source.Listen != now.Job.Source.Listen ||
		!slices.Equal(j.Source.Disks, now.Job.Source.Disks) || !slices.Equal(j.Target.Disks, now.Job.Target.Disks)
}

// use is a disk that a job uses.
type use struct {
	what string
	disk api.DiskFacts
}

// Check checks the disks of a job against the world, and against the disks that
// other jobs of this site use. The first made of its replicas are there already; the
// others are new.
func (p Places) Check(h Here, j spec.ReplicationJob, others []spec.ReplicationJob, made int) []api.Problem {
	var out problems
	sources, replicas := p.used(h, j, others)
	for i, d := range j.Source.Disks {
		if d.Path == "" {
			continue
		}
		at, f := "/spec/source/disks/"+strconv.Itoa(i), p.Source[d.Path]
		if out.unused(at+"/path", d.Path, f, sources) {
			out.source(at, d, f)
		}
		u := use{"the source of disk " + strconv.Itoa(i), f}
		sources, replicas = append(sources, u), append(replicas, u)
	}
	out.listen(j, p.Source, append(slices.Clone(sources), p.own(j)...), others)
	for i, d := range j.Target.Disks {
		at, f := "/spec/target/disks/"+strconv.Itoa(i)+"/path", p.Replica[d.Path]
		if out.unused(at, d.Path, f, replicas) {
			out.replica(at, d, f, p.size(j, d.Name), i >= made && !j.Adopts())
			if i >= made && j.Adopts() && (f.Kind == api.PathMissing || f.Size == 0) && f.Outside == "" {
				out.add(cdp.Invalid, at, "exists", "give the reversed job other disks: --disk "+d.Name+"=PATH", "%s, where the disk was before the failover, holds nothing", d.Path)
			}
		}
		replicas = append(replicas, use{"the replica of disk " + strconv.Itoa(i), f})
	}
	return out
}

// CheckGroup checks the replicas of a VM's job against the disks that other jobs of
// this site use. What they are is the vcenter service's to check, which made them.
func (p Places) CheckGroup(h Here, j spec.ReplicationJob, others []spec.ReplicationJob) []api.Problem {
	var out problems
	_, replicas := p.used(h, j, others)
	for i, d := range j.Target.Disks {
		f := p.Replica[d.Path]
		out.unused("/spec/target/disks/"+strconv.Itoa(i)+"/path", d.Path, f, replicas)
		replicas = append(replicas, use{"the replica of disk " + strconv.Itoa(i), f})
	}
	return out
}

// used are the disks that must not be a source of the job, and those that must not
// be a replica of it. Two sites may be on one machine, so a replica is compared with
// sources of either.
func (p Places) used(h Here, j spec.ReplicationJob, others []spec.ReplicationJob) (sources, replicas []use) {
	for _, o := range others {
		if o.Name == j.Name || j.Reverses != nil && o.Name == j.Reverses.Before {
			continue // the round before, which was failed over
		}
		for _, d := range o.Source.Disks {
			u := use{"a source of the job " + o.Name, p.Source[d.Path]}
			switch {
			case d.Path == "":
				continue
			case o.Source.Site == j.Source.Site:
				sources = append(sources, u)
			case o.Source.Site == h.Site:
				u.disk = p.Here[d.Path]
			default:
				continue // a site that was not asked
			}
			replicas = append(replicas, u)
		}
		for _, d := range o.Target.Disks {
			u := use{"a replica of the job " + o.Name, p.Replica[d.Path]}
			sources, replicas = append(sources, u), append(replicas, u)
		}
	}
	for _, o := range p.Others {
		u := use{"a source of a job of the site " + string(o.Target), o.Disk}
		sources, replicas = append(sources, u), append(replicas, u)
	}
	for _, o := range p.OthersHere {
		if j.Retires(o.Target, o.Job, j.Round()-1) {
			continue // the job that it takes the place of
		}
		replicas = append(replicas, use{"a source of a job of the site " + string(o.Target), o.Disk})
	}
	return sources, replicas
}

// own are the job's replicas.
func (p Places) own(j spec.ReplicationJob) (out []use) {
	for i, d := range j.Target.Disks {
		out = append(out, use{"the replica of disk " + strconv.Itoa(i), p.Replica[d.Path]})
	}
	return out
}

// size is how many bytes the source of a disk has; 0: not known.
func (p Places) size(j spec.ReplicationJob, name string) int64 {
	for _, d := range j.Source.Disks {
		if d.Name == name && d.Size > 0 {
			return int64(d.Size)
		} else if d.Name == name {
			return p.Source[d.Path].Size
		}
	}
	return 0
}

// unused refuses a disk that is one of those that are used; true: it is none.
func (p *problems) unused(at, path string, f api.DiskFacts, used []use) bool {
	for _, u := range used {
		if f.Overlaps(u.disk) {
			p.add(cdp.Conflict, at, "unique", "give each job disks of its own", "%s is %s%s", path, u.what, otherName(path, u.disk.Path))
			return false
		}
	}
	return true
}

// otherName adds the other name of a disk, if it has one.
func otherName(path, other string) string {
	if other == "" || other == path {
		return ""
	}
	return ", which calls it " + other
}

// source refuses what cannot be read as a disk.
func (p *problems) source(at string, d spec.SourceDisk, f api.DiskFacts) {
	switch {
	case !p.disk(at+"/path", d.Path, f):
	case f.Kind == api.PathMissing:
		p.add(cdp.Invalid, at+"/path", "exists", "", "%s: there is nothing at the source site", d.Path)
	case f.Size == 0:
		p.add(cdp.Invalid, at+"/path", "size", "", "%s has 0 bytes", d.Path)
	case f.Size%cdp.SectorSize != 0:
		p.add(cdp.Invalid, at+"/path", "size", "", "%s has %d bytes: the size of a disk is a multiple of %d", d.Path, f.Size, cdp.SectorSize)
	case d.Size != 0 && int64(d.Size) != f.Size:
		p.add(cdp.Invalid, at+"/size", "size", "leave the size out: it is that of the disk", "%d bytes: %s has %d", int64(d.Size), d.Path, f.Size)
	}
}

// replica refuses what cannot become the replica of a disk of size bytes.
func (p *problems) replica(at string, d spec.TargetDisk, f api.DiskFacts, size int64, fresh bool) {
	// A file gets its size when it is made, and when its disk has grown.
	made := f.Kind == api.PathMissing || f.Kind == api.PathFile && (f.Size == 0 || !fresh)
	switch {
	case !p.disk(at, d.Path, f):
	case !made && f.Size < size:
		p.add(cdp.Invalid, at, "size", "enlarge it first, or name another", "%s has %d bytes, and the disk %s has %d", d.Path, f.Size, d.Name, size)
	case fresh && f.Holds:
		hint := "name another path for the replica, or remove the file"
		if f.Kind == api.PathDevice {
			hint = "check that it is the right device, then wipe its beginning: wipefs -a, dd if=/dev/zero bs=1M count=1"
		}
		p.add(cdp.Conflict, at, "empty", hint, "%s holds data, and the replica of a new job must be new or empty", d.Path)
	}
}

// outside refuses what the site that would use a path or address does not allow.
func (p *problems) outside(at string, f api.DiskFacts) bool {
	if f.Outside != "" {
		hint := "use another, or allow it in the local configuration of that site: allow: in up.yaml, or --allow"
		if !filepath.IsAbs(f.Path) {
			hint = "use the path of a unix socket, or give that site a certificate: tls: in up.yaml; on a network of its own, allow it there: diskClients: anybody, or --disk-clients anybody"
		}
		p.add(cdp.Invalid, at, "allowed", hint, "%s", f.Outside)
	}
	return f.Outside != ""
}

// disk refuses what is neither a file nor a block device; nothing may be there.
func (p *problems) disk(at, path string, f api.DiskFacts) bool {
	switch {
	case p.outside(at, f):
	case f.Problem != "":
		p.add(cdp.Invalid, at, "open", "", "%s cannot be opened: %s", path, f.Problem)
	case f.Kind == api.PathFolder:
		p.add(cdp.Invalid, at, "kind", "", "%s is a directory: a disk is a raw file or a block device", path)
	case f.Kind != api.PathMissing && f.Kind != api.PathFile && f.Kind != api.PathDevice:
		p.add(cdp.Invalid, at, "kind", "", "%s is neither a file nor a block device", path)
	default:
		return true
	}
	return false
}

// listen refuses an address that is a file, a disk of the job, or another job's.
func (p *problems) listen(j spec.ReplicationJob, at map[string]api.DiskFacts, sources []use, others []spec.ReplicationJob) {
	const field = "/spec/source/listen"
	addr := j.Source.Listen
	if addr == "" || p.outside(field, at[addr]) || strings.HasSuffix(addr, ":0") {
		return
	}
	for _, o := range others {
		if o.Name != j.Name && o.Source.Site == j.Source.Site && clean(o.Source.Listen) == clean(addr) {
			p.add(cdp.Conflict, field, "unique", "give each job an address of its own", "%s is the address of the job %s", addr, o.Name)
			return
		}
	}
	if !filepath.IsAbs(addr) {
		return
	}
	f := at[addr]
	if f.Kind != api.PathMissing && f.Kind != api.PathSocket {
		p.add(cdp.Conflict, field, "socket", "name a path where there is nothing", "%s is there already, and is not a socket", addr)
		return
	}
	p.unused(field, addr, f, sources)
}

func clean(address string) string {
	if filepath.IsAbs(address) {
		return filepath.Clean(address)
	}
	return address
}
