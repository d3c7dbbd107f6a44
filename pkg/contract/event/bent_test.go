package event

import (
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/seedtest"
	"tidemark.dev/schemas"
)

// Whatever a message holds, reading it never panics, and says that it is invalid or gives
// what its schema allows: that has a Go type, and goes back into a message as valid as
// before.
func TestBentMessagesAreRefusedOrRead(t *testing.T) {
	rng, checks := rand.New(rand.NewPCG(seedtest.Seed(t), 1)), NewSchemas()
	read, refused := 0, 0
	err := fs.WalkDir(schemas.FS, "examples", func(p string, d fs.DirEntry, err error) error {
		parts := strings.Split(p, "/")
		if err != nil || d.IsDir() || len(parts) != 5 {
			return err
		}
		doc, err := fs.ReadFile(schemas.FS, p)
		if err != nil {
			return err
		}
		typ := "tidemark." + parts[1] + ".v1." + parts[3] + "." + strings.TrimSuffix(path.Base(p), ".json")
		for range 20 {
			bent := seedtest.Bend(rng, doc)
			e := Event{ID: "1", Source: "/prod/nobody", Type: typ, Subject: "x", Data: bent}
			if got, err := Decode(nil, bent); err == nil && got.Type == "" {
				e.Data = got.Data
			}
			if err := checks.Check(e); err != nil {
				if !cdp.Is(err, cdp.Invalid) {
					t.Errorf("%s: %v\n%.300s", typ, err, bent)
				}
				refused++
				continue
			}
			read++
			again(t, checks, e)
		}
		return nil
	})
	if err != nil || read == 0 || refused == 0 {
		t.Fatal(read, refused, err)
	}
	t.Logf("%d read, %d refused", read, refused)
}

// again reads a valid message and writes it.
func again(t *testing.T, checks *Schemas, e Event) {
	t.Helper()
	p, err := e.Typed()
	if err != nil {
		if !cdp.Is(err, cdp.Invalid) {
			t.Errorf("%s: %v\n%.300s", e.Type, err, e.Data)
		}
		return
	}
	back, err := New("1", time.Now(), "/prod/nobody", p)
	if err == nil {
		err = checks.Check(back)
	}
	if err != nil {
		t.Errorf("%s: what was read cannot be written: %v\n%.300s", e.Type, err, e.Data)
	}
}
