package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/engine/durable"
)

// NATSContext is a context file of the NATS CLI. Its fields are those of the CLI's own
// `nats context add`.
type NATSContext struct {
	Description string `json:"description"`
	URL         string `json:"url"`
	User        string `json:"user,omitempty"`
	Password    string `json:"password,omitempty"`
	CA          string `json:"ca,omitempty"`
	Cert        string `json:"cert,omitempty"`
	Key         string `json:"key,omitempty"`
	InboxPrefix string `json:"inbox_prefix"`
}

// natsMade begins the description of each context that WriteNATSContext writes: only such
// a file is replaced unasked.
const natsMade = "Made by tidemark nats-context"

// NATSContextOf is the context with which the NATS CLI is the operator of a site.
func NATSContextOf(site cdp.Site, ref SiteRef) NATSContext {
	n := NATSContext{
		Description: fmt.Sprintf("%s: the operator at site %s", natsMade, site), URL: ref.URL,
		User: ref.Credential.User, Password: ref.Credential.Password, InboxPrefix: bus.InboxPrefix(subjects.Operator),
	}
	for to, from := range map[*string]string{&n.CA: ref.TLS.CA, &n.Cert: ref.TLS.Cert, &n.Key: ref.TLS.Key} {
		if abs, err := filepath.Abs(from); err == nil && from != "" {
			*to = abs
		}
	}
	return n
}

// WriteNATSContext writes the context where the NATS CLI looks for it by its name, for
// the owner only, and returns the file's path. Conflict if a file is there that it did
// not make, unless force is set; Invalid, a name that is none.
func WriteNATSContext(name string, n NATSContext, force bool) (string, error) {
	const op = "write NATS context"
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\ ") {
		return "", cdp.Errorf(cdp.Invalid, op, "name", "%q: must be a file name without spaces", name)
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", cdp.Errorf(cdp.Invalid, op, "", "%v", err).WithHint("set XDG_CONFIG_HOME or HOME")
		}
		config = filepath.Join(home, ".config")
	}
	path := filepath.Join(config, "nats", "context", name+".json")
	switch text, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist), force:
	case err != nil:
		return "", cdp.Wrap(err, op, path)
	default:
		var old NATSContext
		if json.Unmarshal(text, &old) != nil || !strings.HasPrefix(old.Description, natsMade) {
			return "", cdp.Errorf(cdp.Conflict, op, path, "the file exists, and Tidemark did not make it").WithHint("choose another --name, or replace it with --force")
		}
	}
	text, err := json.MarshalIndent(n, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = durable.WriteFile(path, append(text, '\n'))
	}
	return path, cdp.Wrap(err, op, path)
}
