package journal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/contract/event"
)

// An alarm that its schema refuses is never emitted. So every kind is a constant of
// alarms.go, and every constant passes the schema.
func TestEveryAlarmPassesItsSchema(t *testing.T) {
	checks := event.NewSchemas()
	kinds := map[string]bool{}
	each(t, func(file string, n ast.Node) {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || file != "alarms.go" {
			return
		}
		kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		kinds[spec.Names[0].Name] = true
		e, err := event.New("1", time.Now(), "/dr/journal", event.JournalAlarm{Group: "web", Kind: kind, Text: "x"})
		if err == nil {
			err = checks.Check(e)
		}
		if err != nil {
			t.Errorf("%s: %v", spec.Names[0].Name, err)
		}
	})
	each(t, func(file string, n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Alarm" {
			return
		}
		if kind, ok := call.Args[2].(*ast.Ident); !ok || !kinds[kind.Name] {
			t.Errorf("%s raises an alarm whose kind is none of alarms.go", file)
		}
	})
	if len(kinds) == 0 {
		t.Error("no kinds were found")
	}
}

// each calls fn with every node of the package's sources.
func each(t *testing.T, fn func(file string, n ast.Node)) {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool { fn(f.Name(), n); return true })
	}
}
