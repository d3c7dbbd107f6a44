package vcenter_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
	"tidemark.dev/services/vcenter"
)

// stuck is a vCenter where making the disks of some VMs does not end, as when
// their host died.
type stuck struct {
	vcenter.VCenter
	of  string
	now atomic.Bool
}

func (s *stuck) MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error {
	if s.now.Load() && strings.Contains(file, s.of) {
		<-ctx.Done()
		return cdp.Errorf(cdp.Transient, "make disk", file, "%w", ctx.Err())
	}
	return s.VCenter.MakeDisk(ctx, dc, file, size)
}

// Other VMs and those that join later are not delayed. It is reported, and the job
// can be deleted.
func TestAHangingTaskDelaysItsVMOnly(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"app01", "web01"} {
		_, err := w.a.sim.AddVM(web(n))
		w.must(err)
	}
	w.b.stop()
	s := &stuck{VCenter: w.b.c, of: "app01"}
	s.now.Store(true)
	w.b.vc = s
	w.b.start()
	w.apply(shop(w.b))
	w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
	_, err := w.a.sim.AddVM(web("web02"))
	w.must(err)
	w.until("web02 is ready", func() bool { return w.states()["web02"] == "ready" })
	w.until("it is reported", func() bool {
		st, err := ask[api.VMJobsReply](w.ctx, w.b, api.VMJobStatus, api.VMJobName{})
		w.must(err)
		return strings.Contains(st.Jobs[0].Trouble, "shop-app01: it is still running")
	})
	done(t, w.b, api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true}, func(p api.Progress) bool { return p.Done })
}

func TestAVMThatCannotBeFollowedDoesNotStopOthers(t *testing.T) {
	w := newWorld(t)
	_, err := w.a.sim.AddVM(web("app01"))
	w.must(err)
	w.apply(shop(w.b))
	w.until("app01 is ready", func() bool { return w.states()["app01"] == "ready" })
	s, _ := w.vm(w.a, "app01")
	w.must(w.a.c.PowerOff(w.ctx, s.Ref))
	h := vmpolicy.ReplicaHardware(s.Hardware)
	two := h.NICs[0]
	two.Key = 9999
	h.NICs = append(h.NICs, two)
	var other inventory.Ref
	for _, n := range w.inventory(w.a).Networks {
		if n.Ref != s.Hardware.NICs[0].Network {
			other = n.Ref
		}
	}
	w.must(w.a.c.Reshape(w.ctx, s.Ref, h, map[int32]inventory.Ref{h.NICs[0].Key: s.Hardware.NICs[0].Network, 9999: other}))
	w.until("its trouble is reported", func() bool { return w.trouble("shop-app01") != "" })
	_, err = w.a.sim.AddVM(web("web01"))
	w.must(err)
	w.until("web01 joins", func() bool { return w.states()["web01"] == "ready" })
	h.NICs = h.NICs[:1]
	w.must(w.a.c.Reshape(w.ctx, s.Ref, h, map[int32]inventory.Ref{h.NICs[0].Key: s.Hardware.NICs[0].Network}))
	w.until("its trouble is over", func() bool { return w.trouble("shop-app01") == "" })
}

// The guest loses its network or an address that a rule applies to, or the VM is
// renamed: the replica still gets the same address.
func TestTargetAddressesAreRemembered(t *testing.T) {
	subnet := []inventory.ReIP{{From: "10.0.0.0/24", To: "192.0.2.0/24"}}
	for name, x := range map[string]struct {
		rules   []inventory.ReIP
		do      func(w *world)
		trouble string
	}{
		"link-local":     {subnet, func(w *world) { w.must(w.a.sim.Tools("web01", true, "169.254.3.4")) }, ""},
		"no address":     {subnet, func(w *world) { w.must(w.a.sim.Tools("web01", true, "")) }, ""},
		"another subnet": {subnet, func(w *world) { w.must(w.a.sim.Tools("web01", true, "10.7.7.7")) }, "10.7.7.7 is in no subnet"},
		"renamed": {[]inventory.ReIP{{VM: "web01", IP: "192.0.2.5/24"}}, func(w *world) {
			v, _ := w.vm(w.a, "web01")
			w.must(w.a.c.Label(w.ctx, v.Ref, "www", "", nil))
			w.until("the new name is known", func() bool { m, _ := w.kept("shop-web01"); return m.VM.Name == "www" })
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.a.sim.AddVM(web("web01"))
			w.must(err)
			w.must(w.a.sim.Tools("web01", true, "10.0.0.5"))
			job := shop(w.b)
			job.Target.ReIP = x.rules
			w.apply(job)
			w.until("web01 is ready", func() bool { return w.states()["web01"] == "ready" })
			x.do(w)
			_, err = w.a.sim.AddVM(web("later")) // once this is ready, web01 was looked at
			w.must(err)
			w.until("later is ready", func() bool { return w.states()["later"] == "ready" })
			w.until("the trouble is reported", func() bool { return strings.Contains(w.trouble("shop-web01"), x.trouble) })
			m, _ := w.kept("shop-web01")
			id := m.Identity
			if id == nil || len(id.NICs) == 0 || id.NICs[0].IP != "192.0.2.5" {
				t.Errorf("the replica is given %+v", id)
			}
		})
	}
}

// kept is a member's record, with its revision.
func (w *world) kept(group string) (m inventory.Member, rev uint64) {
	w.t.Helper()
	raw, rev, err := w.b.recs.Get(w.ctx, "member."+group)
	w.must(err)
	w.must(json.Unmarshal(raw, &m))
	return m, rev
}

func (w *world) trouble(group string) string {
	w.t.Helper()
	m, _ := w.kept(group)
	return m.Trouble
}
