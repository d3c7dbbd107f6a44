package schemas_test

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"tidemark.dev/schemas"
)

// each calls fn with every schema.
func each(t *testing.T, fn func(t *testing.T, path string, schema map[string]any)) {
	t.Helper()
	n := 0
	err := fs.WalkDir(schemas.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") || strings.HasPrefix(path, "examples/") {
			return err
		}
		n++
		data, err := fs.ReadFile(schemas.FS, path)
		if err != nil {
			return err
		}
		var s map[string]any
		if err := json.Unmarshal(data, &s); err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		t.Run(path, func(t *testing.T) { fn(t, path, s) })
		return nil
	})
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
}

// TestClosedAndDescribed: an input with a field we do not know is refused, and
// a person can read what each field is.
func TestClosedAndDescribed(t *testing.T) {
	each(t, func(t *testing.T, path string, s map[string]any) {
		if want := "https://tidemark.dev/schemas/" + path; s["$id"] != want {
			t.Errorf("$id is %v, want %s", s["$id"], want)
		}
		if s["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Error("not 2020-12")
		}
		check(t, "", s)
	})
}

func check(t *testing.T, at string, s map[string]any) {
	if d, _ := s["description"].(string); d == "" {
		t.Errorf("%s: no description", at)
	}
	if s["type"] == "object" && s["additionalProperties"] != false {
		t.Errorf("%s: lets unknown fields pass", at)
	}
	props, _ := s["properties"].(map[string]any)
	for name, p := range props {
		check(t, at+"/"+name, p.(map[string]any))
	}
	if items, ok := s["items"].(map[string]any); ok {
		check(t, at+"/items", items)
	}
}

// TestExamples: each schema has an example, and each example a schema; package
// event checks them. A schema of user files may have more, <kind>-<which>.json.
func TestExamples(t *testing.T) {
	count := 0
	each(t, func(t *testing.T, path string, _ map[string]any) {
		count++
		if _, err := fs.Stat(schemas.FS, "examples/"+path); err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(path, "spec/") {
			more, err := fs.Glob(schemas.FS, "examples/"+strings.TrimSuffix(path, ".json")+"-*.json")
			if err != nil {
				t.Error(err)
			}
			count += len(more)
		}
	})
	err := fs.WalkDir(schemas.FS, "examples", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			count--
		}
		return err
	})
	if err != nil || count != 0 {
		t.Fatal("examples without a schema", count, err)
	}
}

// TestAsyncAPI: every command and event has its channel.
func TestAsyncAPI(t *testing.T) {
	doc, err := fs.ReadFile(schemas.FS, "asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, path string, _ map[string]any) {
		if !strings.HasPrefix(path, "spec/") && !strings.HasPrefix(path, "config/") && !strings.Contains(string(doc), "$ref: ./"+path+"\n") {
			t.Error("asyncapi.yaml does not name it")
		}
	})
}
