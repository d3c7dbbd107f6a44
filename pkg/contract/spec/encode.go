package spec

import (
	"encoding/json"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
)

// Encode writes an object as a YAML document that Parse reads as the same object.
// The job of a VM is written, too, but Parse refuses it: nobody writes one by
// hand.
func Encode(o Object) ([]byte, error) {
	doc, err := Document(o)
	if err != nil {
		return nil, err
	}
	out, err := yaml.JSONToYAML(doc)
	if err != nil {
		return nil, &cdp.Error{Op: "write spec", Kind: cdp.Internal, Subject: o.Name(), Cause: err}
	}
	return out, nil
}

// Document writes an object as Encode does, as JSON: the form that the services
// take.
func Document(o Object) (json.RawMessage, error) {
	var body any = o.Job
	switch {
	case o.Site != nil:
		body = o.Site
	case o.VMJob != nil:
		body = o.VMJob
	case o.Plan != nil:
		body = o.Plan
	}
	fields := map[string]any{}
	data, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal(data, &fields)
	}
	if err == nil {
		delete(fields, "name")
		delete(fields, "id")
		if o.VMJob != nil {
			o.VMJob.asWritten(fields)
		}
		data, err = json.Marshal(map[string]any{"apiVersion": APIVersion, "kind": o.Kind(), "metadata": map[string]any{"name": o.Name()}, "spec": fields})
	}
	if err != nil {
		return nil, &cdp.Error{Op: "write spec", Kind: cdp.Internal, Subject: o.Name(), Cause: err}
	}
	return data, nil
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
