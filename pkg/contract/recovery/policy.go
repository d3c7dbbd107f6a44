package recovery

import "time"

// The commit window: how long a production failover waits for a person before it ends as
// its policy says.
const (
	DefaultWindow = time.Hour
	MinWindow     = 5 * time.Minute
	MaxWindow     = 24 * time.Hour
)

// Policy says how a production failover ends if nobody has ended it when its commit
// window is over.
type Policy string

const (
	// PolicyNone waits for a person. It is the default.
	PolicyNone Policy = "none"
	// PolicyCommit makes the failover final.
	PolicyCommit Policy = "commit"
	// PolicyUndo takes it back, which discards what the machine has written.
	PolicyUndo Policy = "undo"
)

// Goal is what the policy works towards; empty for none.
func (p Policy) Goal() Goal {
	switch p {
	case PolicyCommit:
		return Commit
	case PolicyUndo:
		return Undo
	}
	return ""
}
