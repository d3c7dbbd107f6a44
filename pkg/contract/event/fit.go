package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Fit shortens the texts of e that are longer than its schema allows, so that a fact
// is never lost because an error has much to say.
func (s *Schemas) Fit(e Event) Event {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
	if err != nil {
		return e
	}
	schema, err := s.schema(SchemaPath(e.Type))
	if err != nil {
		return e
	}
	var bad *jsonschema.ValidationError
	if !errors.As(schema.Validate(doc), &bad) {
		return e
	}
	shorten(doc, bad)
	if data, err := json.Marshal(doc); err == nil {
		e.Data = data
	}
	return e
}

// shorten cuts every text that bad refuses as too long.
func shorten(doc any, bad *jsonschema.ValidationError) {
	for _, c := range bad.Causes {
		shorten(doc, c)
	}
	long, ok := bad.ErrorKind.(*kind.MaxLength)
	if !ok {
		return
	}
	path := bad.InstanceLocation
	for i, step := range path {
		last := i == len(path)-1
		switch at := doc.(type) {
		case map[string]any:
			if text, ok := at[step].(string); ok && last {
				at[step] = string([]rune(text)[:long.Want])
			}
			doc = at[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(at) {
				return
			}
			if text, ok := at[n].(string); ok && last {
				at[n] = string([]rune(text)[:long.Want])
			}
			doc = at[n]
		}
	}
}
