package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

var start = time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC)

func record(n int, at time.Time) api.AuditRecord {
	return api.AuditRecord{At: at, Site: "dr", Service: "journal", What: fmt.Sprint("verb", n), From: "/dr/operator", Outcome: api.AuditDone, Input: "{\n\"a\":1}"}
}

func add(t *testing.T, l Log, n int, at time.Time) {
	t.Helper()
	if err := l.Append(record(n, at)); err != nil {
		t.Fatal(err)
	}
}

func whats(t *testing.T, dir string) (out []string) {
	t.Helper()
	if err := Read(dir, Reading{Record: func(_ string, r api.AuditRecord) error { out = append(out, r.What); return nil }}); err != nil {
		t.Fatal(err)
	}
	return out
}

// Records come back in order, over days and however many write at once, and only their
// owner can read the files.
func TestRecordsAreKeptInOrder(t *testing.T) {
	l := Log{filepath.Join(t.TempDir(), "a", "dr"), 1 << 30}
	if err := Read(l.Dir, Reading{}); !cdp.Is(err, cdp.NotFound) {
		t.Fatal(err)
	}
	// The clock goes to another day, and back again.
	for i, at := range []time.Time{start, start.Add(time.Hour), start.Add(-24 * time.Hour), start.Add(25 * time.Hour)} {
		add(t, l, i, at)
	}
	if got := fmt.Sprint(whats(t, l.Dir)); got != "[verb0 verb1 verb2 verb3]" {
		t.Error(got)
	}
	files, err := os.ReadDir(l.Dir)
	if err != nil || len(files) != 3 || files[1].Name() != "000002-2026-12-01.log" {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if st, err := f.Info(); err != nil || st.Mode().Perm() != 0o600 {
			t.Error(st, err)
		}
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 10 {
				if err := l.Append(record(i, start.Add(25*time.Hour))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if p, err := Verify(l.Dir, ""); err != nil || !p.Proven() || p.Records != 84 || p.Gone != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// Whatever is changed, removed, added or put elsewhere in the files is found, but for
// what is taken off the end: that is found by who has kept a hash.
func TestWhoeverChangesARecordIsFoundOut(t *testing.T) {
	l := Log{t.TempDir(), 1 << 30}
	for i := range 9 {
		add(t, l, i, start.Add(time.Duration(i/3)*24*time.Hour))
	}
	whole, err := Verify(l.Dir, "")
	if err != nil || !whole.Proven() || whole.Records != 9 || !whole.From.Equal(start) {
		t.Fatalf("%+v, %v", whole, err)
	}
	files, err := filepath.Glob(filepath.Join(l.Dir, "*.log"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	var kept [][]byte
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, raw)
	}
	restore := func() {
		for i, f := range files {
			if err := os.WriteFile(f, kept[i], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(what string, change func() error) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if p, err := Verify(l.Dir, whole.Head); err != nil || p.Proven() {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
		restore()
	}
	lines := bytes.SplitAfter(kept[1], []byte("\n"))
	put := func(i int, parts ...[]byte) func() error {
		return func() error { return os.WriteFile(files[i], bytes.Join(parts, nil), 0o600) }
	}
	for at := range kept[1] { // every byte of a file
		flipped := bytes.Clone(kept[1])
		flipped[at] ^= 1
		expect(fmt.Sprint("byte ", at), put(1, flipped))
	}
	expect("a record removed", put(1, lines[0], lines[1], lines[3]))
	expect("a record twice", put(1, lines[0], lines[1], lines[1], lines[2], lines[3]))
	expect("two exchanged", put(1, lines[0], lines[2], lines[1], lines[3]))
	expect("the end of a day removed", put(1, lines[0], lines[1], lines[2]))
	expect("a day removed", func() error { return os.Remove(files[1]) })
	expect("the newest day removed", func() error { return os.Remove(files[2]) })
	last := bytes.SplitAfter(kept[2], []byte("\n"))
	expect("the newest record removed", put(2, last[:len(last)-2]...))
	if p, err := Verify(l.Dir, whole.Head); err != nil || !p.Proven() {
		t.Errorf("after all that: %+v, %v", p, err)
	}
}

// What a crash left of a record is cut off by the next one.
func TestALogGoesOnAfterACrash(t *testing.T) {
	l := Log{t.TempDir(), 1 << 30}
	add(t, l, 1, start)
	files, _ := filepath.Glob(filepath.Join(l.Dir, "*.log"))
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], append(whole, strings.Repeat("a", 70)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(whats(t, l.Dir)); got != "[verb1]" {
		t.Error(got)
	}
	add(t, l, 2, start)
	if got := fmt.Sprint(whats(t, l.Dir)); got != "[verb1 verb2]" {
		t.Error(got)
	}
}

// Damage costs the record that it hits, and is named. One at the end does not keep new
// records from being kept.
func TestDamageCostsOneRecord(t *testing.T) {
	l := Log{t.TempDir(), 1 << 30}
	for i := range 5 {
		add(t, l, i, start)
	}
	files, _ := filepath.Glob(filepath.Join(l.Dir, "*.log"))
	damage := func(what string) {
		t.Helper()
		raw, err := os.ReadFile(files[0])
		if err == nil {
			err = os.WriteFile(files[0], bytes.Replace(raw, []byte(what), []byte(strings.Repeat("?", len(what))), 1), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	damage("verb2")
	if got := fmt.Sprint(whats(t, l.Dir)); got != "[verb0 verb1 verb3 verb4]" {
		t.Error(got)
	}
	p, err := Verify(l.Dir, "")
	if err != nil || !strings.Contains(p.Problem, "line 4") {
		t.Fatalf("%+v, %v", p, err)
	}
	damage(p.Head)
	add(t, l, 5, start)
	if got := fmt.Sprint(whats(t, l.Dir)); got != "[verb0 verb1 verb3 verb5]" {
		t.Error(got)
	}
}

// The files never take more than they may, whatever is recorded and whatever the clock
// says, and what is left is proven.
func TestALogIsBounded(t *testing.T) {
	const most = 2 * (fileBytes + longest)
	l := Log{t.TempDir(), most}
	r := record(0, start)
	r.Input = strings.Repeat("x", 60<<10)
	for i := range 200 { // 12 MiB
		r.At = r.At.Add(time.Duration(i%3-1) * 500 * 24 * time.Hour)
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	var all int64
	files, _ := os.ReadDir(l.Dir)
	for _, f := range files {
		st, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		all += st.Size()
	}
	p, err := Verify(l.Dir, "")
	if err != nil || !p.Proven() || p.Gone == 0 || all > most || all < most/2 {
		t.Errorf("%d bytes, %+v, %v", all, p, err)
	}
	stop := errors.New("stop")
	if err := Read(l.Dir, Reading{Record: func(string, api.AuditRecord) error { return stop }}); !errors.Is(err, stop) {
		t.Error(err)
	}
}
