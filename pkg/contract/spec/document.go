package spec

import (
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// ParseDocument reads one document, in JSON or YAML, as a service receives it.
// The problems are those of the document; the error is about anything else.
func ParseDocument(data []byte) (Object, []Problem, error) {
	o, problems, err := parse(event.NewSchemas(), document{string(data), 1})
	return o, problems, cdp.Wrap(err, "read spec", "")
}

// CheckKey returns an Invalid error for a job stored as name that no reader can
// use. The service that writes jobs has checked more; a reader repeats only what it
// relies on.
func (j ReplicationJob) CheckKey(name string) error {
	const op = "read job"
	if err := checkStored(op, name, j.Name, j.Source.Site, j.Target.Site); err != nil {
		return err
	}
	if err := checkRPO(op, name, j.RPO); err != nil {
		return err
	}
	if s, t := len(j.Source.Disks), len(j.Target.Disks); s != t {
		return cdp.Errorf(cdp.Invalid, op, name, "it has %d source disks and %d target disks", s, t)
	}
	for _, d := range j.Source.Disks {
		if !slices.ContainsFunc(j.Target.Disks, func(t TargetDisk) bool { return t.Name == d.Name }) {
			return cdp.Errorf(cdp.Invalid, op, name, "the source disk %q has no target disk of that name", d.Name)
		}
	}
	return nil
}

// CheckKey is as that of a ReplicationJob.
func (j VMJob) CheckKey(name string) error {
	const op = "read job on VMs"
	if err := checkStored(op, name, j.Name, j.SourceSite, j.TargetSite); err != nil {
		return err
	}
	return checkRPO(op, name, j.RPO)
}

// CheckKey is as that of a ReplicationJob.
func (s Site) CheckKey(name string) error {
	return checkStored("read site", name, string(s.Name))
}

// checkStored checks the names in a stored document.
func checkStored(op, key, name string, sites ...cdp.Site) error {
	if name != key {
		return cdp.Errorf(cdp.Invalid, op, key, "it is stored as %q and has the name %q", key, name)
	}
	if err := cdp.CheckName("name", name); err != nil {
		return cdp.Wrap(err, op, key)
	}
	for i, s := range sites {
		if err := cdp.CheckName([]string{"source.site", "target.site"}[i], string(s)); err != nil {
			return cdp.Wrap(err, op, key)
		}
	}
	return nil
}

func checkRPO(op, name string, rpo Duration) error {
	if rpo.Std() < MinRPO || rpo.Std() > MaxRPO {
		return cdp.Errorf(cdp.Invalid, op, name, "the rpo %s is not from %s to %s", rpo, Duration(MinRPO), Duration(MaxRPO))
	}
	return nil
}
