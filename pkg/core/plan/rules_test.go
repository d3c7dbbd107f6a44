package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Every rule of the static check, and every one that the file itself must follow, has an
// example in testdata with the words that an operator gets.
func TestEveryRuleHasAnExample(t *testing.T) {
	said := ""
	files, err := filepath.Glob("testdata/check*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		said += string(data)
	}
	n := 0
	for file, format := range map[string]map[string]int{ // where the text is among the arguments
		"check*.go": {"bad": 1, "warn": 1}, "../../contract/spec/check[apt]*.go": {"bad": 2, "when": 2, "trig": 2},
	} {
		sources, err := filepath.Glob(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, src := range sources {
			if base := filepath.Base(src); strings.HasSuffix(src, "_test.go") || base == "checkplace.go" {
				continue
			}
			for _, text := range formats(t, src, format) {
				if n++; !sayable(text).MatchString(said) {
					t.Errorf("%s: no example in testdata says %q", filepath.Base(src), text)
				}
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d rules were found", n)
	}
}

// formats are the texts that a file gives to these methods of its checker.
func formats(t *testing.T, file string, methods map[string]int) (out []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, is := n.(*ast.CallExpr)
		if !is {
			return true
		}
		sel, is := call.Fun.(*ast.SelectorExpr)
		if !is {
			return true
		}
		if at, known := methods[sel.Sel.Name]; known && at < len(call.Args) {
			if lit, is := call.Args[at].(*ast.BasicLit); is {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					out = append(out, text)
				}
			}
		}
		return true
	})
	return out
}

// sayable matches what a format can say.
func sayable(format string) *regexp.Regexp {
	parts := regexp.MustCompile(`%[a-z]`).Split(format, -1)
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile(strings.Join(parts, ".+"))
}
