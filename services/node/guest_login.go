package node

import (
	"path/filepath"

	"sigs.k8s.io/yaml"

	"tidemark.dev/pkg/cdp"
)

// guestDir is the directory, in the site's own, of the logins at guests: NAME.yaml, with
// the lines username: and password:.
const guestDir = "guests"

// guestLogins is vcenter.Guests: the logins of such a directory. A file is read when it is
// needed, so that a password may change at any time.
type guestLogins string

func (dir guestLogins) Login(name string) (user, password string, err error) {
	const op = "read guest login"
	if err := cdp.CheckName("guestLogin", name); err != nil {
		return "", "", err
	}
	path := filepath.Join(string(dir), name+".yaml")
	data, _, err := secretFile(op, path, "make this file, mode 0600, with the lines username: and password: of a user of the guests who may change their addresses")
	if err != nil {
		return "", "", err
	}
	var l struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if yaml.UnmarshalStrict(data, &l) != nil || l.Username == "" || l.Password == "" {
		// The reader's own words may have the password in them.
		return "", "", cdp.Errorf(cdp.Invalid, op, path, "it does not have just the lines username: and password:")
	}
	return l.Username, l.Password, nil
}
