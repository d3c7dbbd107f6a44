package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that a text of the program names, such as the hint of an error, is a
// command, with the flags that it has.
func TestHintsNameCommandsThatExist(t *testing.T) {
	root := (&app{}).root()
	named := 0
	for _, top := range []string{"../../pkg", ".."} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, text := range textsOf(t, path) {
				for _, line := range commandLine.FindAllString(text, -1) {
					named++
					if why := unknown(root, strings.Fields(line)[1:]); why != "" {
						t.Errorf("%s says %q: %s", path, line, why)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if named < 100 {
		t.Errorf("only %d commands were found: is this test looking in the right place?", named)
	}
	for _, bad := range []string{"tidemark jobs run web", "tidemark job start web", "tidemark job run web --fast"} { // the control
		if unknown(root, strings.Fields(bad)[1:]) == "" {
			t.Errorf("%q passes for a command", bad)
		}
	}
}

// commandLine is a command in a text, to the end of the words that can belong to it.
var commandLine = regexp.MustCompile(`\btidemark [a-z][a-z-]*( (--?[a-z][a-z-]*|[A-Za-z0-9_./:-]*[A-Za-z0-9_])\b)*`)

// aside are the words after the program's name that are a sentence and no command.
var aside = map[string]bool{"is": true, "has": true, "of": true, "directory": true, "and": true, "in": true, "with": true, "runs": true, "release": true, "service": true, "from": true, "on": true}

// unknown is why words are no command of the program; "" if they are.
func unknown(root *cobra.Command, words []string) string {
	if aside[words[0]] {
		return ""
	}
	c := root
	for i, w := range words {
		if !strings.HasPrefix(w, "-") {
			next := child(c, w)
			switch {
			case next != nil:
				c = next
			case w == placeholder && c.HasSubCommands(): // perhaps a command
				return ""
			case i == 0, c.HasSubCommands() && w == strings.ToLower(w) && c.ValidateArgs([]string{w}) != nil:
				return "there is no command " + strconv.Quote(w)
			}
			continue
		}
		name := strings.TrimLeft(w, "-")
		f := c.Flag(name)
		if f == nil && len(name) == 1 {
			f = c.Flags().ShorthandLookup(name)
		}
		if f == nil && c.InheritedFlags().Lookup(name) == nil && name != "help" && name != "version" {
			return c.CommandPath() + " has no flag " + w
		}
	}
	return ""
}

func child(c *cobra.Command, name string) *cobra.Command {
	for _, x := range c.Commands() {
		if x.Name() == name {
			return x
		}
	}
	return nil
}

// placeholder stands for what a text gets only when the program runs.
const placeholder = "zz"

// textsOf are the texts in a Go file, those that are put together as one.
func textsOf(t *testing.T, path string) (out []string) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.ADD {
				out = append(out, joined(n))
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				out = append(out, joined(n))
			}
		}
		return true
	})
	return out
}

func joined(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return joined(e.X) + joined(e.Y)
	case *ast.ParenExpr:
		return joined(e.X)
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return regexp.MustCompile(`%[-+# 0-9.]*[a-z]`).ReplaceAllString(s, placeholder)
		}
	}
	return placeholder
}
