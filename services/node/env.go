package node

import (
	"context"
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/metrics"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/spoolshare"
	"tidemark.dev/pkg/engine/window"
	"tidemark.dev/services/journal"
)

// env is what a service is given to run at a site.
type env struct {
	site cdp.Site
	// peers are the sites that it is linked with.
	peers []cdp.Site
	// dir is the site's own directory; absolute.
	dir   string
	clock clock.Clock
	log   *slog.Logger
	tel   *telemetry.Telemetry
	// metrics answers monitoring for the whole process; nil: nobody.
	metrics *metrics.Server
	// dial is how the site's bus is reached, but for the name.
	dial  bus.Config
	creds *bus.Credentials // nil: an open server
	// windowBudget is the memory that the windows of all sites of this process share.
	windowBudget *window.Budget
	// memory is shared by the journals of all sites of the process.
	memory *journal.Memory
	// spool is the site's budget for frames; 0: the default.
	spool spoolshare.Budget
	// places are where paths from the bus may lead.
	places places
	// tls is the site's certificate, for NBD over TCP too; none: no TLS.
	tls bus.TLSFiles
}

// nbdTLS is what NBD clients over TCP have to show and are shown; nil: nothing. The
// files are read again for each client, so that a certificate that was renewed is used
// from then on; while they cannot be read, the last that could be are.
func (e *env) nbdTLS() (*tls.Config, error) {
	if e.tls.None() {
		return nil, nil
	}
	cfg, err := e.tls.Config()
	if err != nil {
		return nil, err
	}
	var last atomic.Pointer[tls.Config]
	last.Store(cfg)
	first := cfg.Clone()
	first.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now, err := e.tls.Config()
		if err != nil {
			e.warn(err)
			return last.Load(), nil
		}
		last.Store(now)
		return now, nil
	}
	return first, nil
}

// connect connects a service to the bus of its site, as its own user.
func (e *env) connect(ctx context.Context, service string) (*bus.Conn, error) {
	cfg := e.dial
	cfg.Site, cfg.Name, cfg.Telemetry = e.site, service, e.tel
	if e.creds != nil {
		cfg.Credential = e.creds.Users[service]
	}
	cfg.Notify = func(n bus.Notice) {
		if n.Err != nil {
			e.warn(n.Err, "bus", n.What, "as", service)
			return
		}
		e.log.Info(n.What, "as", service)
	}
	return bus.Connect(ctx, cfg)
}

// warn logs what will be tried again.
func (e *env) warn(err error, args ...any) {
	if hint := cdp.HintOf(err); hint != "" {
		args = append(args, "hint", hint)
	}
	e.log.Warn(err.Error(), args...)
}

// path is a path in the service's directory at this site.
func (e *env) path(elem ...string) string { return filepath.Join(append([]string{e.dir}, elem...)...) }

// with is e for one service: its log says so.
func (e *env) with(service string) *env {
	x := *e
	x.log = e.log.With("site", e.site, "service", service)
	return &x
}

// trace begins a span, in the form that services take.
func (e *env) trace(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, span := e.tel.Start(ctx, name)
	return ctx, span.End
}
