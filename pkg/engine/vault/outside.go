package vault

import (
	"fmt"

	"tidemark.dev/pkg/cdp"
)

// Outside is what Offer returns for a frame that writes where the group has no disk:
// the source's disks have grown, or are others. After Grow the frame may be offered again.
type Outside struct {
	No     cdp.FrameNo
	Disk   cdp.DiskID
	Offset int64
	Length uint32
}

func (o *Outside) Error() string {
	return fmt.Sprintf("frame %d writes disk %d at %d+%d, which is outside the group's disks", o.No, o.Disk, o.Offset, o.Length)
}
