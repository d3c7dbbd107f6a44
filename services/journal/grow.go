package journal

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/vault"
)

// grow makes the group's disks as large, and as many, as the source says, for a frame
// that writes outside them. It goes no further than the job does, which only this site
// changes. The images come first: what the journal takes must fit them.
func (x *intake) grow(ctx context.Context, why *vault.Outside) error {
	const op = "follow the source's disks"
	spec := x.job.now()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	disks, err := x.deps.Capture.Disks(ctx, spec.Source, x.id)
	if err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Transient, Subject: string(x.id), Cause: fmt.Errorf("%w; the source does not say how large its disks are: %w", why, err)}
	}
	if err := within(disks, spec); err != nil {
		return &cdp.Error{Op: op, Kind: cdp.Conflict, Subject: string(x.id), Cause: err, Hint: "apply the job with the sizes that its disks have now: the recovery points are kept"}
	}
	was := x.vault.Disks()
	if slices.Equal(was, disks) {
		return &cdp.Error{Op: op, Kind: cdp.Corrupt, Subject: string(x.id), Cause: why, Hint: "the job's disks differ from what is captured; check their sizes"}
	}
	if err := x.replica.Grow(disks, spec.Paths[:len(disks)]); err != nil {
		return cdp.Wrap(err, op, string(x.id))
	}
	return cdp.Wrap(x.vault.Grow(disks), op, string(x.id))
}

// within is nil if the disks of the source are those of the job, or the first of them.
func within(disks []cdp.Disk, spec GroupSpec) error {
	if len(disks) > len(spec.Paths) {
		return fmt.Errorf("the source has %d disks, and the job %d", len(disks), len(spec.Paths))
	}
	for i, d := range disks {
		if d.Name != spec.Names[i] {
			return fmt.Errorf("the source's disk %d is %s, and the job's is %s", i, d.Name, spec.Names[i])
		}
		if i < len(spec.Sizes) && spec.Sizes[i] != 0 && d.Size > spec.Sizes[i] {
			return fmt.Errorf("the source's disk %s has %d bytes, and the job says %d", d.Name, d.Size, spec.Sizes[i])
		}
	}
	return nil
}
