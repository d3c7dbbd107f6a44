package health

// Level says how urgent a verdict is. Levels are ordered.
type Level int

const (
	// OK: protected within the objective, and nothing needs attention.
	OK Level = iota
	// Warning: recovery points are there, but something needs attention: the RPO is
	// above its objective, blocks are copied again, a limit is near.
	Warning
	// NotProtected: nothing can be recovered, no new points are made, or whether they
	// are is not known.
	NotProtected
)

var levels = [...]string{"ok", "warning", "not-protected"}

func (l Level) String() string { return levels[l] }

// MarshalText gives ok, warning or not-protected.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText gives. Another text counts as not-protected.
func (l *Level) UnmarshalText(text []byte) error {
	*l = NotProtected
	for i, name := range levels {
		if name == string(text) {
			*l = Level(i)
		}
	}
	return nil
}

// level is how urgent a state is by itself.
func (s State) level() Level {
	switch s {
	case Protected:
		return OK
	case Late, Settling, Resyncing, PoweredOff, Gone:
		return Warning
	}
	return NotProtected
}

// Worst is the highest level of several verdicts; OK for none.
func Worst(all []Job) Level {
	l := OK
	for _, j := range all {
		l = max(l, j.Level)
	}
	return l
}
