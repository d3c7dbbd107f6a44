package vmpolicy

import (
	"fmt"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
	"tidemark.dev/pkg/contract/spec"
)

// What passes cost, in calls of the source's vCenter. services/vcenter has a test for the
// calls, pkg/adapter/vsphere is where the changes of a transporter are shared.
const (
	passCalls   = 20 // of one pass, one after the other
	changeCalls = 5  // of one change of the transporter, which makes one at a time
	passChanges = 2  // attach, detach
	sharedBy    = 16 // passes that share a change: so many wait for it when it is scarce
)

// mostBusy is how much of the time may be planned: the rest is for first copies, slow
// hours and other users of the vCenter.
const mostBusy = 0.8

// Load is VMs that are captured by passes from one source.
type Load struct {
	VMs, Disks int
	Every      time.Duration // from the start of a VM's pass to that of its next
}

// PassEvery is how often a VM needs a pass to keep an RPO: a point is as old as its pass
// is long when it arrives.
func PassEvery(rpo time.Duration) time.Duration { return rpo / 2 }

// busy is the share of the time that passes need of what is scarcest, at a vCenter that
// takes so long for a call: the changes of the transporter, its slots (0: not known), or
// the time of a single pass. Above 1 they cannot keep their pace.
func busy(call time.Duration, free int, loads []Load) float64 {
	var changes, slots, alone float64
	hold := passCalls * call.Seconds()
	for _, l := range loads {
		if l.Every <= 0 || l.VMs == 0 {
			continue
		}
		changes += float64(l.VMs) * passChanges / sharedBy * changeCalls * call.Seconds() / l.Every.Seconds()
		slots += float64(l.Disks) * hold / l.Every.Seconds()
		alone = max(alone, hold/l.Every.Seconds())
	}
	if free > 0 {
		alone = max(alone, slots/float64(free))
	}
	return max(changes, alone)
}

// busy is the share of the time that the passes of the members need, and those of others.
func (s Situation) busy(own Load) float64 {
	free := 0
	if s.SourceSlots != nil {
		free = s.SourceSlots.Free
	}
	return busy(s.CallTime, free, append([]Load{own}, s.Others...))
}

// checkPace warns of an RPO that the source cannot keep with cbt.
func checkPace(s Situation) []inventory.Problem {
	if s.Job.Source.Capture != cdp.CBT || s.RPO <= 0 || s.CallTime <= 0 {
		return nil
	}
	own := Load{Every: PassEvery(s.RPO)}
	for _, v := range s.Members {
		own.VMs++
		own.Disks += len(s.Job.Source.Chosen(v))
	}
	if own.VMs == 0 {
		return nil
	}
	if s.busy(own) <= mostBusy {
		return nil
	}
	others := 0
	for _, l := range s.Others {
		others += l.VMs
	}
	vms := "one VM"
	if own.VMs > 1 {
		vms = fmt.Sprintf("%d VMs", own.VMs)
	}
	if others > 0 {
		vms += fmt.Sprintf(", besides %d of other jobs,", others)
	}
	text := fmt.Sprintf("the source's vCenter takes %v for a call, too long for an RPO of %v for %s by cbt", roughly(s.CallTime), spec.Duration(s.RPO), vms)
	if least := s.shortest(own); least > 0 {
		text += fmt.Sprintf(": raise the RPO to %v, protect fewer VMs, or capture them by tap", spec.Duration(least))
	} else {
		text += ": the passes of other jobs alone are more than it can do; raise their RPO"
	}
	return []inventory.Problem{{Path: "/spec/rpo", Rule: "pace", Warning: true, Text: text}}
}

// shortest is the shortest RPO, in whole minutes, that the members can keep; 0: none.
func (s Situation) shortest(own Load) time.Duration {
	for rpo := s.RPO.Truncate(time.Minute) + time.Minute; rpo <= 24*time.Hour; rpo += time.Minute {
		own.Every = PassEvery(rpo)
		if s.busy(own) <= mostBusy {
			return rpo
		}
	}
	return 0
}

// roughly is a duration with one digit or two, so that a text with it seldom changes.
func roughly(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{500 * time.Millisecond, 50 * time.Millisecond, 5 * time.Millisecond, time.Millisecond} {
		if d >= 2*unit {
			return d.Round(unit)
		}
	}
	return d
}
