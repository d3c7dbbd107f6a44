package main

import (
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/certtest"
)

// A file is checked without being run: fields, rules, and certificates.
func TestConfigCheckSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	tls := certtest.New(t).Issue(dir)
	file := filepath.Join(dir, "up.yaml")
	check := func(text string) (int, string) {
		write(t, file, text)
		var out, errs strings.Builder
		code := run(t.Context(), []string{"config", "check", file}, nil, &out, &errs)
		return code, out.String() + errs.String()
	}
	good := "sites: [{name: dr, listen: \"127.0.0.1:4222\"}]\ntls: {ca: " + tls.CA + ", cert: " + tls.Cert + ", key: "
	if code, out := check(good + tls.Key + "}\n"); code != 0 || !strings.Contains(out, "1 site") {
		t.Errorf("code %d: %s", code, out)
	}
	for text, want := range map[string]string{
		good + dir + "/none.pem}\n":                       "none.pem",
		"sites: [{name: DR}]\n":                           "sites[0].name",
		"sites: [{name: dr, listne: \"0.0.0.0:4222\"}]\n": "listne",
	} {
		if code, out := check(text); code != exitUsage || !strings.Contains(out, want) {
			t.Errorf("code %d, want %q: %s", code, want, out)
		}
	}
}
