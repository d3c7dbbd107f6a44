package journal

// The kinds of a journal's alarms. The same kind of one group is the same alarm.
const (
	AlarmFull      = "full"         // the disk of the journals has no room
	AlarmIntake    = "intake"       // frames cannot be taken in
	AlarmFenced    = "fenced"       // a capturer that was replaced sends
	AlarmCut       = "history-cut"  // points are dropped before the history limit
	AlarmDamage    = "damage"       // something stored is damaged
	AlarmLost      = "history-lost" // history that was durable is gone
	AlarmClock     = "clock"        // a clock stepped, or the source's times cannot be true
	AlarmLock      = "lock"         // a retention lock keeps what was to go, or has no record
	AlarmSignature = "signature"    // a recovery point is not signed as its source signs
	AlarmJournal   = "journal"      // the journal cannot be maintained
)
