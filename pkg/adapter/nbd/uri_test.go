package nbd

import (
	"net/url"
	"testing"
)

// A client that decodes a URI finds the socket and the export, whatever is in their
// names.
func TestURIsArePercentEncoded(t *testing.T) {
	for _, path := range []string{"/run/web.sock", "/run/my vm/a&b=c?d#e+f%20/web.sock", "/run/ü.sock"} {
		raw := URI("unix", path, "disk 1/#?", false)
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Query(); got.Get("socket") != path || len(got) != 1 || u.Path != "/disk 1/#?" || u.Fragment != "" {
			t.Errorf("%q is read as %q, %q", raw, u.Path, got)
		}
	}
	if got := URI("unix", "/run/my vm/web.sock", "root", false); got != "nbd+unix:///root?socket=/run/my%20vm/web.sock" {
		t.Error(got)
	}
	if got := URI("tcp", "[::1]:10809", "root", true); got != "nbds://[::1]:10809/root" {
		t.Error(got)
	}
}
