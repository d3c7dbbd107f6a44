package predicate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Holds reports whether the condition holds of a status, whose JSON counts, and says what was
// seen of the fields that it names. An error says what cannot be compared.
func (p Predicate) Holds(status any) (holds bool, seen string, err error) {
	data, err := json.Marshal(status)
	if err != nil {
		return false, "", err
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		return false, "", err
	}
	var said []string
	for _, f := range p.fields {
		said = append(said, f+" is "+say(path(strings.Split(f, ".")).of(doc)))
	}
	v, err := p.root.value(doc)
	if err != nil {
		return false, strings.Join(said, ", "), err
	}
	holds, is := v.(bool)
	if !is {
		err = fmt.Errorf("it comes to %s, not to true or false", say(v))
	}
	return holds, strings.Join(said, ", "), err
}

// Unknown are the fields that no status of a type can have.
func (p Predicate) Unknown(status reflect.Type) (out []string) {
	for _, f := range p.fields {
		if !has(status, strings.Split(f, ".")) {
			out = append(out, f)
		}
	}
	return out
}

// has reports whether the JSON of a type can have a field at a path.
func has(t reflect.Type, way []string) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if len(way) == 0 {
		return true
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array:
		_, err := strconv.ParseUint(way[0], 10, 16)
		return err == nil && has(t.Elem(), way[1:])
	case reflect.Map:
		return has(t.Elem(), way[1:])
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && name == way[0] {
				return has(f.Type, way[1:])
			}
		}
	}
	return false
}

// node is a part of a condition.
type node interface {
	// value is what it comes to: nil, a bool, a float64, a string, or more of the status.
	value(doc any) (any, error)
}

type (
	literal    struct{ v any }
	path       []string
	not        struct{ of node }
	and        struct{ a, b node }
	or         struct{ a, b node }
	comparison struct {
		a, b node
		how  string
	}
)

func (l literal) value(any) (any, error) { return l.v, nil }

func (p path) value(doc any) (any, error) { return p.of(doc), nil }

// of is the value at a path; nil if there is none.
func (p path) of(doc any) any {
	for _, name := range p {
		switch x := doc.(type) {
		case map[string]any:
			doc = x[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			doc = x[i]
		default:
			return nil
		}
	}
	return doc
}

// truth is what a part of a condition must come to beside and, or and not.
func truth(n node, doc any) (bool, error) {
	v, err := n.value(doc)
	if b, is := v.(bool); err != nil || is {
		return b, err
	}
	return false, fmt.Errorf("%s is neither true nor false", say(v))
}

func (n not) value(doc any) (any, error) {
	b, err := truth(n.of, doc)
	return !b, err
}

func (n and) value(doc any) (any, error) {
	b, err := truth(n.a, doc)
	if err != nil || !b {
		return false, err
	}
	return truth(n.b, doc)
}

func (n or) value(doc any) (any, error) {
	b, err := truth(n.a, doc)
	if err != nil || b {
		return b, err
	}
	return truth(n.b, doc)
}

func (n comparison) value(doc any) (any, error) {
	a, err := n.a.value(doc)
	if err != nil {
		return nil, err
	}
	b, err := n.b.value(doc)
	if err != nil {
		return nil, err
	}
	if n.how == "==" || n.how == "!=" {
		return reflect.DeepEqual(a, b) == (n.how == "=="), nil
	}
	x, numbers := a.(float64)
	y, numbers2 := b.(float64)
	if !numbers || !numbers2 {
		return nil, fmt.Errorf("%s and %s: only numbers can be compared with %s", say(a), say(b), n.how)
	}
	switch n.how {
	case "<":
		return x < y, nil
	case "<=":
		return x <= y, nil
	case ">":
		return x > y, nil
	}
	return x >= y, nil
}

// say is a value in words.
func say(v any) string {
	if v == nil {
		return "not known"
	}
	data, err := json.Marshal(v)
	if text := string(data); err == nil && len(text) <= 80 {
		return text
	}
	return "more than a number or a text"
}
