package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/mailer"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/orchestrator"
)

// The mail server of a site is named by its own file, which nobody else may read. What is
// wrong with the file is said without what is in it.
func TestTheMailServerIsNamedByASecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), mailFile)
	if err := (outside{mail: path}).Mail(t.Context(), orchestrator.Mail{}); !cdp.Is(err, cdp.Invalid) || !strings.Contains(cdp.HintOf(err), "server: host:port") {
		t.Error(err)
	}
	put := func(text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	const good = "server: mail.example.com:587\nfrom: tidemark@example.com\nusername: u\npassword: hush\n"
	put(good, 0o600)
	s, err := loadMailServer(path)
	if err != nil || s.Address != "mail.example.com:587" || s.Password != "hush" || s.Security != "" {
		t.Errorf("%+v %v", s, err)
	}
	put(good+"security: tls\n", 0o600)
	if s, err := loadMailServer(path); err != nil || s.Security != mailer.TLS {
		t.Errorf("%+v %v", s, err)
	}
	for want, bad := range map[string]func(){
		"others may read it": func() { put(good, 0o644) },
		"needs the lines":    func() { put("password: hush\n", 0o600) },
		"must be starttls":   func() { put(good+"security: ssl\n", 0o600) },
		"no such file":       func() { put(good+"ca: /nosuch\n", 0o600) },
	} {
		bad()
		if _, err := loadMailServer(path); !cdp.Is(err, cdp.Invalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
