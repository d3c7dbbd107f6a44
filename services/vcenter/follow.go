package vcenter

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/core/vmpolicy"
)

// follow applies changes of the source VM to its replica without a new seed. What
// cannot be followed is the member's trouble; replication of the rest continues.
func (r *round) follow(ctx context.Context, m *member, v inventory.VM) error {
	was := m.Value.VM
	var cannot []string
	reshape := false
	disks, did := vmpolicy.Gone(v, m.Value.Disks, r.s.clock.Now().UTC())
	seen := was.Hardware
	seen.Disks = vmpolicy.Seen(was.Hardware, v.Hardware, m.Value.Disks, disks)
	for _, c := range vmpolicy.Diff(was.Hardware, v.Hardware, disks) {
		if c.Follow {
			reshape = true
			did = append(did, c.Text)
		} else {
			cannot = append(cannot, c.Text)
		}
	}
	disks, grew, not := vmpolicy.Grown(r.job.Job, seen, v, disks)
	did, cannot = append(did, grew...), append(cannot, not...)
	if was.Name != v.Name {
		did = append(did, fmt.Sprintf("it was renamed from %s; its replica keeps the name %s", was.Name, m.Value.Name))
	}
	if was.Host != v.Host && was.Host != "" {
		did = append(did, "it moved to the host "+r.hostName(v.Host))
	}
	// The record keeps the old state of what cannot be followed, so that it stays
	// the member's trouble until the change is undone.
	keep := v
	keep.Hardware.Firmware, keep.Hardware.SecureBoot = was.Hardware.Firmware, was.Hardware.SecureBoot
	keep.Hardware.TPM, keep.Hardware.Encrypted = was.Hardware.TPM, was.Hardware.Encrypted
	keep.Hardware.Disks = vmpolicy.Seen(seen, v.Hardware, disks, disks)
	keep.Hardware.Extra = vmpolicy.ReplicaHardware(v.Hardware).Extra
	before := m.Value
	m.Value.VM, m.Value.Disks = keep, disks
	if m.Value.JoinedAs == "" {
		m.Value.JoinedAs = was.Name
	}
	cannot = append(cannot, wire(&m.Value, r.job.Job.Target, r.target, was.Guest)...)
	if reshape && m.Value.Replica != "" {
		h := vmpolicy.ReplicaHardware(keep.Hardware)
		if err := r.reshape(ctx, m.Value, h); err != nil {
			m.Value = before
			return cdp.Wrap(err, "reshape replica", m.Value.Name)
		}
	}
	state, trouble := m.Value.State, strings.Join(cannot, "; ")
	if trouble != m.Value.Trouble && (state == inventory.Ready || trouble != "") {
		if err := setState(ctx, r.s.report, m, state, trouble); err != nil {
			return err
		}
	} else if !reflect.DeepEqual(withoutNoise(before), withoutNoise(m.Value)) {
		if err := m.save(ctx); err != nil {
			return err
		}
	}
	if len(did) > 0 {
		r.s.report.member(ctx, m.Value, strings.Join(did, "; "))
	}
	return nil
}

// reshape reconfigures the replica VM like the source's. One that does not exist yet
// will be made like it.
func (r *round) reshape(ctx context.Context, m inventory.Member, h inventory.Hardware) error {
	v, err := r.s.cache.replica(ctx, r.vc, m)
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.vc.Reshape(ctx, v.Ref, h, m.Networks)
}

// withoutNoise leaves out what changes all the time and does not matter here.
func withoutNoise(m inventory.Member) inventory.Member {
	m.VM.Snapshots, m.VM.Consolidate, m.VM.Power, m.VM.Guest.Heartbeat = nil, false, "", ""
	m.VM.Note = ""
	return m
}

func (r *round) hostName(ref inventory.Ref) string {
	for _, h := range r.reply.Hosts {
		if h.Ref == ref {
			return h.Name
		}
	}
	return string(ref)
}
