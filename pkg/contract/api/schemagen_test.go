package api_test

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/contract/spec"
)

// schema is a JSON Schema, with its keywords in the order in which they are written.
type schema struct {
	Dialect     string   `json:"$schema,omitempty"`
	ID          string   `json:"$id,omitempty"`
	Title       string   `json:"title,omitempty"`
	Type        any      `json:"type,omitempty"`
	Format      string   `json:"format,omitempty"`
	Encoding    string   `json:"contentEncoding,omitempty"`
	Pattern     string   `json:"pattern,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Minimum     *int64   `json:"minimum,omitempty"`
	Description string   `json:"description"`
	Closed      *bool    `json:"additionalProperties,omitempty"`
	Required    []string `json:"required,omitempty"`
	Properties  *fields  `json:"properties,omitempty"`
	// Keys are the values of a map, by the pattern of its keys.
	Keys  map[string]*schema `json:"patternProperties,omitempty"`
	Items *schema            `json:"items,omitempty"`
}

// fields are properties in the order of the Go struct.
type fields struct {
	names   []string
	schemas []*schema
}

func (f *fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, name := range f.names {
		data, err := json.Marshal(f.schemas[i])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, ",%q:%s", name, data)
	}
	return append(append([]byte("{"), bytes.TrimPrefix(b.Bytes(), []byte(","))...), '}'), nil
}

// generator makes schemas of Go types.
type generator struct {
	godoc
	// answers: what it describes is written by this version, so every field that a
	// service always writes is required. Of a request false may be left out.
	answers bool
	missing []string // fields that nothing is said of
}

// documents are types whose JSON is described elsewhere.
var documents = map[reflect.Type]string{
	reflect.TypeFor[json.RawMessage]():     " It is a document as tidemark apply reads it: see spec/v1.",
	reflect.TypeFor[spec.ReplicationJob](): " Its fields are those of the stored job.",
	reflect.TypeFor[spec.VMJob]():          " Its fields are those of the stored job.",
}

// object makes the schema of a struct.
func (g *generator) object(t reflect.Type, about string) *schema {
	closed := false
	s := &schema{Type: "object", Description: about, Closed: &closed}
	g.take(s, t)
	return s
}

// take adds the fields of a struct, and of those that it embeds.
func (g *generator) take(s *schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			g.take(s, f.Type)
			continue
		case !f.IsExported() || name == "-":
			continue
		case name == "":
			name = f.Name
		}
		about := g.of(t, f, name)
		if about == "" {
			g.missing = append(g.missing, typeName(t)+"."+f.Name)
		}
		always := !strings.Contains(options, "omit")
		if s.Properties == nil {
			s.Properties = &fields{}
		}
		s.Properties.names = append(s.Properties.names, name)
		s.Properties.schemas = append(s.Properties.schemas, g.value(f.Type, about, always))
		if always && (g.answers || f.Type.Kind() != reflect.Bool && f.Type.Kind() != reflect.Slice) {
			s.Required = append(s.Required, name)
		}
	}
}

// value makes the schema of a value. One that is always written may be null, if it is a
// list, a map or a pointer.
func (g *generator) value(t reflect.Type, about string, always bool) *schema {
	if more, ok := documents[elem(t)]; ok && t.Kind() != reflect.Slice || t == reflect.TypeFor[json.RawMessage]() {
		return &schema{Description: about + more}
	}
	s := g.plain(t, about)
	if k := t.Kind(); always && (k == reflect.Slice || k == reflect.Map || k == reflect.Pointer) {
		s.Type = []any{s.Type, "null"}
	}
	if always && g.answers && len(s.Enum) > 0 {
		s.Enum = append(slices.Clone(s.Enum), "") // not known
	}
	return s
}

func (g *generator) plain(t reflect.Type, about string) *schema {
	least := int64(0)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time", Description: about}
	case t == reflect.TypeFor[spec.Size]():
		return &schema{Type: []any{"string", "integer"}, Description: about}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && t.Kind() != reflect.Pointer:
		s := &schema{Type: "string", Description: about}
		if t.Kind() == reflect.Uint64 {
			s.Pattern = "^[0-9a-f]{16}$"
		}
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.value(t.Elem(), about, false)
	case reflect.Struct:
		return g.object(t, about)
	case reflect.Bool:
		return &schema{Type: "boolean", Description: about}
	case reflect.String:
		return &schema{Type: "string", Enum: g.words[typeName(t)], Description: about}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return &schema{Type: "integer", Description: about}
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &schema{Type: "integer", Minimum: &least, Description: about}
	case reflect.Float64:
		return &schema{Type: "number", Description: about}
	case reflect.Map:
		keys, closed := "", false
		if t.Key().Kind() != reflect.String {
			keys = "^-?[0-9]+$"
		}
		return &schema{Type: "object", Description: about, Closed: &closed, Keys: map[string]*schema{keys: g.value(t.Elem(), "The value of one key.", true)}}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &schema{Type: "string", Encoding: "base64", Description: about}
		}
		return &schema{Type: "array", Description: about, Items: g.value(t.Elem(), cmp.Or(g.is(t.Elem()), "One of them."), false)}
	}
	panic("no schema for " + t.String())
}
