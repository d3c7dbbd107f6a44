package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/schemas"
)

var rewrite = flag.Bool("rewrite", false, "regenerate schemas/api and its examples")

const schemaDir = "../../../schemas/"

// generated are the schemas of requests and answers, and an example of each, by file.
func generated(t *testing.T) map[string][]byte {
	t.Helper()
	doc, files := readGodoc(t), map[string][]byte{}
	add := func(name, about string, v any, answers bool) {
		g := generator{godoc: doc, answers: answers}
		s := g.object(reflect.TypeOf(v), about)
		for _, f := range g.missing {
			t.Errorf("%s: nothing says what it is: write a comment in the sources", f)
		}
		file := event.SchemaPath(name)
		s.Dialect, s.ID, s.Title = "https://json-schema.org/draft/2020-12/schema", "https://tidemark.dev/schemas/"+file, name
		data, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		files[file] = append(data, '\n')
		files["examples/"+file] = exampler{t, doc, answers}.of(v)
	}
	for _, c := range catalog() {
		name := subjects.RequestType(c.service, c.endpoint)
		add(name, c.does, c.request, false)
		add(name+".answer", "The answer to "+name+".", c.answer, true)
	}
	return files
}

// The schemas of requests and answers are what the Go types and their comments say.
func TestSchemasAreWhatTheTypesSay(t *testing.T) {
	want := generated(t)
	if t.Failed() {
		return
	}
	if *rewrite {
		write(t, want)
	}
	for file, data := range want {
		if now, err := os.ReadFile(schemaDir + file); err != nil || !bytes.Equal(now, data) {
			t.Errorf("%s is not what the types say (%v): run go test ./pkg/contract/api -rewrite", file, err)
		}
	}
	for _, root := range []string{"api", "examples/api"} {
		err := fs.WalkDir(os.DirFS(schemaDir), root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && want[path] == nil {
				t.Errorf("%s: there is no such endpoint", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, files map[string][]byte) {
	t.Helper()
	for _, root := range []string{"api", "examples/api"} {
		if err := os.RemoveAll(schemaDir + root); err != nil {
			t.Fatal(err)
		}
	}
	for file, data := range files {
		err := os.MkdirAll(filepath.Dir(schemaDir+file), 0o755)
		if err == nil {
			err = os.WriteFile(schemaDir+file, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// An example passes its schema, and not with one more field, nor without one that is
// required.
func TestExamplesPassAndOthersDoNot(t *testing.T) {
	check := event.NewSchemas()
	for _, c := range catalog() {
		name := subjects.RequestType(c.service, c.endpoint)
		for _, file := range []string{event.SchemaPath(name), event.SchemaPath(name + ".answer")} {
			examined(t, check, file)
		}
	}
}

func examined(t *testing.T, check *event.Schemas, file string) {
	t.Helper()
	refused := func(file, what string, doc map[string]any) {
		t.Helper()
		data, _ := json.Marshal(doc) // it was JSON
		problems, err := check.Problems(file, data)
		if err != nil || !strings.Contains(event.Refusal(file, problems).Error(), what) {
			t.Errorf("%s, %s: %v %v", file, what, problems, err)
		}
	}
	example, err := fs.ReadFile(schemas.FS, "examples/"+file)
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := check.Problems(file, example); err != nil || len(problems) > 0 {
		t.Errorf("%s: %v %v", file, problems, err)
	}
	var doc map[string]any
	var rules struct{ Required []string }
	raw, err := fs.ReadFile(schemas.FS, file)
	if err != nil || json.Unmarshal(example, &doc) != nil || json.Unmarshal(raw, &rules) != nil {
		t.Fatal(file, err)
	}
	doc["zzz"] = 1
	refused(file, "zzz", doc)
	delete(doc, "zzz")
	for _, name := range rules.Required {
		was := doc[name]
		delete(doc, name)
		refused(file, name, doc)
		doc[name] = was
	}
}

// Every constant of the package that names an endpoint is in the catalog.
func TestEveryEndpointIsInTheCatalog(t *testing.T) {
	count := map[string]int{} // several services may have an endpoint of one name
	for _, c := range catalog() {
		count[c.endpoint]++
	}
	other := []string{"AuditDone", "AuditRefused", "ForExport"}
	endpoint := func(s *ast.ValueSpec, file string) {
		if s.Type != nil || len(s.Values) != 1 || slices.Contains(other, s.Names[0].Name) {
			return
		}
		if v, ok := s.Values[0].(*ast.BasicLit); ok && v.Kind == token.STRING {
			name, _ := strconv.Unquote(v.Value)
			if count[name]--; count[name] < 0 {
				t.Errorf("%s: %s, or another constant %q, is not in the catalog of catalog_test.go", file, s.Names[0].Name, name)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.GenDecl); ok && d.Tok == token.CONST && !strings.HasSuffix(file, "_test.go") {
				for _, s := range d.Specs {
					endpoint(s.(*ast.ValueSpec), file)
				}
			}
		}
	}
}
