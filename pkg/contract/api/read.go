package api

import (
	"context"
	"encoding/json"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// ReadDocument reads the document of an ApplyRequest, which must be of one kind.
// What is wrong with the document is in the reply.
func ReadDocument(r ApplyRequest, kind string) (spec.Object, ApplyReply, error) {
	o, problems, err := spec.ParseDocument(r.Document)
	if err != nil {
		return o, ApplyReply{}, err
	}
	reply := ApplyReply{Kind: kind}
	for _, p := range problems {
		reply.Problems = append(reply.Problems, Problem{Kind: cdp.Invalid, Path: p.Path, Rule: p.Rule, Text: p.Text})
	}
	if len(problems) > 0 {
		return o, reply, nil
	}
	reply.Name = o.Name()
	if o.Kind() != kind {
		reply.Problems = []Problem{{Kind: cdp.Invalid, Path: "/kind", Rule: "kind", Text: "must be " + kind + " for this service"}}
	}
	return o, reply, nil
}

// ApplyNamed does what a command to apply a document asks for: the document must
// describe the object of that name. What is refused changes nothing.
func ApplyNamed(ctx context.Context, kind, name string, document json.RawMessage, apply func(context.Context, ApplyRequest) (ApplyReply, error)) error {
	r := ApplyRequest{Document: document}
	o, reply, err := ReadDocument(r, kind)
	if err == nil {
		err = reply.Err()
	}
	if err == nil && o.Name() != name {
		err = cdp.Errorf(cdp.Invalid, "read document", name, "the document describes the %s %s", opName(kind), o.Name())
	}
	if err == nil {
		reply, err = apply(ctx, r)
	}
	if err == nil {
		err = reply.Err()
	}
	return cdp.Wrap(err, "apply "+opName(kind), name)
}
