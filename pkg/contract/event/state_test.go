package event

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// A metric has a series for each state: one that the lists lack would be in none.
func TestTheListsOfStatesAreComplete(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "state.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string][]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		kind := v.Type.(*ast.Ident).Name
		declared[kind] = append(declared[kind], name)
		return true
	})
	for kind, list := range map[string][]string{"CaptureState": CaptureStates(), "JournalState": JournalStates()} {
		if len(list) == 0 || !slices.Equal(list, declared[kind]) {
			t.Errorf("%s: %v, declared are %v", kind, list, declared[kind])
		}
	}
}
