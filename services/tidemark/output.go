package main

import (
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
)

// format is how a list is written.
type format string

func (f *format) register(c *cobra.Command) {
	*f = "table"
	c.Flags().VarP(f, "output", "o", "table, json or yaml")
}

func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return "format" }

// Set implements pflag.Value.
func (f *format) Set(s string) error {
	if !slices.Contains([]string{"table", "json", "yaml"}, s) {
		return usage("use table, json or yaml")
	}
	*f = format(s)
	return nil
}

// print writes v as JSON or YAML, or as the table that rows makes.
func (f format) print(w io.Writer, v any, head []string, rows func(add func(...any))) error {
	switch f {
	case "json":
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return cdp.Wrap(err, "write", "json")
		}
		_, err = w.Write(append(data, '\n'))
		return err
	case "yaml":
		data, err := yaml.Marshal(v)
		if err != nil {
			return cdp.Wrap(err, "write", "yaml")
		}
		_, err = w.Write(data)
		return err
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.Style().Box.PaddingLeft = ""
	t.Style().Box.PaddingRight = "   "
	row := make(table.Row, len(head))
	for i, h := range head {
		row[i] = h
	}
	t.AppendHeader(row)
	n := 0
	rows(func(cells ...any) {
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

// plain is a text as it may be printed: what a terminal would act on is escaped.
// Only lines are kept.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\n' {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
