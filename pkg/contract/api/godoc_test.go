package api_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// described are the Go packages whose types cross the bus in requests and answers, below
// pkg.
var described = []string{"cdp", "contract/api", "contract/event", "contract/inventory", "contract/recovery", "contract/spec", "core/approval", "core/failoverrun", "core/plan"}

// godoc is what the sources say of types: their comments, those of their fields, and the
// values of enumerations. Keys are "tidemark.dev/pkg/cdp.Point" and the same with ".Time".
type godoc struct {
	text  map[string]string
	words map[string][]string
}

func readGodoc(t *testing.T) godoc {
	t.Helper()
	g := godoc{map[string]string{}, map[string][]string{}}
	for _, dir := range described {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				if d, ok := d.(*ast.GenDecl); ok {
					g.read(path.Join("tidemark.dev/pkg", dir), d)
				}
			}
		}
	}
	return g
}

func (g godoc) read(pkg string, d *ast.GenDecl) {
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			name := pkg + "." + s.Name.Name
			g.text[name] = comment(s.Doc, d.Doc, s.Comment)
			if st, ok := s.Type.(*ast.StructType); ok {
				g.fields(name, st)
			}
		case *ast.ValueSpec:
			if typ, ok := s.Type.(*ast.Ident); ok && d.Tok == token.CONST && len(s.Values) == 1 {
				if v, ok := s.Values[0].(*ast.BasicLit); ok && v.Kind == token.STRING {
					word, _ := strconv.Unquote(v.Value) // the compiler has read it
					g.words[pkg+"."+typ.Name] = append(g.words[pkg+"."+typ.Name], word)
				}
			}
		}
	}
}

// fields reads the comments of a struct's fields. A comment above a field that names the
// fields after it, too, is theirs if they have none.
func (g godoc) fields(name string, st *ast.StructType) {
	last := ""
	for _, f := range st.Fields.List {
		text := comment(f.Doc, f.Comment)
		for _, n := range f.Names {
			if text == "" && mentions(last, n.Name) {
				text = last
			}
			g.text[name+"."+n.Name] = text
		}
		if text != "" {
			last = text
		}
	}
}

func mentions(text, word string) bool {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if w == word {
			return true
		}
	}
	return false
}

// comment is the first comment that there is, as one sentence or more.
func comment(cs ...*ast.CommentGroup) string {
	for _, c := range cs {
		if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
			if first, _, _ := strings.Cut(text, " "); !strings.ContainsFunc(strings.TrimRight(first, ",;:."), func(r rune) bool { return !unicode.IsLower(r) }) {
				text = strings.ToUpper(text[:1]) + text[1:]
			}
			if !strings.HasSuffix(text, ".") {
				text += "."
			}
			return text
		}
	}
	return ""
}

// of is what is said of a field: its own comment, else what plainly has for it, else the
// sentence that names it in the comment of its struct, else what its type is. Fields are
// called by their names in JSON.
func (g godoc) of(owner reflect.Type, f reflect.StructField, name string) string {
	own := func(text string) string { return inJSON(owner, unnamed(owner, text)) }
	if text := cmp.Or(own(g.text[typeName(owner)+"."+f.Name]), plainly[owner.Name()+"."+name]); text != "" {
		return text
	}
	for sentence := range strings.SplitAfterSeq(g.text[typeName(owner)], ". ") {
		if mentions(sentence, f.Name) && f.Name != "VM" {
			return own(strings.TrimSpace(sentence))
		}
	}
	return cmp.Or(plainly[name], g.is(elem(f.Type)))
}

// is what the comment of a type says, without the name of the type.
func (g godoc) is(t reflect.Type) string {
	return inJSON(t, unnamed(t, g.text[typeName(t)]))
}

// unnamed is a comment without the name of its type at the beginning.
func unnamed(t reflect.Type, text string) string {
	rest, ok := strings.CutPrefix(text, t.Name()+" ")
	if !ok || t.Name() == "" {
		return text
	}
	if verb, of, _ := strings.Cut(rest, " "); verb == "is" {
		rest = of
	}
	r := []rune(rest)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

var absent = regexp.MustCompile(`\bnil\b`)

// inJSON calls the fields of a struct by their names in JSON. An acronym stays: it is a
// word of the text, too.
func inJSON(t reflect.Type, text string) string {
	if t.Kind() != reflect.Struct {
		return text
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && strings.Contains(text, f.Name) && strings.ToUpper(strings.TrimSuffix(f.Name, "s")) != strings.TrimSuffix(f.Name, "s") {
			text = regexp.MustCompile(`\b`+f.Name+`\b`).ReplaceAllString(text, "`"+name+"`")
		}
	}
	return absent.ReplaceAllString(text, "absent")
}

func typeName(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// elem is the type that a pointer or a list is of.
func elem(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
		t = t.Elem()
	}
	return t
}
