package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/durable"
)

const (
	defaultDir  = "tidemark-data"
	contextName = "context.json"
	envDir      = "TIDEMARK_DIR"
	envNATS     = "TIDEMARK_NATS"
)

// contextFile is how the command line finds the bus; `tidemark up` writes it
// for its owner only.
type contextFile struct {
	// Target is the site that commands talk to, Source the other one.
	Target cdp.Site             `json:"target"`
	Source cdp.Site             `json:"source"`
	Sites  map[cdp.Site]siteRef `json:"sites"`
}

// siteRef is a site's bus and the operator's credential.
type siteRef struct {
	URL        string         `json:"url"`
	Credential bus.Credential `json:"credential,omitzero"`
	TLS        bus.TLSFiles   `json:"tls,omitzero"`
}

func (c contextFile) save(dir string) error {
	const op = "save context"
	path := filepath.Join(dir, contextName)
	data, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = durable.WriteFile(path, append(data, '\n'))
	}
	if err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Internal, Subject: path, Cause: err}
	}
	return nil
}

// mergeContext adds the sites that are up here to the context, in which the
// other site's process may have written its own.
func mergeContext(dir string, cfg upConfig, up map[cdp.Site]siteRef) (contextFile, error) {
	unlock, err := lockFile(filepath.Join(dir, "lock"), unix.LOCK_EX)
	if err != nil {
		return contextFile{}, err
	}
	defer unlock()
	c, err := loadContext(dir)
	if err != nil || c.Target != cfg.Target.Name || c.Source != cfg.Source.Name {
		c = contextFile{Target: cfg.Target.Name, Source: cfg.Source.Name, Sites: map[cdp.Site]siteRef{}}
	}
	maps.Copy(c.Sites, up)
	return c, c.save(dir)
}

func loadContext(dir string) (contextFile, error) {
	const op = "find the bus"
	path := filepath.Join(dir, contextName)
	var c contextFile
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

// connectFlags say where the bus is; every command takes them.
type connectFlags struct {
	dir, nats  string
	site, peer string
	tls        bus.TLSFiles
	wait       time.Duration
}

func (f *connectFlags) register(c *cobra.Command) {
	p := c.PersistentFlags()
	p.StringVar(&f.dir, "dir", "", "Tidemark's directory (default $"+envDir+", else ./"+defaultDir+")")
	p.StringVar(&f.nats, "nats", "", "URL of the NATS server, with user:password@ if it needs them (default $"+envNATS+", else from the directory)")
	p.StringVar(&f.site, "site", "", "the site to talk to (default: the target site of the directory; with --nats: dr)")
	p.StringVar(&f.peer, "peer", "", "the other site (default: the source site of the directory; with --nats: prod)")
	p.StringVar(&f.tls.CA, "tls-ca", "", "PEM file of the authority, for --nats")
	p.StringVar(&f.tls.Cert, "tls-cert", "", "PEM file of the certificate, for --nats")
	p.StringVar(&f.tls.Key, "tls-key", "", "PEM file of the key, for --nats")
	p.DurationVar(&f.wait, "connect-timeout", 5*time.Second, "how long to try to reach the bus")
}

// directory is where Tidemark's files are.
func (f *connectFlags) directory() string {
	switch {
	case f.dir != "":
		return f.dir
	case os.Getenv(envDir) != "":
		return os.Getenv(envDir)
	}
	return defaultDir
}

// where resolves the flags to a site, its peer and its bus.
func (f *connectFlags) where() (site, peer cdp.Site, ref siteRef, err error) {
	site, peer = cdp.Site(f.site), cdp.Site(f.peer)
	raw := f.nats
	if raw == "" && f.dir == "" {
		raw = os.Getenv(envNATS)
	}
	if raw == "" {
		c, err := loadContext(f.directory())
		if err != nil {
			return "", "", ref, err
		}
		if site == "" {
			site = c.Target
		}
		if peer == "" {
			if peer = c.Source; peer == site {
				peer = c.Target
			}
		}
		ref, ok := c.Sites[site]
		if !ok {
			return "", "", ref, cdp.Errorf(cdp.NotFound, "find the bus", string(site), "%s has no such site", contextName)
		}
		return site, peer, ref, nil
	}
	if ref, err = refOf(raw); err != nil {
		return "", "", ref, err
	}
	ref.TLS = f.tls
	if site == "" {
		site = defaultTarget
	}
	if peer == "" {
		peer = defaultSource
	}
	return site, peer, ref, nil
}

// refOf takes user and password out of a URL.
func refOf(raw string) (siteRef, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return siteRef{}, cdp.Errorf(cdp.Invalid, "find the bus", "nats", "not a URL such as nats://host:4222")
	}
	var ref siteRef
	if u.User != nil {
		ref.Credential.User = u.User.Username()
		ref.Credential.Password, _ = u.User.Password()
		u.User = nil
	}
	ref.URL = u.String()
	return ref, nil
}

// client is the operator's connection to a site.
type client struct {
	conn       *bus.Conn
	site, peer cdp.Site
}

// connect reaches the bus as the operator.
func (a *app) connect(ctx context.Context) (*client, error) {
	site, peer, ref, err := a.conn.where()
	if err != nil {
		return nil, err
	}
	cctx, cancel := context.WithTimeout(ctx, a.conn.wait)
	defer cancel()
	conn, err := bus.Connect(cctx, bus.Config{Site: site, Name: subjects.Operator, URL: ref.URL, Credential: ref.Credential, TLS: ref.TLS})
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, site: site, peer: peer}, nil
}

// with connects, runs fn and closes.
func (a *app) with(ctx context.Context, fn func(context.Context, *client) error) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	return fn(ctx, c)
}
