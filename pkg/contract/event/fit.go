package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// Fit shortens the texts of e that are longer than its schema allows, and says so where
// one is missing, so that a fact is never lost because an error has much to say, or
// nothing.
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
	mend(doc, bad)
	if data, err := json.Marshal(doc); err == nil {
		e.Data = data
	}
	return e
}

// untold is the text of a fact that has none.
const untold = "not given"

// mend cuts every text that bad refuses as too long, and replaces the empty ones.
func mend(doc any, bad *jsonschema.ValidationError) {
	for _, c := range bad.Causes {
		mend(doc, c)
	}
	var fit func(text string) string
	switch k := bad.ErrorKind.(type) {
	case *kind.MaxLength:
		fit = func(text string) string { return string([]rune(text)[:k.Want]) }
	case *kind.MinLength:
		fit = func(text string) string {
			if text == "" {
				return untold
			}
			return text
		}
	default:
		return
	}
	path := bad.InstanceLocation
	for i, step := range path {
		last := i == len(path)-1
		switch at := doc.(type) {
		case map[string]any:
			if text, ok := at[step].(string); ok && last {
				at[step] = fit(text)
			}
			doc = at[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n >= len(at) {
				return
			}
			if text, ok := at[n].(string); ok && last {
				at[n] = fit(text)
			}
			doc = at[n]
		}
	}
}
