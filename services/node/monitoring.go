package node

import (
	"context"
	"log/slog"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/metrics"
	"tidemark.dev/pkg/contract/api"
)

// listenForMonitoring gives nil if nobody is to be answered.
func listenForMonitoring(addr string, log *slog.Logger) (*metrics.Server, error) {
	s, err := metrics.Listen(addr)
	if s != nil {
		log.Info("answering monitoring", "address", s.Addr())
	}
	return s, err
}

// answerMonitoring answers until ctx ends. Services do not depend on it.
func answerMonitoring(ctx context.Context, s *metrics.Server, log *slog.Logger) {
	if err := s.Run(ctx); err != nil {
		log.Warn(err.Error())
	}
}

// monitored has readiness of the process depend on services.
func monitored(e *env, services []string) {
	for _, name := range services {
		e.metrics.Expect(string(e.site)+"/"+name, func(ctx context.Context) error { return e.ping(ctx, name) })
	}
}

// ping asks a service as its own user, over the bus, as `tidemark health` does.
func (e *env) ping(ctx context.Context, service string) error {
	cfg := e.dial
	cfg.Site, cfg.Name = e.site, service
	if e.creds != nil {
		cfg.Credential = e.creds.Users[service]
	}
	conn, err := bus.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Ping(ctx, service)
}

// asked is an endpoint of a service of this process, asked without the bus.
func asked[T any](endpoint api.Endpoint) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		reply, err := endpoint(ctx, nil)
		r, _ := reply.(T)
		return r, err
	}
}
