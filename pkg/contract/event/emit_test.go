package event

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tidemark.dev/schemas"
)

// unsaid are values of a type that no service puts into a field, and why.
var unsaid = map[string]string{
	"FailoverStep.State pending":       "a step is reported when it has begun",
	"FailoverWindowEnding.Policy none": "a run without a policy does not end by itself",

	"FailoverFinished.State running": "a run that goes on has not finished",
	"FailoverFinished.State usable":  "a run that goes on has not finished",
	"FailoverFinished.State ending":  "a run that goes on has not finished",
}

// free are texts of anybody's words; the other texts are names.
var free = []string{"text", "reason", "result", "hint"}

// counted are numbers that begin at 1.
var counted = []string{"revision", "frame"}

// An event that its schema refuses is never emitted, and nobody learns of it. So every
// event is made with every constant of its fields' types, with texts that are empty or
// longer than any schema allows, and with the least and the greatest numbers.
func TestWhateverAServiceSaysPassesItsSchema(t *testing.T) {
	checks, words := NewSchemas(), constants(t, "../../cdp", "../recovery", "../inventory", ".")
	used := map[string]bool{}
	for _, zero := range Catalog() {
		if !strings.HasPrefix(zero.EventType(), "tidemark.evt.") {
			continue
		}
		golden, err := fs.ReadFile(schemas.FS, "examples/"+SchemaPath(zero.EventType()))
		if err != nil {
			t.Fatal(err)
		}
		v := variants{words: words, name: reflect.TypeOf(zero).Elem().Name(), used: used}
		v.each(reflect.TypeOf(zero).Elem(), nil, func(field []int, value any, what string) {
			p := reflect.New(reflect.TypeOf(zero).Elem())
			if err := json.Unmarshal(golden, p.Interface()); err != nil {
				t.Fatal(err)
			}
			f := p.Elem().FieldByIndex(field)
			f.Set(reflect.ValueOf(value).Convert(f.Type()))
			e, err := New("1", time.Now(), "/dr/test", p.Interface().(Payload))
			if err == nil {
				err = checks.Check(checks.Fit(e))
			}
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	for what := range unsaid {
		if !used[what] {
			t.Errorf("%s: there is no such value", what)
		}
	}
}

// variants are the values that a payload's fields may have.
type variants struct {
	words map[string][]string // by the name of the type
	name  string
	used  map[string]bool
}

func (v variants) each(typ reflect.Type, at []int, try func(field []int, value any, what string)) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		field := append(at[:len(at):len(at)], i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		what := v.name + "." + f.Name
		switch f.Type.Kind() {
		case reflect.Struct:
			if f.Type != reflect.TypeFor[time.Time]() {
				v.each(f.Type, field, try)
			}
		case reflect.String:
			for _, word := range v.words[f.Type.Name()] {
				if key := what + " " + word; unsaid[key] != "" {
					v.used[key] = true
				} else {
					try(field, word, key)
				}
			}
			if f.Type == reflect.TypeFor[string]() && slices.Contains(free, name) {
				try(field, "", what+", empty")
				try(field, strings.Repeat("é\x1b\"", 5000), what+", long")
			}
		case reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Int:
			if f.Type.Kind() == reflect.Int64 || f.Type.Kind() == reflect.Uint64 {
				try(field, int64(math.MaxInt64), what+", the greatest")
			}
			least := 0
			if slices.Contains(counted, name) {
				least = 1
			}
			try(field, least, what+", the least")
		case reflect.Float64:
			try(field, 0.0, what+", zero")
			try(field, math.MaxFloat64, what+", the greatest")
		}
	}
}

// Every kind of alarm of every service passes the schemas of alarms.
func TestEveryKindOfAlarmPassesItsSchema(t *testing.T) {
	checks := NewSchemas()
	dirs, err := filepath.Glob("../../../services/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, kind := range named(t, append(dirs, ".")...) {
		if !strings.HasPrefix(name, "Alarm") {
			continue
		}
		n++
		for _, p := range []Payload{JournalAlarm{Group: "g", Kind: kind, Text: "x"}, CaptureAlarm{Group: "g", Kind: kind, Text: "x"},
			VCenterAlarm{Site: "s", Kind: kind, Subject: "x", Text: "x"}, JobAlarm{Job: "j", Kind: kind, Text: "x"}} {
			e, err := New("1", time.Now(), "/dr/test", p)
			if err == nil {
				err = checks.Check(e)
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d kinds were found", n)
	}
}

// constants are the values of the string constants in some packages, by their type.
func constants(t *testing.T, dirs ...string) map[string][]string {
	out := map[string][]string{}
	eachConstant(t, dirs, func(_, typ, value string) { out[typ] = append(out[typ], value) })
	return out
}

// named are the string constants in some packages, by their name.
func named(t *testing.T, dirs ...string) map[string]string {
	out := map[string]string{}
	eachConstant(t, dirs, func(name, _, value string) { out[name] = value })
	return out
}

func eachConstant(t *testing.T, dirs []string, fn func(name, typ, value string)) {
	t.Helper()
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				gen, ok := d.(*ast.GenDecl)
				if !ok || gen.Tok != token.CONST {
					continue
				}
				for _, s := range gen.Specs {
					spec := s.(*ast.ValueSpec)
					typ, _ := spec.Type.(*ast.Ident)
					for i, v := range spec.Values {
						lit, ok := v.(*ast.BasicLit)
						if !ok || lit.Kind != token.STRING {
							continue
						}
						value, err := strconv.Unquote(lit.Value)
						if err != nil {
							t.Fatal(err)
						}
						name := ""
						if typ != nil {
							name = typ.Name
						}
						fn(spec.Names[i].Name, name, value)
					}
				}
			}
		}
	}
}
