package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is a parsed file of the repository.
type source struct {
	path  string // from the root
	file  *ast.File
	fset  *token.FileSet
	lines int
}

func (s source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, top := range []string{"schemas", "pkg", "services", "e2e"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel("../..", path)
			out = append(out, source{filepath.ToSlash(rel), f, fset, fset.File(f.FileStart).LineCount()})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) < 100 {
		t.Fatalf("only %d files found", len(out))
	}
	return out
}

// clockCalls are what package time does with the machine's clock.
var clockCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}

// mayTellTime are places that may use the machine's clock: the clock itself,
// adapters, whose outside things have clocks of their own, and tests.
func mayTellTime(path string) bool {
	return under(path, "pkg/clock") || under(path, "pkg/adapter") || under(path, "e2e") || strings.Contains(path, "test/")
}

// A simulator of the whole system decides how time passes, so nobody asks the
// machine.
func TestTimeComesFromTheClock(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() || mayTellTime(s.path) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			x, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := x.X.(*ast.Ident); ok && pkg.Name == "time" && slices.Contains(clockCalls, x.Sel.Name) {
				t.Errorf("%s: time.%s: take a clock.Clock", s.fset.Position(x.Pos()), x.Sel.Name)
			}
			return true
		})
	}
}

// What is longer than this is two ideas.
const (
	linesOfFile     = 400
	linesOfFunction = 80
)

func TestNothingIsTooLong(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines > linesOfFile {
			t.Errorf("%s has %d lines, more than %d", s.path, s.lines, linesOfFile)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line; n > linesOfFunction {
				t.Errorf("%s: %s has %d lines, more than %d", s.fset.Position(f.Pos()), f.Name.Name, n, linesOfFunction)
			}
		}
	}
}
