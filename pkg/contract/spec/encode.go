package spec

import (
	"encoding/json"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
)

// Encode writes an object as a document that Parse reads as the same object. A
// job that the vcenter service made is written, too, but is refused by Parse.
func Encode(o Object) ([]byte, error) {
	doc := map[string]any{"apiVersion": APIVersion, "kind": o.Kind(), "metadata": map[string]any{"name": o.Name()}}
	var body any = o.Job
	switch {
	case o.Site != nil:
		body = o.Site
	case o.VMJob != nil:
		body = o.VMJob
	}
	out, err := func() ([]byte, error) {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			return nil, err
		}
		delete(fields, "name")
		if o.VMJob != nil {
			o.VMJob.asWritten(fields)
		}
		doc["spec"] = fields
		return yaml.Marshal(doc)
	}()
	if err != nil {
		return nil, &cdp.Error{Op: "write spec", Kind: cdp.Internal, Subject: o.Name(), Cause: err}
	}
	return out, nil
}

// asWritten puts the fields where users write them.
func (j *VMJob) asWritten(fields map[string]any) {
	for side, site := range map[string]cdp.Site{"source": j.SourceSite, "target": j.TargetSite} {
		fields[side].(map[string]any)["site"] = site // they are structs
		delete(fields, side+"Site")
	}
	if checks, ok := fields["checks"].(map[string]any); ok {
		delete(checks, "timeoutNanos")
		if j.Checks.Timeout != 0 {
			checks["timeout"] = Duration(j.Checks.Timeout).String()
		}
	}
}
