package guest

import (
	"fmt"
	"strings"
	"testing"
)

type verdict struct{ skipped, failed string }

func (v *verdict) Helper()       {}
func (v *verdict) Skip(a ...any) { v.skipped = fmt.Sprint(a...) }
func (v *verdict) Fatal(a ...any) {
	if v.failed == "" {
		v.failed = fmt.Sprint(a...)
	}
}

func TestRequireIsLoud(t *testing.T) {
	t.Setenv("TIDEMARK_GUEST", "0")
	t.Setenv("CI", "")
	v := &verdict{}
	if Require(v); v.skipped == "" || v.failed != "" {
		t.Fatalf("%+v", v)
	}
	t.Setenv("CI", "true")
	v = &verdict{}
	if Require(v); v.failed == "" {
		t.Fatalf("%+v", v)
	}
	t.Setenv("TIDEMARK_GUEST", "")
	t.Setenv("PATH", t.TempDir())
	v = &verdict{}
	if Require(v); !strings.Contains(v.failed, "apt-get install") || !strings.Contains(v.failed, "qemu-system-x86") || strings.Contains(v.failed, "\n") {
		t.Fatalf("%+v", v)
	}
}
