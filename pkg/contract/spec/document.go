package spec

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
)

// ParseDocument reads one document, in JSON or YAML, as a service receives it.
// The problems are those of the document; the error is about anything else.
func ParseDocument(data []byte) (Object, []Problem, error) {
	o, problems, err := parse(event.NewSchemas(), document{string(data), 1})
	return o, problems, cdp.Wrap(err, "read spec", "")
}

// Check returns an Invalid error for a stored job that no reader can use. The
// service that writes jobs has checked more; a reader repeats only what it
// relies on.
func (j ReplicationJob) Check() error {
	const op = "read job"
	for _, err := range []error{cdp.CheckName("name", j.Name), cdp.CheckName("source.site", string(j.Source.Site)), cdp.CheckName("target.site", string(j.Target.Site))} {
		if err != nil {
			return cdp.Wrap(err, op, j.Name)
		}
	}
	switch {
	case j.RPO.Std() < MinRPO || j.RPO.Std() > MaxRPO:
		return cdp.Errorf(cdp.Invalid, op, j.Name, "the rpo %s is not from %s to %s", j.RPO, Duration(MinRPO), Duration(MaxRPO))
	case len(j.Source.Disks) != len(j.Target.Disks):
		return cdp.Errorf(cdp.Invalid, op, j.Name, "it has %d source disks and %d target disks", len(j.Source.Disks), len(j.Target.Disks))
	}
	return nil
}
