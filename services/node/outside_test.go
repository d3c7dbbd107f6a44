package node

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// Only a file of the script directory itself is run: no path, no link out of it, and
// nothing that anybody could have put there.
func TestOnlyProgramsOfTheScriptDirectoryAreRun(t *testing.T) {
	dir := t.TempDir()
	o := outside{scripts: filepath.Join(dir, "scripts")}
	if names, err := o.Scripts(); err != nil || len(names) != 0 {
		t.Error(names, err)
	}
	if err := os.Mkdir(o.scripts, 0o700); err != nil {
		t.Fatal(err)
	}
	put := func(name string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(o.scripts, name), []byte("#!/bin/sh\necho \"$TIDEMARK_MODE $1\"; exit ${2:-0}\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(o.scripts, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("good", 0o700)
	put("text", 0o600)
	put("anybodys", 0o777)
	put("../stranger", 0o700)
	if err := os.Symlink("../stranger", filepath.Join(o.scripts, "link")); err != nil {
		t.Fatal(err)
	}
	if names, err := o.Scripts(); err != nil || !slices.Equal(names, []string{"good"}) {
		t.Error(names, err)
	}
	out, err := o.Script(t.Context(), "good", []string{"it's; $HOME"}, []string{"TIDEMARK_MODE=test"})
	if err != nil || out != "test it's; $HOME" {
		t.Errorf("%q %v", out, err)
	}
	if _, err := o.Script(t.Context(), "good", []string{"bad", "3"}, nil); !cdp.Is(err, cdp.Conflict) || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
	for _, name := range []string{"text", "anybodys", "link", "../stranger", "..", "", "nosuch", o.scripts + "/good"} {
		if out, err := o.Script(t.Context(), name, nil, nil); err == nil {
			t.Errorf("%q ran: %s", name, out)
		}
	}
}

// A webhook is a POST of JSON. Only an answer of 200 to 299 is success, and what answers is
// the address of the plan, never one that it leads to.
func TestWebhooksAndChecksOverTheNetwork(t *testing.T) {
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+string(body))
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/hook", http.StatusFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	o := outside{}
	if err := o.Post(t.Context(), srv.URL+"/hook", []byte(`{"a":1}`)); err != nil || !slices.Equal(got, []string{`POST /hook application/json {"a":1}`}) {
		t.Error(got, err)
	}
	for _, path := range []string{"/away", "/broken"} {
		if err := o.Post(t.Context(), srv.URL+path, []byte("{}")); !cdp.Is(err, cdp.Conflict) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(got) != 3 {
		t.Errorf("it followed: %v", got)
	}
	if status, err := o.Get(t.Context(), srv.URL+"/away"); err != nil || status != http.StatusFound {
		t.Error(status, err)
	}
	address := srv.Listener.Addr().String()
	if err := o.Dial(t.Context(), address); err != nil {
		t.Error(err)
	}
	srv.Close()
	for _, err := range []error{o.Dial(t.Context(), address), o.Post(t.Context(), srv.URL, nil)} {
		if !cdp.Is(err, cdp.Transient) {
			t.Error(err)
		}
	}
}
