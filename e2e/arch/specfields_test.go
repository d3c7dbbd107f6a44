package arch

import (
	"go/ast"
	"strings"
	"testing"
)

// notes are fields that say something to people, and are shown to them.
var notes = map[string]string{"Site.NATS": "where the site's server is, for people and tools"}

// Every field that users write in a file has an effect: code outside the package that
// parses and checks it reads it.
func TestEveryFieldOfASpecIsRead(t *testing.T) {
	const specs = "pkg/contract/spec"
	read, fields := map[string]bool{}, map[string]string{}
	for _, s := range sources(t) {
		switch {
		case s.test() || under(s.path, "e2e"):
		case under(s.path, specs):
			ast.Inspect(s.file, func(n ast.Node) bool {
				if x, ok := n.(*ast.TypeSpec); ok && x.Name.IsExported() {
					jsonFields(x, func(name string) { fields[x.Name.Name+"."+name] = name })
				}
				return true
			})
		default:
			ast.Inspect(s.file, func(n ast.Node) bool {
				if x, ok := n.(*ast.SelectorExpr); ok {
					read[x.Sel.Name] = true
				}
				return true
			})
		}
	}
	for field, name := range fields {
		if !read[name] && notes[field] == "" {
			t.Errorf("the field %s has no effect: nothing reads it", field)
		}
	}
	if len(fields) < 40 {
		t.Errorf("only %d fields were found", len(fields))
	}
}

// jsonFields calls fn with the fields of a struct that come from a document.
func jsonFields(x *ast.TypeSpec, fn func(name string)) {
	s, ok := x.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		if f.Tag == nil || !strings.Contains(f.Tag.Value, "json:") {
			continue
		}
		for _, name := range f.Names {
			fn(name.Name)
		}
	}
}
