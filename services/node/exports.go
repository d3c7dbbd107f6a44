package node

import (
	"path/filepath"

	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/overlay"
	"tidemark.dev/services/journal"
)

// nbdServers serve the journal's exports over NBD.
type nbdServers struct {
	door   diskDoor
	places places
}

var _ journal.DiskServers = nbdServers{}

func (x nbdServers) Ready(addr string) error {
	if _, err := x.door.server(addr, 0, nil); err != nil {
		return err
	}
	_, err := x.places.socket(addr)
	return err
}

func (x nbdServers) Serve(addr string, disks []journal.ServedDisk) (journal.DiskServer, error) {
	cfg, err := x.door.server(addr, len(disks), x.door.warn)
	if err != nil {
		return nil, err
	}
	exports := make([]nbd.Export, len(disks))
	for i, d := range disks {
		exports[i] = x.door.export(addr, d.Group, nbd.Export{Name: d.Name, Description: d.Description, Backend: d.Device, ReadOnly: d.ReadOnly, MultiConn: true})
	}
	if addr, err = x.places.socket(addr); err != nil {
		return nil, err
	}
	return nbd.Serve(addr, cfg, exports...)
}

// openScratch opens a file of the journal's own directory, which may be behind a link.
func openScratch(path string) (overlay.File, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, &cdp.Error{Op: "open scratch", Kind: cdp.Transient, Subject: path, Cause: err}
	}
	return blockfile.Open(real, false)
}
