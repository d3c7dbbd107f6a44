package vcenter_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/vcsim"
	"tidemark.dev/pkg/contract/api"
)

// A VM is read whatever the vCenter calls its datastores: vSphere itself makes names with
// spaces and parentheses, and escapes slashes. Replicas are made on the former; the latter
// are refused for them, because not everything takes such a path back.
func TestAVMOnOddlyNamedDatastoresIsReplicated(t *testing.T) {
	names := []string{"vsanDatastore (1) é", "a%2fb 数据"}
	w := newWorldWith(t, vcsim.VMSpec{Name: "transporter", Disks: []vcsim.DiskSpec{{Size: mib}}}, names...)
	x := web("web 01 ü")
	x.Disks[1].Datastore = names[1]
	src, err := w.a.sim.AddVM(x)
	w.must(err)
	v, err := w.a.c.VM(w.ctx, src.UUID)
	w.must(err)
	keys := []int32{v.Hardware.Disks[0].Key, v.Hardware.Disks[1].Key}
	content := bytes.Repeat([]byte{7}, 4096)
	for _, k := range keys {
		w.must(w.a.sim.GuestWrite(x.Name, k, 65536, content))
	}
	before := w.picture(w.a)
	f := done(t, w.a, api.VMFreeze, api.FreezeRequest{Group: "shop-web01", VM: src.UUID, Keys: keys, Pass: "1"}, func(r api.FreezeReply) bool { return r.Done })
	for _, d := range f.Disks {
		b, err := os.ReadFile(d.Path)
		w.must(err)
		if !bytes.Equal(b[65536:65536+4096], content) {
			t.Errorf("%s has other content", d.Path)
		}
	}
	w.a.progress(api.VMThaw, api.ThawRequest{Group: "shop-web01", VM: src.UUID})
	if after := w.picture(w.a); after != before {
		t.Errorf("before\n%s\nand after a pass\n%s", before, after)
	}
	job := shop(w.b)
	job.Target.Datastore = "a/b 数据"
	if r := w.checked(job); !strings.Contains(told(r.Problems), `"a/b 数据" has a bracket, slash or percent sign`) {
		t.Errorf("a replica there is not refused: %s", told(r.Problems))
	}
	job.Target.Datastore = names[0]
	r := w.checked(job)
	if len(r.Problems) > 0 || !strings.Contains(told(r.Warnings), names[1]) || strings.Contains(told(r.Warnings), names[0]) {
		t.Errorf("refused: %s\nwarned of: %s", told(r.Problems), told(r.Warnings))
	}
	w.apply(job)
	w.until("it is ready", func() bool { return w.states()[x.Name] == "ready" })
	w.unapply("shop")
	w.b.progress(api.VMJobDelete, api.VMJobDeleteRequest{Job: "shop", Replicas: true})
	for _, file := range w.b.sim.Files(names[0]) {
		if strings.Contains(file, "replica") {
			t.Errorf("%s is left", file)
		}
	}
}
