package spec

import (
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/schemas"
)

const good = `# two sites and a job
apiVersion: tidemark.dev/v1
kind: Site
metadata: {name: prod}
spec: {kind: block, nats: "nats://10.0.0.5:4222"}
---
apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata:
  name: web-shop
spec:
  source:
    site: prod
    capture: tap
    disks:
    - name: system
      size: 20GiB
    - name: data
      path: /srv/data.img
      size: 1048576
  target:
    site: dr
    disks:
    - {name: data, path: /srv/r-data.img}
    - {name: system, path: /srv/r-system.img}
`

func TestDefaultsAndOrder(t *testing.T) {
	got, err := Parse("f.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	want := []Object{
		{Line: 1, Site: &Site{Name: "prod", Kind: "block", NATS: "nats://10.0.0.5:4222"}},
		{Line: 6, Job: &ReplicationJob{
			Name: "web-shop", RPO: Duration(5 * time.Second),
			Source:  Source{Site: "prod", Capture: cdp.Tap, Disks: []SourceDisk{{Name: "system", Size: 20 << 30}, {Name: "data", Path: "/srv/data.img", Size: 1 << 20}}},
			Target:  Target{Site: "dr", Disks: []TargetDisk{{"system", "/srv/r-system.img"}, {"data", "/srv/r-data.img"}}},
			Journal: Journal{Mode: cdp.Rollback, History: Duration(24 * time.Hour)},
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v %+v", got[0].Site, got[1].Job)
	}
}

func TestExamplesAndRoundTrip(t *testing.T) {
	docs := [][]byte{[]byte(good)}
	examples, err := fs.Glob(schemas.FS, "examples/spec/v1/*.json")
	if err != nil || len(examples) < 4 {
		t.Fatal(examples, err)
	}
	for _, path := range examples {
		data, err := fs.ReadFile(schemas.FS, path)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, data)
	}
	for _, doc := range docs {
		objects, err := Parse("f", doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			out, err := Encode(o)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("f", out)
			if err != nil {
				t.Fatalf("%s\n%s", err, out)
			}
			o.Line = 1
			if !reflect.DeepEqual(again[0], o) {
				t.Fatalf("%s\n%+v\n%+v", out, again[0], o)
			}
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, err := Parse("bad.yaml", []byte(`apiVersion: tidemark.dev/v1
kind: Site
metadata:
  name: Prod
spec:
  kind: block
  color: red
---
# a job
apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: web}
spec:
  source:
    site: prod
    capture: inline
    listen: somewhere
    disks:
    - name: system
    - name: system
      path: data.img
      size: 100
    - name: extra
      path: /a
      size: 1 lot
  target:
    site: dr
    disks:
    - name: other
      path: /b
    - name: system
      path: /b
  rpo: 2h
  failIfRpoExceeds: soon
  journal:
    mode: rollback
    mergeEvery: 1h
    size: 10
    hstory: 24h
---
kind: Thing
---
a: [
`))
	if !cdp.Is(err, cdp.Invalid) {
		t.Fatal(err)
	}
	got := ""
	for _, p := range Problems(err) {
		got += fmt.Sprintf("%d %s (%s)\n", p.Line, p.Path, p.Rule)
	}
	want := `4 /metadata/name (pattern)
7 /spec (additionalProperties)
17 /spec/source/listen (address)
19 /spec/source/disks/0/path (required)
20 /spec/source/disks/1/name (unique)
21 /spec/source/disks/1/path (path)
22 /spec/source/disks/1/size (multiple)
25 /spec/source/disks/2/size (size)
28 /spec/target/disks (reference)
29 /spec/target/disks/0/name (reference)
32 /spec/target/disks/1/path (unique)
33 /spec/rpo (range)
34 /spec/failIfRpoExceeds (duration)
37 /spec/journal/mergeEvery (mode)
38 /spec/journal/size (range)
39 /spec/journal (additionalProperties)
41 /kind (enum)
`
	if !strings.HasPrefix(got, want) || strings.Count(got, "\n") != strings.Count(want, "\n")+1 || !strings.Contains(got, "(yaml)") {
		t.Errorf("got\n%swant\n%s\n%v", got, want, err)
	}
	if !strings.Contains(err.Error(), "bad.yaml") || !strings.Contains(err.Error(), "field color") {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "the file is empty",
		"# only\n---\n# comments": "the file is empty",
		"just text":               "apiVersion",
		"kind: Site\nkind: Site":  "already",
		"apiVersion: tidemark.dev/v2\nkind: Site\nmetadata: {name: a}\nspec: {kind: block}": "/apiVersion",
		good + "---\n" + good: "already described",
		strings.Replace(good, "kind: ReplicationJob", "kind: [a]", 1):                            "/kind",
		strings.Replace(good, "      size: 20GiB\n", "", 1):                                      "a size is required",
		strings.Replace(good, "site: dr", "site: prod\n    x: 1", 1):                             "no field x",
		strings.Replace(good, "    - {name: data, path: /srv/r-data.img}\n", "", 1):              `the disk "data" has no replica`,
		strings.ReplaceAll(strings.Replace(good, "site: dr", "site: prod", 1), "r-data", "data"): "a disk of the source",
	} {
		if _, err := Parse("f", []byte(in)); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v\nwant %s", in, err, want)
		}
	}
}

func TestQuantities(t *testing.T) {
	for in, want := range map[string]time.Duration{"5s": 5 * time.Second, "1h30m": 90 * time.Minute, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour, "500ms": 500 * time.Millisecond} {
		d, err := ParseDuration(in)
		if err != nil || d.Std() != want {
			t.Error(in, d, err)
		}
		if e, err := ParseDuration(d.String()); err != nil || e != d {
			t.Error(in, d, e, err)
		}
	}
	for _, in := range []string{"", "5", "-1s", "d", "1w", "999999999d"} {
		if d, err := ParseDuration(in); err == nil {
			t.Error(in, d)
		}
	}
	for in, want := range map[string]Size{"0": 0, "512": 512, "50GiB": 50 << 30, "1.5 TiB": 3 << 39, "1KiB": 1024} {
		s, err := ParseSize(in)
		if err != nil || s != want {
			t.Error(in, s, err)
		}
		if e, err := ParseSize(s.String()); err != nil || e != s {
			t.Error(in, s, e, err)
		}
	}
	for _, in := range []string{"", "GiB", "5GB", "1.5", "-1", "9999999TiB", "NaNGiB", "1e3"} {
		if s, err := ParseSize(in); err == nil {
			t.Error(in, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(goodVMs))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, err := Parse("f", data)
		if err != nil {
			if !cdp.Is(err, cdp.Invalid) {
				t.Fatal(err)
			}
			return
		}
		for _, o := range objects {
			out, err := Encode(o)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := Parse("f", out); err != nil || again[0].Name() != o.Name() {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	})
}
