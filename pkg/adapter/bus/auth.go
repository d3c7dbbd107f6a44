package bus

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// Credential is one user's name and password.
type Credential struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// Credentials are the users of one site's server.
type Credentials struct {
	Site cdp.Site `json:"site"`
	// Users are the services' own, by service.
	Users map[string]Credential `json:"users"`
}

// NewCredentials makes random passwords for every service.
func NewCredentials(site cdp.Site) *Credentials {
	c := &Credentials{Site: site, Users: map[string]Credential{}}
	c.Complete()
	return c
}

// Complete makes users for the services that have none, and reports whether there
// were any.
func (c *Credentials) Complete() (changed bool) {
	for _, s := range subjects.Services() {
		if _, has := c.Users[s]; !has {
			c.Users[s] = Credential{User: s, Password: rand.Text()}
			changed = true
		}
	}
	return changed
}

// Save writes the file, readable by its owner only, whole or not at all.
func (c *Credentials) Save(path string) error {
	const op = "save credentials"
	data, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = durable.WriteFile(path, append(data, '\n'))
	}
	if err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Internal, Subject: path, Cause: err}
	}
	return nil
}

// LoadCredentials reads the file. One that others can read is refused.
func LoadCredentials(path string) (*Credentials, error) {
	const op = "load credentials"
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &cdp.Error{Op: op, Kind: cdp.NotFound, Subject: path, Cause: err}
	}
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Internal, Subject: path, Cause: err}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, cdp.Errorf(cdp.Invalid, op, path, "other users can read the file (mode %04o); only its owner may", info.Mode().Perm()).WithHint("chmod 600 " + path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Internal, Subject: path, Cause: err}
	}
	c := &Credentials{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	return c, nil
}
