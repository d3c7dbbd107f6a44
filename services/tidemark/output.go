package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
)

// format is how facts are written: as text for people or as data for scripts.
type format string

const (
	asTable format = "table" // text
	asWide  format = "wide"  // text, with more columns
	asName  format = "name"  // the names alone, one a line
	asJSON  format = "json"
	asYAML  format = "yaml"
)

var formats = []string{string(asTable), string(asWide), string(asName), string(asJSON), string(asYAML)}

func (f *format) register(c *cobra.Command) {
	*f = asTable
	c.Flags().VarP(f, "output", "o", "table, wide, name, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "format" }

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return usage("use %s", strings.Join(formats, ", "))
	}
	*f = format(s)
	return nil
}

// text reports whether people read it.
func (f format) text() bool { return f == asTable || f == asWide }

// print writes v as data, or as the table that rows makes. A head that ends in "*"
// names the column that -o name prints (else it is the first); the columns from a
// head that begins with "+" on are those of -o wide.
func (f format) print(w io.Writer, v any, head []string, rows func(add func(...any))) error {
	switch f {
	case asJSON:
		data, err := json.MarshalIndent(filled(v), "", "  ")
		if err != nil {
			return cdp.Wrap(err, "write", "json")
		}
		_, err = w.Write(append(data, '\n'))
		return err
	case asYAML:
		data, err := yaml.Marshal(filled(v))
		if err != nil {
			return cdp.Wrap(err, "write", "yaml")
		}
		_, err = w.Write(data)
		return err
	case asName:
		return names(w, head, rows)
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Box.PaddingLeft = ""
	t.Style().Box.PaddingRight = "  "
	shown := len(head)
	if i := slices.IndexFunc(head, func(h string) bool { return strings.HasPrefix(h, "+") }); i >= 0 && f != asWide {
		shown = i
	}
	var row table.Row
	for _, h := range head[:shown] {
		row = append(row, strings.Trim(h, "+*"))
	}
	t.AppendHeader(row)
	n := 0
	rows(func(cells ...any) {
		cells = cells[:min(shown, len(cells))]
		for i, c := range cells {
			if s, ok := c.(string); ok {
				cells[i] = plain(s)
			}
		}
		t.AppendRow(cells)
		n++
	})
	if n == 0 {
		_, err := io.WriteString(w, "none\n")
		return err
	}
	t.SuppressTrailingSpaces()
	t.Render()
	return nil
}

// names writes the names of a table's rows. A row without one belongs to the row
// before it.
func names(w io.Writer, head []string, rows func(add func(...any))) error {
	column := max(0, slices.IndexFunc(head, func(h string) bool { return strings.HasSuffix(h, "*") }))
	var err error
	last := ""
	rows(func(cells ...any) {
		name := plain(strings.TrimSpace(fmt.Sprint(cells[column])))
		if name == "" || name == last || err != nil {
			return
		}
		last = name
		_, err = fmt.Fprintln(w, name)
	})
	return err
}

// facts writes one thing: as data; as its name; or with show, as text for people.
func (f format) facts(w io.Writer, v any, name string, show func() error) error {
	switch {
	case f.text():
		return show()
	case f == asName:
		_, err := fmt.Fprintln(w, plain(name))
		return err
	}
	return f.print(w, v, nil, nil)
}

// filled is v with empty lists in place of those that are nil, so that they are
// written as [] and not as null.
func filled(v any) any {
	if v == nil {
		return nil
	}
	x := reflect.New(reflect.TypeOf(v)).Elem()
	x.Set(reflect.ValueOf(v))
	fill(x)
	return x.Interface()
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem())
		}
	case reflect.Slice:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f)
			}
		}
	}
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool { return width(w) > 0 }

// width is how many columns the terminal w has; 0 if it is none.
func width(w io.Writer) int {
	switch w := w.(type) {
	case *os.File:
		return columns(w)
	case screen:
		return width(w.terminal)
	}
	return 0
}
