package node

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/contract/event"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/schemas"
)

const upSchema = "config/v1/up.json"

// property is a schema as far as it can be compared with a Go type.
type property struct {
	Type       string
	Enum       []string
	Properties map[string]property
	Items      *property
}

// The schema of up.yaml, which the reference is generated from, has the fields of
// Config, and passes what LoadConfig takes.
func TestSchemaOfUpYAML(t *testing.T) {
	data, err := fs.ReadFile(schemas.FS, upSchema)
	if err != nil {
		t.Fatal(err)
	}
	var s property
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	sameFields(t, "", s, reflect.TypeFor[Config]())
	if got := s.Properties["sites"].Items.Properties["services"].Items.Enum; !slices.Equal(slices.Sorted(slices.Values(got)), Services()) {
		t.Errorf("the schema has the services %v, and there are %v", got, Services())
	}
	files, err := filepath.Glob("../../deploy/examples/up-*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, "../../schemas/examples/"+upSchema) {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			t.Fatal(f, err)
		}
		if p, err := event.NewSchemas().Problems(upSchema, doc); err != nil || len(p) > 0 {
			t.Error(f, p, err)
		}
		if _, err := LoadConfig(f); err != nil {
			t.Error(f, err)
		}
	}
}

func sameFields(t *testing.T, at string, s property, typ reflect.Type) {
	t.Helper()
	kinds := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Slice: "array", reflect.Struct: "object"}
	kind := kinds[typ.Kind()]
	if typ == reflect.TypeFor[spec.Size]() {
		kind = "string" // such as 60GiB
	}
	if s.Type != kind {
		t.Errorf("%s: the schema says %s, the code %s", at, s.Type, typ)
		return
	}
	switch typ.Kind() {
	case reflect.Slice:
		sameFields(t, at+"[]", *s.Items, typ.Elem())
	case reflect.Struct:
		fields := map[string]reflect.Type{}
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" {
				name = strings.ToLower(f.Name)
			}
			fields[name] = f.Type
		}
		if a, b := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(maps.Keys(fields)); !slices.Equal(a, b) {
			t.Errorf("%s: the schema has %v, the code %v", at, a, b)
			return
		}
		for name, f := range fields {
			sameFields(t, at+"."+name, s.Properties[name], f)
		}
	}
}
