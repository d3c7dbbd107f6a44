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
	// MaxConnections bounds the connections that use an export, over all listeners and
	// exports. Beyond it a newcomer replaces one of the client that has the most, or is
	// refused if none has two more than it. Default 128.
	MaxConnections int
	// MaxPerPeer bounds those of one client: an address, or a process of this machine.
	// 0: no limit.
	MaxPerPeer int
	// MaxHandshakes bounds the connections that use no export yet. Beyond it the oldest
	// of the client that has the most of them is closed. Default 64.
	MaxHandshakes int
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
	if c.MaxHandshakes <= 0 {
		c.MaxHandshakes = 64
	}
	return c
}
