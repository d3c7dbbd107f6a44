package vcenter_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
)

// copying follows a VM's first disk pass by pass, as capture does.
type copying struct {
	w       *world
	src     vcsim.VMRef
	pass    int
	since   string
	replica []byte
}

// next makes a pass. It copies what changed since the last one, or everything if that
// is refused as unknown; why is the reason.
func (c *copying) next() (why string) {
	c.w.t.Helper()
	c.pass++
	pass := fmt.Sprint(c.pass)
	f, err := c.w.frozen("shop-web01", c.src, pass)
	c.w.must(err)
	now, err := os.ReadFile(f.Disks[0].Path)
	c.w.must(err)
	if c.since == "" {
		c.since = "*"
	}
	changed, err := ask[api.ChangedReply](c.w.ctx, c.w.a, api.VMChanged, api.ChangedRequest{Group: "shop-web01", VM: c.src.UUID, Pass: pass, Key: c.src.Disks[0].Key, Since: c.since})
	switch {
	case cdp.Is(err, cdp.Conflict):
		why, c.replica = err.Error(), now
	case err != nil:
		c.w.t.Fatal(err)
	case c.replica == nil:
		c.replica = make([]byte, len(now))
	}
	for _, a := range changed.Areas {
		copy(c.replica[a.Off:a.Off+a.N], now[a.Off:])
	}
	if !bytes.Equal(c.replica, now) {
		c.w.t.Errorf("pass %s: the replica differs from the source", pass)
	}
	c.since = f.Disks[0].ChangeID
	c.w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: c.src.UUID})
	return why
}

// The change id may be valid all the same: its number passes the old one with the next
// snapshots.
func TestARevertedVMIsComparedAnew(t *testing.T) {
	w := newWorld(t)
	x := web("web01")
	x.On = false
	src, err := w.a.sim.AddVM(x)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	take := func(name string) inventory.Snapshot {
		s, err := w.a.c.Snapshot(w.ctx, v.Ref, name, "", false)
		w.must(err)
		return s
	}
	drop := func(s inventory.Snapshot) { w.must(w.a.c.RemoveSnapshot(w.ctx, v.Ref, s.Ref)) }
	fill := func(off int64, with byte) {
		w.must(w.a.sim.GuestWrite("web01", src.Disks[0].Key, off, bytes.Repeat([]byte{with}, 65536)))
	}
	c := &copying{w: w, src: src}

	old := take("from before tracking")
	fill(0, 1)
	for range 2 {
		if why := c.next(); !strings.Contains(why, "from before tracking") {
			t.Errorf("a snapshot that is older than change tracking: %q", why)
		}
	}
	drop(old)
	c.next()
	fill(1<<20, 2)
	if why := c.next(); why != "" {
		t.Errorf("it is removed: %s", why)
	}

	user := take("before the update")
	fill(1<<20, 3) // the update
	for range 2 {
		if why := c.next(); why != "" {
			t.Errorf("a snapshot was taken: %s", why)
		}
	}
	backup := take("backup")
	fill(3<<20, 4)
	if why := c.next(); why != "" {
		t.Errorf("a backup runs: %s", why)
	}
	drop(backup)
	if why := c.next(); why != "" {
		t.Errorf("a backup has ended: %s", why)
	}
	for _, backups := range []int{0, 9} {
		fill(2<<20, byte(5+backups))
		c.next()
		w.must(w.a.c.Revert(w.ctx, v.Ref, user.Ref)) // the update is taken back
		for range backups {
			drop(take("backup"))
		}
		fill(3<<20, 6)
		if why := c.next(); !strings.Contains(why, "reverted to a snapshot") {
			t.Errorf("after a revert and %d backups: %q", backups, why)
		}
	}
}
