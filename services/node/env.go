package node

import (
	"context"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"tidemark.dev/pkg/adapter/auditlog"
	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/metrics"
	"tidemark.dev/pkg/adapter/telemetry"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/core/approval"
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
	// approvers have to agree, two of them, to what destroys history; none: nobody has to.
	approvers approval.Approvers
	// diskClients says who may open disks over TCP.
	diskClients DiskClients
}

// door decides who gets the disks that the site serves.
func (e *env) door() diskDoor {
	return diskDoor{clients: e.diskClients, files: e.tls, clock: e.clock, warn: func(err error) { e.warn(err) }}
}

// connect connects a service to the bus of its site, as its own user.
func (e *env) connect(ctx context.Context, service string) (*bus.Conn, error) {
	cfg := e.dial
	cfg.Site, cfg.Name, cfg.Telemetry = e.site, service, e.tel
	if e.creds != nil {
		cfg.Credential = e.creds.Users[service]
	}
	cfg.Says = map[string]string{client.SaysApprovers: strings.Join(slices.Sorted(maps.Keys(e.approvers)), ", ")}
	cfg.Keep = e.records(e.site).Append
	cfg.Notify = func(n bus.Notice) {
		if n.Err != nil {
			args := []any{"bus", n.What, "as", service}
			if n.Trace != "" {
				args = append(args, "trace", n.Trace)
			}
			e.warn(n.Err, args...)
			return
		}
		e.log.Info(n.What, "as", service)
	}
	return bus.Connect(ctx, cfg)
}

// records is the log of what was asked at a site: of this one, what the services of this
// machine were asked, or of a peer, what came over the link.
func (e *env) records(of cdp.Site) auditlog.Log {
	return auditlog.Log{Dir: e.path(auditDir, string(of)), Most: auditBytes}
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
	x.tel = e.tel.For(service)
	return &x
}
