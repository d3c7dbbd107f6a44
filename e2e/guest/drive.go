package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tidemark.dev/pkg/adapter/qmp"
)

// LogSectorBytes is the sector size of the write logs, and so the granule in
// which package oracle compares. It is also the guest's sector size.
const LogSectorBytes = 512

// logRoom is how far a write log may grow: QEMU needs the room up front. The
// file is sparse.
const logRoom = 64 << 30

// Drive is one disk of a guest: bytes in a raw file or behind an NBD export,
// with at most a write log and an overlay on top. Exactly one of Raw and NBD is
// set.
type Drive struct {
	// Raw is the path of a raw image. The guest writes to it.
	Raw string
	// Direct opens Raw with O_DIRECT (QEMU's cache=none). Otherwise the host's
	// page cache holds the guest's writes, which survives QEMU but not the host.
	Direct bool

	// NBD is an export to use as the disk: a unix socket's path (has a slash), or
	// host:port.
	NBD string
	// Export is the export's name; empty is the server's default.
	Export string
	// ReconnectDelay is as in qmp.NBD: zero is 10 s, negative is none.
	ReconnectDelay time.Duration

	// Log is the path of a file to record every write in, for package oracle. It
	// is created, or truncated.
	Log string

	// Overlay sends the guest's writes to a temporary qcow2 file in the VM's
	// directory and leaves Raw as it is. It needs Raw and excludes Log.
	Overlay bool

	// Node names the block node the guest's device is attached to, the one to
	// give to blockdev-mirror. Empty is "disk0", "disk1", by position.
	Node string
}

func (d Drive) validate() error {
	switch {
	case (d.Raw == "") == (d.NBD == ""):
		return errors.New("set exactly one of Raw and NBD")
	case d.Overlay && (d.Raw == "" || d.Log != ""):
		return errors.New("an overlay needs Raw and excludes Log")
	}
	return nil
}

// blockdevs prepares the drive's files in dir and returns the -blockdev objects,
// lowest first; the last is named node.
func (d Drive) blockdevs(ctx context.Context, dir, node string) ([]map[string]any, error) {
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("guest: drive %s: %w", node, err)
	}
	base, err := d.base(node)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Log != "":
		if err := emptyFile(d.Log, logRoom); err != nil {
			return nil, fmt.Errorf("guest: drive %s: %w", node, err)
		}
		return []map[string]any{
			rename(base, node+"-base"),
			{"driver": "file", "node-name": node + "-log", "filename": d.Log},
			{"driver": "blklogwrites", "node-name": node, "file": node + "-base", "log": node + "-log", "log-sector-size": LogSectorBytes},
		}, nil
	case d.Overlay:
		abs, err := filepath.Abs(d.Raw)
		if err != nil {
			return nil, err
		}
		overlay := filepath.Join(dir, node+".qcow2")
		if err := run(ctx, nil, "qemu-img", "create", "-q", "-f", "qcow2", "-b", abs, "-F", "raw", overlay); err != nil {
			return nil, fmt.Errorf("guest: drive %s: %w", node, err)
		}
		return []map[string]any{
			{"driver": "file", "node-name": node + "-overlay", "filename": overlay},
			{"driver": "qcow2", "node-name": node, "file": node + "-overlay"},
		}, nil
	}
	return []map[string]any{base}, nil
}

// base is the node that has the bytes.
func (d Drive) base(node string) (map[string]any, error) {
	if d.NBD != "" {
		return qmp.NBD{Node: node, Address: d.NBD, Export: d.Export, ReconnectDelay: d.ReconnectDelay}.BlockdevOptions()
	}
	return map[string]any{
		"driver": "file", "node-name": node, "filename": d.Raw,
		"cache": map[string]any{"direct": d.Direct, "no-flush": false},
	}, nil
}

func rename(node map[string]any, name string) map[string]any {
	node["node-name"] = name
	return node
}

func emptyFile(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Close()
}
