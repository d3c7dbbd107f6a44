package node

import (
	"context"
	"crypto/x509"
	"os"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/adapter/mailer"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/services/orchestrator"
)

// mailFile is the file, in the site's own directory, that names the mail server of its
// plans. No plan and nothing on the bus can name another.
const mailFile = "mail.yaml"

// mailLogin is its content, as YAML.
type mailLogin struct {
	Server   string          `json:"server"` // host:port
	Security mailer.Security `json:"security"`
	// CA is a file with certificates that the server's is checked against; empty: the
	// system's are used.
	CA       string `json:"ca"`
	Username string `json:"username"`
	Password string `json:"password"`
	From     string `json:"from"`
}

func (o outside) Mail(ctx context.Context, m orchestrator.Mail) error {
	s, err := loadMailServer(o.mail)
	if err != nil {
		return err
	}
	return s.Send(ctx, mailer.Message{ID: m.ID, To: m.To, Subject: m.Subject, Text: m.Text})
}

// loadMailServer reads the file each time, so that it can be changed.
func loadMailServer(path string) (s mailer.Server, err error) {
	const op = "read mail server"
	const lines = "it needs the lines server: host:port and from: an address; and as need be username:, password:, security: starttls, tls or none, and ca: a file"
	data, _, err := secretFile(op, path, lines)
	if err != nil {
		return s, err
	}
	var l mailLogin
	if yaml.UnmarshalStrict(data, &l) != nil || l.Server == "" || l.From == "" {
		return s, cdp.Errorf(cdp.Invalid, op, path, lines) // the reader's own words may have the password in them
	}
	switch l.Security {
	case "", mailer.StartTLS, mailer.TLS, mailer.Plain:
	default:
		return s, cdp.Errorf(cdp.Invalid, op, path, "security: %q: must be starttls, tls or none", l.Security)
	}
	s = mailer.Server{Address: l.Server, Security: l.Security, Username: l.Username, Password: l.Password, From: l.From}
	if l.CA != "" {
		pem, err := os.ReadFile(l.CA)
		if err != nil {
			return s, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: l.CA, Cause: err}
		}
		s.Roots = x509.NewCertPool()
		if !s.Roots.AppendCertsFromPEM(pem) {
			return s, cdp.Errorf(cdp.Invalid, op, l.CA, "it has no certificates in PEM")
		}
	}
	return s, nil
}
