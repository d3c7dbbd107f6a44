package guest

import "os"

// Test is what Require needs of a *testing.T.
type Test interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
}

// Require is the first call of every test that boots guests. It lets the test
// run unless TIDEMARK_GUEST=0 is set explicitly, which skips it with the reason
// and is fatal under CI=true; missing tools are fatal, with the packages to
// install.
func Require(t Test) {
	t.Helper()
	if os.Getenv("TIDEMARK_GUEST") == "0" {
		if os.Getenv("CI") == "true" {
			t.Fatal("TIDEMARK_GUEST=0 under CI=true: CI must run the guest tests")
		}
		t.Skip("NOT TESTED: TIDEMARK_GUEST=0 is set, so no real guest ran. Unset it to run guest tests.")
	}
	if err := CheckTools(); err != nil {
		t.Fatal(err)
	}
}
