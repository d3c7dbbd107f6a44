package bus

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/spoolshare"
)

// ServerConfig describes one site's NATS server, embedded or standalone.
type ServerConfig struct {
	Site     cdp.Site // also the JetStream domain
	StoreDir string
	// Listen is host:port for clients; empty means in-process only. Port 0 or
	// -1 picks a free one.
	Listen string
	// LeafListen is host:port where peers' leaf connections arrive; empty: none.
	LeafListen string
	// Links are the peers that this site is linked with.
	Links []Link
	// TLS secures clients and leaf connections, with both ends verified.
	TLS TLSFiles
	// Spool is how much of JetStream's files the frames of all groups may take.
	// Default spoolshare.Default.
	Spool spoolshare.Budget
	// MaxStore bounds JetStream's files, in bytes. Default: Spool, and 2 GiB more
	// for what else the site keeps and as much for each link.
	MaxStore int64
	// SyncInterval is how long a message may wait for the disk. Default 10s.
	SyncInterval time.Duration
	// Credentials, when set, give every service its own user with the
	// permissions of its role; without them everybody at this site may do
	// everything at it. What peers may do is the same either way.
	Credentials *Credentials
}

// Text is the server's configuration file. It holds passwords and seeds.
func (cfg ServerConfig) Text() (string, error) {
	if err := cdp.CheckName("site", string(cfg.Site)); err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("server_name: %q", cfg.Site)
	if cfg.Listen != "" {
		addr, err := listenAddr("listen", cfg.Listen)
		if err != nil {
			return "", err
		}
		line("listen: %q", addr)
	}
	line("write_deadline: 30s")
	maxStore, syncInterval := cfg.MaxStore, cfg.SyncInterval
	if maxStore == 0 {
		maxStore = int64(cmp.Or(cfg.Spool, spoolshare.Default)) + int64(1+len(cfg.Links))*2<<30
	}
	if syncInterval == 0 {
		syncInterval = 10 * time.Second
	}
	line("jetstream {")
	line("  domain: %q, store_dir: %q, max_file: %d, sync_interval: %q", cfg.Site, cfg.StoreDir, maxStore, syncInterval)
	line("  max_mem: %d # consumers' state only; all streams are files", 64<<20)
	line("  max_buffered_size: %d # a window of frames always fits; what is beyond is refused, not queued", 128<<20)
	line("}")
	line("system_account: %s", accountSystem)
	if cfg.Credentials == nil {
		line("no_auth_user: %s", openUser)
	}
	tls, err := cfg.tlsText()
	if err != nil {
		return "", err
	}
	b.WriteString(tls)
	leaf, err := cfg.leafText(tls)
	if err != nil {
		return "", err
	}
	b.WriteString(leaf)
	b.WriteString(cfg.accounts())
	return b.String(), nil
}

// tlsText is the tls block, the same for clients and leaf connections; empty
// without TLS.
func (cfg ServerConfig) tlsText() (string, error) {
	if cfg.TLS.None() {
		return "", nil
	}
	if _, err := cfg.TLS.Config(); err != nil {
		return "", err
	}
	return fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify: true, timeout: 5, min_version: \"1.3\"}\n",
		cfg.TLS.Cert, cfg.TLS.Key, cfg.TLS.CA), nil
}

// options are those of an embedded server with this text.
func (cfg ServerConfig) options(text string) (*server.Options, error) {
	opts := &server.Options{}
	if err := opts.ProcessConfigString(text); err != nil {
		return nil, err
	}
	opts.NoLog, opts.NoSigs, opts.DisableJetStreamBanner = true, true, true
	opts.DontListen = cfg.Listen == ""
	return opts, nil
}
