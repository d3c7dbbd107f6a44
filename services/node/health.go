package node

import (
	"cmp"
	"context"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
)

// HealthConfig says what Health looks at.
type HealthConfig struct {
	Site cdp.Site
	// Bus is the site's NATS server.
	Bus client.SiteRef
	// Service is pinged; empty: the server itself.
	Service string
	// Credentials is a file with the service's user, which then asks; empty: the
	// operator asks, as the user of Bus.
	Credentials string
}

// Health reports whether a service takes requests, or whether the site's server runs
// and is set up. Transient: not now. It waits until ctx ends.
func Health(ctx context.Context, cfg HealthConfig) error {
	c := bus.Config{Site: cfg.Site, Name: subjects.Operator, URL: cfg.Bus.URL, Credential: cfg.Bus.Credential, TLS: cfg.Bus.TLS}
	if cfg.Credentials != "" {
		users, err := bus.LoadCredentials(cfg.Credentials)
		if err != nil {
			return err
		}
		c.Name = cmp.Or(cfg.Service, subjects.Operator)
		c.Credential = users.Users[c.Name]
	}
	conn, err := bus.Connect(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	if cfg.Service != "" {
		return conn.Ping(ctx, cfg.Service)
	}
	_, err = client.Peers(ctx, conn)
	return err
}
