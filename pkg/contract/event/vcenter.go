package event

import (
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Kinds of capture's alarms about VMs. One kind of one group is one alarm.
const (
	// AlarmOverrun: a cycle takes longer than the RPO allows.
	AlarmOverrun = "overrun"
	// AlarmCBTReset: the VM's changed blocks are no longer known; the whole disk is
	// compared.
	AlarmCBTReset = "cbt-reset"
	// AlarmSnapshotLeft: one of our snapshots was found that a crash had left behind.
	AlarmSnapshotLeft = "snapshot-left"
	// AlarmFreezeFailed: the VM's disks could not be frozen to be read.
	AlarmFreezeFailed = "freeze-failed"
	// AlarmConsolidation: the VM has delta disks that belong to no snapshot.
	AlarmConsolidation = "consolidation"
)

// Kinds of a vCenter's alarms. AlarmConsolidation is one, too.
const (
	// AlarmSessionLost: the vCenter cannot be reached, or refuses our login.
	AlarmSessionLost = "session-lost"
	// AlarmOtherVCenter: another vCenter answers at the site's address.
	AlarmOtherVCenter = "other-vcenter"
	// AlarmHostDown: a host that runs a protected VM does not respond.
	AlarmHostDown = "host-down"
	// AlarmReplicaRuns: somebody powered a replica VM on while it replicates.
	AlarmReplicaRuns = "replica-runs"
	// AlarmUnseen: the I/O filter does not report the writes of a VM that is on.
	AlarmUnseen = "vm-unseen"
)

// CaptureAlarm reports that a group's capture needs attention.
type CaptureAlarm struct {
	Group cdp.GroupID `json:"group"`
	Kind  string      `json:"kind"` // a name; one kind of one group is one alarm
	Text  string      `json:"text"`
}

// EventType implements Payload.
func (CaptureAlarm) EventType() string { return "tidemark.evt.v1.capture.alarm" }

// About implements Payload.
func (p CaptureAlarm) About() string { return string(p.Group) }

// VCenterMemberChanged reports the state of a VM of a job on VMs.
type VCenterMemberChanged struct {
	Job   string                `json:"job"`   // on VMs
	Group cdp.GroupID           `json:"group"` // the VM's own
	VM    string                `json:"vm"`    // its name
	State inventory.MemberState `json:"state"`
	Text  string                `json:"text"`
}

// EventType implements Payload.
func (VCenterMemberChanged) EventType() string { return "tidemark.evt.v1.vcenter.member-changed" }

// About implements Payload.
func (p VCenterMemberChanged) About() string { return string(p.Group) }

// VCenterAlarm reports that something at a site's vCenter needs attention.
type VCenterAlarm struct {
	Site    cdp.Site `json:"site"`
	Kind    string   `json:"kind"`    // a name; one kind of one subject is one alarm
	Subject string   `json:"subject"` // the host, VM or vCenter
	Text    string   `json:"text"`
}

// EventType implements Payload.
func (VCenterAlarm) EventType() string { return "tidemark.evt.v1.vcenter.alarm" }

// About implements Payload.
func (p VCenterAlarm) About() string { return string(p.Site) }

// VCenterTransporterChanged reports the state of a transporter.
type VCenterTransporterChanged struct {
	Site  cdp.Site         `json:"site"`
	Name  string           `json:"name"`
	State TransporterState `json:"state"`
	Text  string           `json:"text"`
}

// EventType implements Payload.
func (VCenterTransporterChanged) EventType() string {
	return "tidemark.evt.v1.vcenter.transporter-changed"
}

// About implements Payload.
func (p VCenterTransporterChanged) About() string { return string(p.Site) }

// VCenterFilterChanged reports the state of an I/O filter on a cluster.
type VCenterFilterChanged struct {
	Site    cdp.Site    `json:"site"`
	Cluster string      `json:"cluster"`
	Filter  string      `json:"filter"` // its id
	State   FilterState `json:"state"`
	Text    string      `json:"text"`
}

// EventType implements Payload.
func (VCenterFilterChanged) EventType() string { return "tidemark.evt.v1.vcenter.filter-changed" }

// About implements Payload.
func (p VCenterFilterChanged) About() string { return string(p.Site) }
