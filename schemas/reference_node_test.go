package schemas_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// node is a schema as the reference reads it. x-type, x-default and x-rule say
// what JSON Schema has no words for.
type node struct {
	Type        any    `json:"type"`
	XType       string `json:"x-type"`
	Description string `json:"description"`
	Default     any    `json:"default"`
	XDefault    string `json:"x-default"`
	XRule       string `json:"x-rule"`
	Const       any    `json:"const"`
	Enum        []any  `json:"enum"`
	Pattern     string `json:"pattern"`
	Min         *int   `json:"minimum"`
	Max         *int   `json:"maximum"`
	MinItems    int    `json:"minItems"`
	MaxItems    int    `json:"maxItems"`
	MaxLength   int    `json:"maxLength"`
	// Not refuses every value where it is there.
	Not any `json:"not"`

	Required   []string `json:"required"`
	Properties fields   `json:"properties"`
	Items      *node    `json:"items"`
}

// fields are the properties of an object, in the order of the file. A property
// whose schema is false is nil.
type fields struct {
	names []string
	nodes map[string]*node
}

func (f *fields) UnmarshalJSON(data []byte) error {
	f.nodes = map[string]*node{}
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		var n *node
		if string(raw) != "false" {
			n = &node{}
			if err := json.Unmarshal(raw, n); err != nil {
				return err
			}
		}
		f.names = append(f.names, name.(string))
		f.nodes[name.(string)] = n
	}
	return nil
}

// take adds what a branch of the schema says.
func (n *node) take(b node) {
	n.Required = append(n.Required, b.Required...)
	if b.Description != "" {
		n.Description = b.Description
	}
	if b.Enum != nil {
		n.Enum = b.Enum
	}
	if b.XDefault != "" {
		n.Default, n.XDefault = nil, b.XDefault
	}
	if b.XRule != "" {
		n.XRule = b.XRule
	}
	if b.MaxItems != 0 {
		n.MaxItems = b.MaxItems
	}
	if b.Items != nil {
		n.Items.take(*b.Items)
	}
	for _, name := range b.Properties.names {
		if p := b.Properties.nodes[name]; p == nil {
			n.Properties.nodes[name] = nil
		} else {
			n.Properties.nodes[name].take(*p)
		}
	}
}

// write writes a row for each field below the path.
func (n *node) write(w io.Writer, path string) {
	for _, name := range n.Properties.names {
		p := n.Properties.nodes[name]
		if p == nil || p.Not != nil {
			continue
		}
		at := path + name
		def := p.def()
		if slices.Contains(n.Required, name) {
			def = "**required**"
		}
		kind := p.kind()
		if p.Items != nil {
			kind = "list of " + p.Items.kind()
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", at, kind, def, strings.Join(p.rules(), "; "), p.Description)
		switch {
		case p.Items == nil:
			p.write(w, at+".")
		case len(p.Items.Properties.names) > 0:
			p.Items.write(w, at+"[].")
		}
	}
}

func (n *node) kind() string {
	switch {
	case n.XType != "":
		return n.XType
	case n.Const != nil || n.Enum != nil:
		return "text"
	case n.Pattern == namePattern:
		return "name"
	case n.Type == "string":
		return "text"
	case n.Type == "object":
		return "section"
	}
	if of, ok := n.Type.([]any); ok { // the rest says that it may be null, or a number for a size
		one := *n
		one.Type = of[0]
		return one.kind()
	}
	if n.Type == nil {
		return "any"
	}
	return fmt.Sprint(n.Type)
}

const namePattern = "^[a-z][a-z0-9-]{0,39}$"

func (n *node) def() string {
	switch {
	case n.Default != nil:
		return fmt.Sprintf("`%v`", n.Default)
	case n.XDefault != "":
		return n.XDefault
	}
	return "none"
}

// rules are what a value must keep, in words.
func (n *node) rules() (out []string) {
	all := func(values []any) string {
		var s []string
		for _, v := range values {
			s = append(s, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(s, ", ")
	}
	switch {
	case n.Const != nil:
		out = append(out, all([]any{n.Const}))
	case n.Enum != nil:
		out = append(out, all(n.Enum))
	case n.Pattern != "" && n.Pattern != namePattern:
		out = append(out, "matches `"+strings.ReplaceAll(n.Pattern, "|", `\|`)+"`")
	}
	if n.Min != nil && n.Max != nil {
		out = append(out, fmt.Sprintf("%d to %d", *n.Min, *n.Max))
	}
	if n.MaxItems != 0 {
		out = append(out, fmt.Sprintf("%d to %d entries", n.MinItems, n.MaxItems))
	}
	if n.Items != nil && len(n.Items.Properties.names) == 0 {
		out = append(out, n.Items.rules()...)
	}
	if n.XRule != "" {
		out = append(out, n.XRule)
	}
	if n.Items != nil && n.Items.XRule != "" {
		out = append(out, n.Items.XRule)
	}
	if n.MaxLength != 0 {
		out = append(out, fmt.Sprintf("at most %d characters", n.MaxLength))
	}
	return out
}
