package node

import (
	"crypto/tls"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/engine/overlay"
	"tidemark.dev/services/journal"
)

// nbdServers serve the journal's exports over NBD; over TCP with tls, unless it
// is nil.
type nbdServers struct {
	tls    *tls.Config
	places places
}

func (x nbdServers) Serve(addr string, disks []journal.ServedDisk) (journal.DiskServer, error) {
	exports := make([]nbd.Export, len(disks))
	for i, d := range disks {
		exports[i] = nbd.Export{Name: d.Name, Description: d.Description, Backend: d.Device, ReadOnly: d.ReadOnly, MultiConn: true}
	}
	addr, err := x.places.socket(addr)
	if err != nil {
		return nil, err
	}
	return nbd.Serve(addr, nbd.Config{TLS: x.tls}, exports...)
}

func openScratch(path string) (overlay.File, error) { return blockfile.Open(path, false) }
