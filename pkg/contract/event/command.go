package event

import "tidemark.dev/pkg/cdp"

// CommandRefused reports that a command was refused and changed nothing.
type CommandRefused struct {
	// Command is the command's type, ID its id, Name the job or group.
	Command string   `json:"command"`
	ID      string   `json:"id"`
	Name    string   `json:"about,omitempty"`
	Kind    cdp.Kind `json:"kind"`
	Reason  string   `json:"reason"`
	Hint    string   `json:"hint,omitempty"`
}

// EventType implements Payload.
func (CommandRefused) EventType() string { return "tidemark.evt.v1.command.refused" }

// About implements Payload.
func (p CommandRefused) About() string { return p.Name }
