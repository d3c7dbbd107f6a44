package journal

import (
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// JobChanged handles a change in the spec bucket: a job whose target is this site
// was applied or, if j is nil, deleted.
func (s *Service) JobChanged(name string, j *spec.ReplicationJob) error {
	if j == nil {
		return s.Remove(cdp.GroupID(name))
	}
	s.Apply(specOf(*j))
	return nil
}

// specOf is what the job says to the journal. The disks are in the order of the
// source's.
func specOf(j spec.ReplicationJob) GroupSpec {
	g := GroupSpec{Group: cdp.GroupID(j.Name), Source: j.Source.Site, Mode: cdp.JournalMode(j.Journal.Mode),
		History: time.Duration(j.Journal.History), Limit: int64(j.Journal.Size), MergeEvery: time.Duration(j.Journal.MergeEvery), Adopt: j.Adopts(),
		Lock: time.Duration(j.Journal.Lock), Job: &j}
	for _, d := range j.Source.Disks {
		i := slices.IndexFunc(j.Target.Disks, func(t spec.TargetDisk) bool { return t.Name == d.Name })
		if i < 0 {
			continue // the check of the spec refuses this
		}
		g.Names, g.Sizes = append(g.Names, d.Name), append(g.Sizes, int64(d.Size))
		g.Paths, g.Removed = append(g.Paths, j.Target.Disks[i].Path), append(g.Removed, removedAt(d))
	}
	return g
}

// removedAt is since when the source lacks a disk; zero: it has it.
func removedAt(d spec.SourceDisk) time.Time {
	if d.Removed == 0 {
		return time.Time{}
	}
	return time.UnixMilli(d.Removed)
}
