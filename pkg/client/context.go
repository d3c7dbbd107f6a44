package client

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

// ContextName is the name of the context's file in Tidemark's directory.
const ContextName = "context.json"

// Context is how the command line finds the bus; `tidemark up` writes it
// for its owner only.
type Context struct {
	// Default is the site that commands talk to if they are not told which.
	Default cdp.Site             `json:"default"`
	Sites   map[cdp.Site]SiteRef `json:"sites"`
}

// SiteRef is a site's bus and the operator's credential.
type SiteRef struct {
	URL        string         `json:"url"`
	Credential bus.Credential `json:"credential,omitzero"`
	TLS        bus.TLSFiles   `json:"tls,omitzero"`
	// Peers are the sites that it is linked with.
	Peers []cdp.Site `json:"peers,omitempty"`
}

// Save writes the context into a directory, for its owner only.
func (c Context) Save(dir string) error {
	const op = "save context"
	path := filepath.Join(dir, ContextName)
	data, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = durable.WriteFile(path, append(data, '\n'))
	}
	if err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Internal, Subject: path, Cause: err}
	}
	return nil
}

// LoadContext reads the context of a directory. Transient when there is none yet.
func LoadContext(dir string) (Context, error) {
	const op = "find the bus"
	path := filepath.Join(dir, ContextName)
	var c Context
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		e := &cdp.Error{Op: op, Kind: cdp.Transient, Subject: path, Cause: err}
		return c, e.WithHint("start Tidemark with: tidemark up; or say where it is with --dir or --nats")
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		return c, &cdp.Error{Op: op, Kind: cdp.Invalid, Subject: path, Cause: err}
	}
	if len(c.Sites) == 0 {
		return c, cdp.Errorf(cdp.Invalid, op, path, "it has no sites")
	}
	return c, nil
}
