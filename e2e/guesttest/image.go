package guesttest

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"

	"tidemark.dev/e2e/guest"
	"tidemark.dev/pkg/contract/api"
)

// Drives are an export's disks as a guest's.
func Drives(x api.Export) (ds []guest.Drive, err error) {
	for _, d := range x.Disks {
		drive, err := nbdDrive(d.URI)
		if err != nil {
			return nil, err
		}
		ds = append(ds, drive)
	}
	return ds, nil
}

// nbdDrive is the disk at an NBD URI.
func nbdDrive(uri string) (guest.Drive, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return guest.Drive{}, err
	}
	d := guest.Drive{NBD: u.Host, Export: strings.TrimPrefix(u.Path, "/")}
	if u.Scheme == "nbd+unix" {
		d.NBD = u.Query().Get("socket")
	}
	if d.NBD == "" || !strings.HasPrefix(u.Scheme, "nbd") {
		return d, fmt.Errorf("%q is no address of an NBD export", uri)
	}
	return d, nil
}

// Fetch copies what is at an NBD URI into a raw file. QEMU reads it, so that
// what the product serves is seen through another's client.
func Fetch(ctx context.Context, uri, file string) error {
	out, err := exec.CommandContext(ctx, "qemu-img", "convert", "-f", "raw", "-O", "raw", uri, file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("read %s: %w: %s", uri, err, out)
	}
	return nil
}
