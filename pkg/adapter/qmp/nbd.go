package qmp

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// DefaultReconnectDelay is how long QEMU holds requests and tries to reconnect
// when the server has gone, before they fail.
const DefaultReconnectDelay = 10 * time.Second

// NBD describes an export to open as a block node.
type NBD struct {
	Node    string // name of the new node
	Address string // a unix socket's path (has a slash), or host:port
	Export  string // name of the export; empty is the server's default
	// Credentials is a directory on QEMU's machine with ca-cert.pem, client-cert.pem
	// and client-key.pem, for a server that asks for TLS; empty: no TLS.
	Credentials string
	// ReconnectDelay is rounded up to seconds; zero means DefaultReconnectDelay,
	// negative that requests fail at once.
	ReconnectDelay time.Duration
}

// BlockdevOptions returns the QAPI object for blockdev-add and QEMU's -blockdev.
func (n NBD) BlockdevOptions() (map[string]any, error) {
	opts := map[string]any{"driver": "nbd", "node-name": n.Node}
	if strings.Contains(n.Address, "/") {
		opts["server"] = map[string]any{"type": "unix", "path": n.Address}
	} else {
		host, port, err := net.SplitHostPort(n.Address)
		if err != nil {
			return nil, fmt.Errorf("qmp: NBD address %q is neither a path nor host:port: %w", n.Address, err)
		}
		opts["server"] = map[string]any{"type": "inet", "host": host, "port": port}
	}
	if n.Export != "" {
		opts["export"] = n.Export
	}
	if n.Credentials != "" {
		opts["tls-creds"] = n.credentials()
	}
	delay := n.ReconnectDelay
	if delay == 0 {
		delay = DefaultReconnectDelay
	}
	if delay > 0 {
		opts["reconnect-delay"] = int64((delay + time.Second - 1) / time.Second)
	}
	return opts, nil
}

// credentials is the name of QEMU's object with the node's credentials.
func (n NBD) credentials() string { return n.Node + "-tls" }

// AddNBD opens an NBD export as a block node. QEMU connects before it replies,
// and refuses when it cannot.
func (c *Client) AddNBD(ctx context.Context, n NBD) error {
	opts, err := n.BlockdevOptions()
	if err != nil {
		return err
	}
	if n.Credentials != "" {
		// One of an earlier node may be left; it may name other files.
		_ = c.Execute(ctx, "object-del", map[string]any{"id": n.credentials()}, nil)
		if err := c.Execute(ctx, "object-add", map[string]any{"qom-type": "tls-creds-x509", "id": n.credentials(),
			"endpoint": "client", "dir": n.Credentials}, nil); err != nil {
			return err
		}
	}
	return c.Execute(ctx, "blockdev-add", opts, nil)
}

// RemoveNode closes a block node that nothing uses any more, and removes its
// credentials, if it has some.
func (c *Client) RemoveNode(ctx context.Context, node string) error {
	err := c.Execute(ctx, "blockdev-del", map[string]any{"node-name": node}, nil)
	if err == nil {
		_ = c.Execute(ctx, "object-del", map[string]any{"id": NBD{Node: node}.credentials()}, nil) // it may have none
	}
	return err
}
