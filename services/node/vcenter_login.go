package node

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/spec"
)

// loginDir is the directory, in the site's own, of the files that say who logs in at which
// vCenter: NAME.yaml. No spec and nothing else on the bus can name another place.
const loginDir = "vcenters"

// login is the content of such a file.
type login struct {
	URL string `json:"url"`
	// Thumbprint of the vCenter's certificate, or CA a file with certificates that it is
	// checked against; without either the system's are used.
	Thumbprint string `json:"thumbprint"`
	CA         string `json:"ca"`
	Username   string `json:"username"`
	Password   string `json:"password"`
}

// fits refuses a spec that says something else than the file, for it was changed by
// somebody who may not, or the file is not the site's.
func (l login) fits(v spec.VSphere) error {
	bare := func(s string) string {
		return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(s, "/"), "/sdk"), "/"))
	}
	for _, x := range []struct{ field, spec, file string }{
		{"url", bare(v.URL), bare(l.URL)}, {"thumbprint", strings.ToLower(v.Thumbprint), strings.ToLower(l.Thumbprint)}, {"ca", v.CA, l.CA},
	} {
		if x.spec != "" && x.spec != x.file {
			return cdp.Errorf(cdp.Invalid, "connect to vCenter", v.Credentials, "the site's spec has the %s %q, and the login file, which decides, has %q: the password is sent to neither", x.field, x.spec, x.file).
				WithHint("if the spec is right, change the file on the machine of the vcenter service; else apply the site again without " + x.field)
		}
	}
	return nil
}

// loadLogin reads the login of that name, which nobody else may read.
func loadLogin(dir, name string) (l login, changed time.Time, err error) {
	const op = "read login"
	if strings.ContainsRune(name, '/') {
		return l, changed, cdp.Errorf(cdp.Invalid, op, name, "the site's spec has a path in credentials: what is on the bus names a login, and no file").
			WithHint("move the file to " + filepath.Join(dir, "NAME.yaml") + ", and apply the site again with credentials: NAME")
	}
	if err := cdp.CheckName("credentials", name); err != nil {
		return l, changed, err
	}
	path := filepath.Join(dir, name+".yaml")
	data, changed, err := secretFile(op, path, "make this file, mode 0600, with the lines url:, thumbprint: or ca:, username: and password:")
	if err != nil {
		return l, changed, err
	}
	if yaml.UnmarshalStrict(data, &l) != nil || l.Username == "" || l.Password == "" {
		// The reader's own words may have the password in them.
		return login{}, changed, cdp.Errorf(cdp.Invalid, op, path, "it does not have the lines url:, username: and password:, and thumbprint: or ca: if need be")
	}
	if l.URL == "" {
		return login{}, changed, cdp.Errorf(cdp.Invalid, op, path, "it does not say which vCenter the password is for").
			WithHint("add the line url: https://vc.example.com to it, and thumbprint: or ca: if the system's authorities do not know its certificate")
	}
	return l, changed, nil
}

// secretFile reads a file with a password, which nobody else may read, and says when it
// was last changed.
func secretFile(op, path, hint string) (data []byte, changed time.Time, err error) {
	st, err := os.Stat(path)
	if err != nil {
		e := &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
		return nil, changed, e.WithHint(hint)
	}
	if !st.Mode().IsRegular() {
		return nil, changed, cdp.Errorf(cdp.Invalid, op, path, "it is not a regular file")
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, changed, cdp.Errorf(cdp.Invalid, op, path, "others may read it (mode %04o)", st.Mode().Perm()).WithHint("chmod 600 " + path)
	}
	data, err = os.ReadFile(path)
	if err != nil {
		return nil, changed, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return data, st.ModTime(), nil
}
