package event

// RPOMeasured reports a job's RPO.
type RPOMeasured struct {
	Job string `json:"job"`
	// Seconds is the RPO now, Bound its greatest error, Objective the job's.
	Seconds   float64 `json:"seconds"`
	Bound     float64 `json:"boundSeconds"`
	Objective float64 `json:"objectiveSeconds,omitempty"`
}

// EventType implements Payload.
func (RPOMeasured) EventType() string { return "tidemark.evt.v1.rpo.measured" }

// About implements Payload.
func (p RPOMeasured) About() string { return p.Job }

// RPOBreached reports that a job's RPO is above its objective.
type RPOBreached struct {
	Job string `json:"job"`
	// Seconds is the RPO now, Bound its greatest error, Objective the job's.
	Seconds   float64 `json:"seconds"`
	Bound     float64 `json:"boundSeconds"`
	Objective float64 `json:"objectiveSeconds,omitempty"`
}

// EventType implements Payload.
func (RPOBreached) EventType() string { return "tidemark.evt.v1.rpo.breached" }

// About implements Payload.
func (p RPOBreached) About() string { return p.Job }

// RPORestored reports that a job's RPO is within its objective again.
type RPORestored struct {
	Job string `json:"job"`
	// Seconds is the RPO now, Bound its greatest error, Objective the job's.
	Seconds   float64 `json:"seconds"`
	Bound     float64 `json:"boundSeconds"`
	Objective float64 `json:"objectiveSeconds,omitempty"`
}

// EventType implements Payload.
func (RPORestored) EventType() string { return "tidemark.evt.v1.rpo.restored" }

// About implements Payload.
func (p RPORestored) About() string { return p.Job }
