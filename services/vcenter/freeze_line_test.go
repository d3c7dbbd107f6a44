package vcenter_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Passes of three VMs are due at once, and the transporter has slots for one. Each gets its
// turn, also when the service is restarted in between, and none sees another's disks.
func TestMorePassesThanSlotsAllGetTheirTurn(t *testing.T) {
	narrow := vcsim.VMSpec{Name: "transporter", Version: "vmx-13"}
	for _, kind := range []string{"lsilogic", "lsilogic-sas", "buslogic"} {
		narrow.Disks = append(narrow.Disks, vcsim.DiskSpec{Size: 64 << 10, Controller: kind})
	}
	for range 14 {
		narrow.Disks = append(narrow.Disks, vcsim.DiskSpec{Size: 64 << 10})
	}
	w := newWorldWith(t, narrow)
	until := func(endpoint string, in any) error {
		for {
			p, err := ask[struct{ api.Progress }](w.ctx, w.a, endpoint, in)
			if p.Done || err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	var freezes []api.FreezeRequest
	for i := range 3 {
		name := fmt.Sprintf("web0%d", i)
		x := web(name)
		x.Disks = x.Disks[1:]
		src, err := w.a.sim.AddVM(x)
		w.must(err)
		freezes = append(freezes, api.FreezeRequest{Group: cdp.GroupID("shop-" + name), VM: src.UUID, Keys: []int32{src.Disks[0].Key}, Pass: "1"})
	}
	w.must(until(api.VMFreeze, freezes[0]))
	w.a.stop()
	w.a.start()
	w.must(until(api.VMFreeze, freezes[0])) // it does not wait for its own disks
	var g errgroup.Group
	for i, r := range freezes {
		g.Go(func() error {
			if i > 0 {
				if err := until(api.VMFreeze, r); err != nil {
					return fmt.Errorf("freeze %s: %w", r.Group, err)
				}
			}
			if err := until(api.VMThaw, api.ThawRequest{Group: r.Group, VM: r.VM}); err != nil {
				return fmt.Errorf("thaw %s: %w", r.Group, err)
			}
			return nil
		})
	}
	w.must(g.Wait())
	if v, _ := w.vm(w.a, "transporter"); len(v.Hardware.Disks) != len(narrow.Disks) {
		t.Errorf("the transporter has %d disks, want its own %d", len(v.Hardware.Disks), len(narrow.Disks))
	}
}
