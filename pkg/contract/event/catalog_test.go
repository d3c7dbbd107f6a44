package event

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/schemas"
)

// TestCatalog: every type has a schema, every schema a type; the golden example
// passes its schema, goes through the struct unchanged, and is refused with one
// more field or one required field less.
func TestCatalog(t *testing.T) {
	check := NewSchemas()
	files := map[string]bool{}
	for _, p := range Catalog() {
		files[SchemaPath(p.EventType())] = true
		t.Run(p.EventType(), func(t *testing.T) {
			golden, err := fs.ReadFile(schemas.FS, "examples/"+SchemaPath(p.EventType()))
			if err != nil {
				t.Fatal(err)
			}
			e := Event{ID: "1", Source: "/prod/test", Type: p.EventType(), Data: golden}
			if err := check.Check(e); err != nil {
				t.Fatal(err)
			}
			typed, err := e.Typed()
			if err != nil {
				t.Fatal(err)
			}
			if typed.About() == "" {
				t.Error("about nothing")
			}
			again, err := New("1", time.Unix(0, 0), "/prod/test", typed)
			if err != nil {
				t.Fatal(err)
			}
			var a, b map[string]any
			if json.Unmarshal(golden, &a) != nil || json.Unmarshal(again.Data, &b) != nil || !reflect.DeepEqual(a, b) {
				t.Errorf("went in as %v, came out as %v", a, b)
			}
			refused := func(what string, doc map[string]any) {
				t.Helper()
				data, err := json.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				e.Data = data
				err = check.Check(e)
				if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), what) {
					t.Errorf("%s: got %v", what, err)
				}
			}
			b["zzz"] = 1
			refused("zzz", b)
			delete(b, "zzz")
			about := "job"
			if _, ok := b["group"]; ok {
				about = "group"
			} else if _, ok := b["command"]; ok {
				about = "command"
			} else if _, ok := b["site"]; ok {
				about = "site"
			} else if _, ok := b["plan"]; ok {
				about = "plan"
			}
			delete(b, about)
			refused(about, b)
			b[about] = 7
			refused("/"+about, b)
		})
	}
	for _, root := range []string{"cmd", "evt"} {
		err := fs.WalkDir(schemas.FS, root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !files[path] {
				t.Errorf("%s: no type in this package", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSpecExamples: the schemas of user files compile and pass their examples.
func TestSpecExamples(t *testing.T) {
	examples, err := fs.Glob(schemas.FS, "examples/spec/v1/*.json")
	if err != nil || len(examples) < 2 {
		t.Fatal(examples, err)
	}
	for _, path := range examples {
		doc, err := fs.ReadFile(schemas.FS, path)
		if err != nil {
			t.Fatal(err)
		}
		file, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(path, "examples/"), ".json"), "-")
		file += ".json"
		if p, err := NewSchemas().Problems(file, doc); err != nil || len(p) > 0 {
			t.Error(file, p, err)
		}
	}
}

func TestProblemsNamePathAndRule(t *testing.T) {
	s := NewSchemas()
	for data, want := range map[string]string{
		`{"job":"j","run":"r","mode":"test","to":"smoke"}`:                                        `/to: value must be one of 'nbd', 'files', 'vm' (enum)`,
		`{"job":"j","run":"r","mode":"test","to":"nbd","at":"noon"}`:                              `/at: `,
		`{"job":"j","run":"r","mode":"test","to":"nbd","point":"p1","at":"2026-11-22T12:00:00Z"}`: `/at: not allowed here (false)`,
		`{"job":"J","run":"r","mode":"test"}`:                                                     `(required); /job: 'J' does not match pattern`,
		`[]`:                                                                                      `/: got array, want object (type)`,
		`{`:                                                                                       `/: `,
	} {
		err := s.Check(Event{Type: FailoverStart{}.EventType(), Data: []byte(data)})
		if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", data, err, want)
		}
	}
	for _, to := range []recovery.Destination{recovery.ToNBD, recovery.ToFiles, recovery.ToVM} {
		data := []byte(`{"job":"j","run":"r","mode":"test","to":"` + string(to) + `"}`)
		if err := s.Check(Event{ID: "1", Source: "/dr/test", Type: FailoverStart{}.EventType(), Data: data}); err != nil {
			t.Error(err)
		}
	}
	if err := s.Check(Event{Type: "tidemark.cmd.v1.x.y", Data: []byte(`{}`)}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
	if err := s.Check(Event{Type: "tidemark.examples.cmd.v1.capture.mark", Data: []byte(`{}`)}); !cdp.Is(err, cdp.Invalid) {
		t.Error(err)
	}
}
