package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
)

// What the bus names is a login of the site's own directory, and no file.
func TestGuestLoginsAreReadFromTheSitesDirectoryAlone(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "guests"), 0o700); err != nil {
		t.Fatal(err)
	}
	good := "username: root\npassword: secret-7\n"
	put("guests/linux.yaml", good, 0o600)
	put("guests/open.yaml", good, 0o644)
	put("guests/half.yaml", "password: secret-7\n", 0o600)
	put("other.yaml", good, 0o600)
	logins := guestLogins(filepath.Join(dir, "guests"))
	if user, password, err := logins.Login("linux"); user != "root" || password != "secret-7" || err != nil {
		t.Errorf("%q %v", user, err)
	}
	for name, says := range map[string]string{"open": "others may read it", "half": "username", "none": "no such file", "../other": "", "": ""} {
		_, _, err := logins.Login(name)
		if !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret-7") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
