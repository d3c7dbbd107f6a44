package jobrules

import (
	"strconv"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// disksStay refuses a change of a job's disks, running or not, but for disks that were
// extended or are added after the others: the journal's points are of the disks that it
// has, and its replica is where it is. Another source would count as protected although
// no point has its content, and another replica would hold nothing that a point needs.
func (p *problems) disksStay(j, was spec.ReplicationJob) {
	if j.Source.Site != was.Source.Site {
		p.stays("/spec/source/site", string(was.Source.Site), "")
	}
	const source, target = "/spec/source/disks", "/spec/target/disks"
	if len(j.Source.Disks) < len(was.Source.Disks) {
		p.stays(source, strconv.Itoa(len(was.Source.Disks))+" disks", "")
	}
	if len(j.Target.Disks) < len(was.Target.Disks) {
		p.stays(target, strconv.Itoa(len(was.Target.Disks))+" disks", "")
	}
	for i := range min(len(j.Source.Disks), len(was.Source.Disks)) {
		at, d, old := source+"/"+strconv.Itoa(i), j.Source.Disks[i], was.Source.Disks[i]
		if d.Name != old.Name {
			p.stays(at+"/name", old.Name, "")
		}
		if d.Path != old.Path {
			p.stays(at+"/path", old.Path, moved)
		}
		if d.Size != 0 && d.Size < old.Size {
			p.stays(at+"/size", strconv.FormatInt(int64(old.Size), 10)+" bytes, and a disk never shrinks", "")
		}
	}
	for i := range min(len(j.Target.Disks), len(was.Target.Disks)) {
		at, d, old := target+"/"+strconv.Itoa(i), j.Target.Disks[i], was.Target.Disks[i]
		if d.Name != old.Name {
			p.stays(at+"/name", old.Name, "")
		}
		if d.Path != old.Path {
			p.stays(at+"/path", old.Path, moved)
		}
	}
}

// moved is the way out for a disk that lies elsewhere by now.
const moved = "if the file was moved, leave a symbolic link to it in its old place; for another disk "

func (p *problems) stays(at, old, way string) {
	p.add(cdp.Conflict, at, "immutable", way+"describe another job, or delete this one with its recovery points and apply it again",
		"the disks of a job cannot be changed, even while it is stopped, but for disks that were extended or come after the others: it was %s", old)
}
