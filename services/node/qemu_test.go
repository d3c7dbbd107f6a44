package node

import (
	"strings"
	"testing"
)

// Two disks of a job are two mirrors, however long the names are.
func TestEveryTapHasANodeOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	for _, job := range []string{"web", "shop4087914545-db01", strings.Repeat("a", 40), strings.Repeat("a", 39) + "b"} {
		for _, disk := range []string{"scsi0-0", "scsi0-1", strings.Repeat("d", 40)} {
			n := mirrorNode(job, disk)
			if len(n) > 31 {
				t.Errorf("%s is longer than QEMU takes", n)
			}
			if other, ok := seen[n]; ok {
				t.Errorf("%s and %s/%s are both %s", other, job, disk, n)
			}
			seen[n] = job + "/" + disk
		}
	}
}
