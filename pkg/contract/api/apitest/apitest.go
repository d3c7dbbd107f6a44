// Package apitest holds the endpoints of services to their schemas, in tests. Whoever asks
// a service in a test shows it here what was asked and answered.
//
// It never asks anything itself.
package apitest

import (
	"encoding/json"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
)

var checks = event.NewSchemas()

// Exchange returns what is wrong with a request that a service took, or with its answer.
func Exchange(service, endpoint string, request, answer []byte) error {
	name := subjects.RequestType(service, endpoint)
	for name, data := range map[string][]byte{name: request, name + ".answer": answer} {
		if len(data) == 0 {
			continue
		}
		problems, err := checks.Problems(event.SchemaPath(name), data)
		if err == nil {
			err = event.Refusal(name, problems)
		}
		if err != nil {
			return cdp.Wrap(err, "compare with schema", string(data[:min(len(data), 2000)]))
		}
	}
	return nil
}

// Answered is Exchange with an answer that is not encoded yet.
func Answered(service, endpoint string, request []byte, answer any) error {
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return Exchange(service, endpoint, request, data)
}
