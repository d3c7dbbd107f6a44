package schemas_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/schemas"
)

var record = flag.Bool("record", false, "record the schemas as those of the last release")

const releasedFile = "testdata/released.json"

// broken are incompatibilities with the last release that are meant, and why.
var broken = map[string]string{}

// shapes are all schemas without their texts.
func shapes(t *testing.T) map[string]map[string]any {
	all := map[string]map[string]any{}
	each(t, func(_ *testing.T, path string, s map[string]any) { all[path] = shape(s) })
	return all
}

func shape(s map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range s {
		if _, text := v.(string); text && (k == "description" || k == "title" || strings.HasPrefix(k, "x-") || strings.HasPrefix(k, "$")) {
			continue // a property of that name is no text
		}
		if m, ok := v.(map[string]any); ok {
			v = shape(m)
		}
		out[k] = v
	}
	return out
}

// Clients of the last release still work: this version accepts every request that the
// release accepted, and its answers have every field that the release's had.
func TestCompatibleWithTheLastRelease(t *testing.T) {
	now := shapes(t)
	if *record {
		data, err := json.MarshalIndent(now, "", " ")
		if err == nil {
			err = os.WriteFile(releasedFile, append(data, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(releasedFile)
	if err != nil {
		t.Fatal(err)
	}
	var then map[string]map[string]any
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&then); err != nil || len(then) == 0 {
		t.Fatal(len(then), err)
	}
	found := map[string]bool{}
	for path, old := range then {
		for _, what := range breaks(old, now[path], !given(path)) {
			what = path + what
			found[what] = true
			if broken[what] == "" {
				t.Errorf("%s: who relies on the last release breaks. Keep it, or say in broken why not", what)
			}
		}
	}
	for what := range broken {
		if !found[what] {
			t.Errorf("broken names %s, which is not broken", what)
		}
	}
}

// given reports whether we write what the schema is of; everything else is written to us.
func given(path string) bool {
	return strings.HasPrefix(path, "evt/") || strings.HasSuffix(path, "/answer.json")
}

// breaks says in which ways a schema takes less than it took, or gives less than it gave.
func breaks(old, now map[string]any, taken bool) (out []string) {
	if now == nil {
		return []string{" is gone"}
	}
	wide, narrow := old, now // everything that wide lets pass narrow must let pass, too
	if !taken {
		wide, narrow = now, old
	}
	for _, name := range list(narrow["required"]) {
		if !slices.Contains(list(wide["required"]), name) {
			out = append(out, map[bool]string{true: ": now requires ", false: ": no longer always has "}[taken]+name)
		}
	}
	if narrow["type"] != nil {
		for _, typ := range list(wide["type"]) {
			if !slices.Contains(list(narrow["type"]), typ) && !(typ == "integer" && slices.Contains(list(narrow["type"]), "number")) {
				out = append(out, ": the type "+typ+map[bool]string{true: " is refused", false: " is new"}[taken])
			}
		}
	}
	if taken {
		out = append(out, stricter(old, now)...)
	}
	for _, part := range []string{"properties", "patternProperties"} {
		was, _ := old[part].(map[string]any)
		is, _ := now[part].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(was)) {
			before, _ := was[name].(map[string]any)
			after, _ := is[name].(map[string]any)
			if _, still := is[name]; !still {
				out = append(out, "/"+name+" is gone")
			} else if before != nil && after != nil {
				out = append(out, under("/"+name, breaks(before, after, taken))...)
			}
		}
	}
	for _, part := range []string{"items", "then", "else"} {
		before, _ := old[part].(map[string]any)
		if after, ok := now[part].(map[string]any); ok && before != nil {
			out = append(out, under("/"+part, breaks(before, after, taken))...)
		}
	}
	return out
}

// stricter says which rules for a value are new or narrower.
func stricter(old, now map[string]any) (out []string) {
	for _, rule := range []string{"pattern", "format", "const", "uniqueItems"} {
		if now[rule] != nil && !reflect.DeepEqual(now[rule], old[rule]) {
			out = append(out, fmt.Sprintf(": %s is %v now", rule, now[rule]))
		}
	}
	if words, ok := now["enum"].([]any); ok {
		before, had := old["enum"].([]any)
		if !had {
			out = append(out, ": enum is new")
		}
		for _, word := range before {
			if !slices.Contains(words, word) {
				out = append(out, fmt.Sprintf(": %v is refused", word))
			}
		}
	}
	for rule, sign := range map[string]float64{"minimum": 1, "minLength": 1, "minItems": 1, "maximum": -1, "maxLength": -1, "maxItems": -1} {
		is, ok := now[rule].(float64)
		if was, had := old[rule].(float64); ok && (!had || is*sign > was*sign) {
			out = append(out, fmt.Sprintf(": %s is %v now", rule, is))
		}
	}
	return out
}

func under(path string, all []string) []string {
	for i, what := range all {
		all[i] = path + what
	}
	return all
}

// list is a keyword that has one text or several.
func list(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			out = append(out, fmt.Sprint(x))
		}
	}
	return out
}

// Every kind of incompatible change is reported.
func TestWhatIsIncompatibleIsFound(t *testing.T) {
	data, err := fs.ReadFile(schemas.FS, "cmd/v1/journal/point-pin.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ old, now, taken, given string }{
		{"", "", "", ""},
		{`"pinned": {`, `"held": {`, "/pinned is gone", "/pinned is gone"},
		{`"type": "boolean"`, `"type": "string"`, "/pinned: the type boolean is refused", "/pinned: the type string is new"},
		{`"point",`, ``, "", ": no longer always has point"},
		{`"maxLength": 64`, `"maxLength": 32`, "/point: maxLength is 32 now", ""},
		{`"minLength": 1`, `"minLength": 0`, "", ""},
		{`"required": [`, `"required": ["why",`, ": now requires why", ""},
		{`"type": "boolean"`, `"type": ["boolean", "null"]`, "", "/pinned: the type null is new"},
	} {
		var old, now map[string]any
		if json.Unmarshal(data, &old) != nil || json.Unmarshal(bytes.Replace(data, []byte(x.old), []byte(x.now), 1), &now) != nil {
			t.Fatal(x.old)
		}
		if got := strings.Join(breaks(shape(old), shape(now), true), ";"); got != x.taken {
			t.Errorf("taken, %s for %s: %q", x.now, x.old, got)
		}
		if got := strings.Join(breaks(shape(old), shape(now), false), ";"); got != x.given {
			t.Errorf("given, %s for %s: %q", x.now, x.old, got)
		}
	}
}
