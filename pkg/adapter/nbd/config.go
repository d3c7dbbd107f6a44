package nbd

import (
	"crypto/tls"
	"time"
)

// Config is a server's settings; the zero value serves without TLS.
type Config struct {
	// TLS, when set, makes STARTTLS compulsory for everything but ABORT. Its
	// ClientAuth decides whether clients need a certificate, its GetConfigForClient
	// may give each client a newer configuration. nil: no TLS.
	TLS *tls.Config
	// HandshakeTimeout is how long a client may take to choose an export.
	// Default 10 s.
	HandshakeTimeout time.Duration
	// DrainTimeout is how long requests in progress may take once their connection
	// has to end; then its socket is closed. Default 5 s.
	DrainTimeout time.Duration
	// MaxConnections refuses further connections, over all listeners.
	// Default 128.
	MaxConnections int
	// NoList refuses LIST with a policy error, so that clients must know names.
	NoList bool
	// Events receives diagnostics; it must return quickly and allow concurrent
	// calls. nil: none.
	Events func(Event)
}

func (c Config) withDefaults() Config {
	c.TLS = forGnuTLS(c.TLS)
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = 10 * time.Second
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = 5 * time.Second
	}
	if c.MaxConnections <= 0 {
		c.MaxConnections = 128
	}
	return c
}
