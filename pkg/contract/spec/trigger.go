package spec

import (
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
)

// Defaults of the triggers of a SiteRecoveryJob.
const (
	// DefaultTriggerFor is how long a site has to be unreachable, or a machine down.
	DefaultTriggerFor = 5 * time.Minute
	DefaultCoolDown   = time.Hour

	MaxTriggerFor = 24 * time.Hour
	MaxCoolDown   = 30 * 24 * time.Hour
)

// Trigger starts a plan, or asks whether to start it, when something happens. Exactly
// one of the fields from Unreachable to Schedule says what.
type Trigger struct {
	Name string `json:"name"`

	Unreachable *SiteGone    `json:"unreachable,omitempty"`
	Down        *MachineDown `json:"down,omitempty"`
	RPO         *RPOAbove    `json:"rpo,omitempty"`
	// Signal is raised and cleared by a command.
	Signal   *Signal   `json:"signal,omitempty"`
	Schedule *Schedule `json:"schedule,omitempty"`

	// For is how long it must hold without a break. 0 for a Schedule.
	For Duration `json:"for,omitempty"`
	// CoolDown is how long after it has fired it does not fire again. 0 for a Schedule.
	CoolDown Duration      `json:"coolDown,omitempty"`
	Mode     recovery.Mode `json:"mode"`
	Start    StartPolicy   `json:"start"`
	// Approvals is how many people must agree; 0 if and only if Start is Automatic.
	Approvals int `json:"approvals,omitempty"`
}

// StartPolicy says whether a person has to agree before a trigger starts its plan.
type StartPolicy string

const (
	AskFirst  StartPolicy = "ask"
	Automatic StartPolicy = "automatic"
)

// SiteGone holds while a site answers neither this site nor Need of the witnesses.
type SiteGone struct {
	Site      cdp.Site  `json:"site"`
	Witnesses []Witness `json:"witnesses"`
	Need      int       `json:"need"`
}

// Witness is a process of `tidemark witness`, known by its public key.
type Witness struct {
	Name string `json:"name"`
	Key  string `json:"key"` // Ed25519, in base64
}

// MachineDown holds while the vCenter of a site says that a VM or a host is down: that a VM
// is not on, or its host does not answer. A site that does not answer says nothing. One of
// VM and Host is set.
type MachineDown struct {
	Site cdp.Site `json:"site"`
	VM   string   `json:"vm,omitempty"`   // path, instance UUID or name
	Host string   `json:"host,omitempty"` // path or name
}

// RPOAbove holds while a job would lose more than Above.
type RPOAbove struct {
	Job   string   `json:"job"`
	Above Duration `json:"above"`
}

// Signal holds from the command that raises it to the one that clears it.
type Signal struct{}

// Schedule is due at a time of day, UTC, on every day or on some days of the week.
type Schedule struct {
	At   string   `json:"at"`             // HH:MM
	Days []string `json:"days,omitempty"` // mon to sun; empty: every day
}

// Trigger is the trigger of a name; nil if there is none.
func (p Plan) Trigger(name string) *Trigger {
	for i := range p.Triggers {
		if p.Triggers[i].Name == name {
			return &p.Triggers[i]
		}
	}
	return nil
}

// events are the fields that say what happens.
func (t Trigger) events() (out []string) {
	for _, f := range []struct {
		name string
		set  bool
	}{{"unreachable", t.Unreachable != nil}, {"down", t.Down != nil}, {"rpo", t.RPO != nil}, {"signal", t.Signal != nil}, {"schedule", t.Schedule != nil}} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return out
}
