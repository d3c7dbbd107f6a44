package failoverrun

// State is the former name of Run, until the wiring uses the new one.
type State = Run
