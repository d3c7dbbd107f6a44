package failoverrun

import (
	"slices"
	"strconv"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// Event is what happened to a run. Now is the driver's clock.
type Event struct {
	Now  time.Time
	What What
	// Room and Result belong to StepDone, StepMoved and StepRefused.
	Room   Room
	Result Result
	// Err belongs to StepRefused.
	Err error
	// Goal belongs to Asked.
	Goal Goal
}

// What happened.
type What string

const (
	// Resumed: the driver has started, or started again.
	Resumed What = "resumed"
	// StepDone: the step has had its effect.
	StepDone What = "done"
	// StepMoved: the step is on its way; ask again. Its Result says how far.
	StepMoved What = "moved"
	// StepRefused: the step failed. Transient and Full mean: ask again.
	StepRefused What = "refused"
	// Asked: cleanup, undo or commit. See CheckAsk.
	Asked What = "asked"
)

// Result is what a step found out; only what belongs to the step is set.
type Result struct {
	Text      string
	Drained   *api.DrainReply
	Bounds    *cdp.Bounds
	Captured  *cdp.Seq
	Snapshots bool
	Resolved  *api.Resolved
	Export    *api.Export
	Paths     []string
	VM        *api.VMRun
	Moved     int64
	Total     int64
}

// Command is what the driver does, after it wrote the state down. Exactly one
// of its fields is set. Tell and Finish may be lost or come twice, Do not: it
// is given again with Resumed.
type Command struct {
	// Do this step, and come back with what happened.
	Do Room
	// Tell that a step changed.
	Tell *Stage
	// Finish: the run came to rest.
	Finish Phase
	// Again is with Do: the step was tried, wait before.
	Again bool
}

// Begin is a new run.
func Begin(r Request, now time.Time) (State, []Command) {
	s := State{Request: r, Phase: Running, Goal: Recover, StartedAt: now}
	var rooms []Room
	if r.Planned {
		rooms = append(rooms, Drain, Arrive)
	}
	switch {
	case r.Mode == "test" && r.To == "vm":
		rooms = append(rooms, Resolve, Build, Fill, Attach, Boot, Check)
	case r.Mode == "test":
		rooms = append(rooms, Resolve, Open)
	case r.To == "vm":
		rooms = append(rooms, Halt, Resolve, Move, Release, Attach, Boot, Check)
	case r.To == "files":
		rooms = append(rooms, Halt, Resolve, Move)
	default:
		rooms = append(rooms, Halt, Resolve, Open, Move)
	}
	s.plan(Recover, rooms)
	return s.next(now)
}

// Step is what follows from an event. An event that does not belong to the
// step at hand changes nothing: it is late.
func Step(s State, e Event) (State, []Command) {
	s.Stages = slices.Clone(s.Stages)
	cur, busy := s.Current()
	switch e.What {
	case Resumed:
		if !busy {
			return s, nil
		}
		return s.next(e.Now)
	case Asked:
		if s.CheckAsk(e.Goal) != nil || s.Goal == e.Goal && busy {
			return s, nil
		}
		s.Next = e.Goal
		if busy {
			return s, nil // when the step at hand came back
		}
		return s.turn(e.Now)
	}
	if !busy || cur.Room != e.Room {
		return s, nil
	}
	i := s.at()
	switch e.What {
	case StepDone:
		return s.succeed(i, e)
	case StepMoved:
		s.Moved, s.Total = e.Result.Moved, e.Result.Total
		if e.Result.Text != "" {
			s.Stages[i].Text = e.Result.Text
		}
		if e.Result.VM != nil {
			s.VM = e.Result.VM
		}
		if s.Next != "" {
			return s.turn(e.Now)
		}
		return s, []Command{{Do: cur.Room, Again: true}}
	case StepRefused:
		s.Stages[i].Text = e.Err.Error()
		if s.Next != "" {
			return s.turn(e.Now)
		}
		if k := cdp.KindOf(e.Err); k == cdp.Transient || k == cdp.Full {
			return s, []Command{{Do: cur.Room, Again: true}}
		}
		if cur.Room == Check { // the VM runs all the same
			s.CheckFailed = true
			e.Result.Text = "the checks could not be made: " + e.Err.Error()
			return s.succeed(i, e)
		}
		return s.fail(i, e)
	}
	return s, nil
}

// succeed is the end of a step that had its effect.
func (s State) succeed(i int, e Event) (State, []Command) {
	s.Stages[i].Status, s.Stages[i].Text = Done, e.Result.Text
	s.learn(e)
	told := s.Stages[i]
	s, cmds := s.next(e.Now)
	return s, append([]Command{{Tell: &told}}, cmds...)
}

// learn keeps what a step found out.
func (s *State) learn(e Event) {
	r := e.Result
	switch e.Room {
	case Drain:
		s.Drained = r.Drained
	case Halt:
		s.Bounds, s.Captured, s.Snapshots, s.HaltedAt = r.Bounds, r.Captured, r.Snapshots, e.Now
	case Resolve:
		s.Resolved = r.Resolved
	case Open:
		s.Export = r.Export
	case Close:
		s.Export = nil
	case Seal:
		s.Paths = r.Paths
	case Move:
		s.Paths = r.Paths
	case Build:
		s.Scratch = r.Paths
	}
	s.seeVM(e)
	s.Moved, s.Total = 0, 0
	if e.Room == Open || e.Room == Boot || e.Room == Move && s.To != "vm" && s.UsableAt.IsZero() {
		s.UsableAt = e.Now
	}
}

// seeVM keeps what a step saw of the VM.
func (s *State) seeVM(e Event) {
	if e.Result.VM != nil {
		s.VM = e.Result.VM
	}
	switch e.Room {
	case Check:
		for _, c := range e.Result.checks() {
			s.CheckFailed = s.CheckFailed || !c.OK
		}
	case Return, Remove:
		s.VM, s.Scratch = nil, nil
	}
}

func (r Result) checks() []api.VMCheckResult {
	if r.VM == nil {
		return nil
	}
	return r.VM.Checks
}

// plan adds the steps to a goal behind those that were done.
func (s *State) plan(g Goal, rooms []Room) {
	for i, st := range s.Stages {
		if st.Status == Pending {
			s.Stages[i].Status = Skipped
		}
	}
	for _, r := range rooms {
		s.Stages = append(s.Stages, Stage{Room: r, Goal: g, Status: Pending})
	}
}

// next goes on with the first step that is not done, or comes to rest.
func (s State) next(now time.Time) (State, []Command) {
	if s.Next != "" {
		return s.turn(now)
	}
	i := s.at()
	if i < 0 {
		return s.rest(now)
	}
	if s.Goal == Recover && (s.done(Open) && s.Mode == "production" || s.done(Boot)) {
		s.Phase = Usable
	}
	var cmds []Command
	if s.Stages[i].Status == Pending {
		s.Stages[i].Status = Started
		told := s.Stages[i]
		cmds = append(cmds, Command{Tell: &told})
	}
	return s, append(cmds, Command{Do: s.Stages[i].Room})
}

// rest is the end of a goal.
func (s State) rest(now time.Time) (State, []Command) {
	s.Phase = map[Goal]Phase{Recover: Ready, Cleanup: Cleaned, Undo: Undone, Commit: Committed, Back: Failed}[s.Goal]
	if s.Goal != Recover {
		s.EndedAt = now
	}
	return s, []Command{{Finish: s.Phase}}
}

// turn takes the way that was asked for.
func (s State) turn(now time.Time) (State, []Command) {
	g := s.Next
	s.Next = ""
	if g == s.Goal && s.at() >= 0 { // it failed on this way: try it again from there
		s.Phase, s.Error, s.Kind, s.Hint = Ending, "", "", ""
		s.Stages[s.at()].Status = Started
		return s.next(now)
	}
	return s.take(g, now)
}

// take begins the way to g.
func (s State) take(g Goal, now time.Time) (State, []Command) {
	var rooms []Room
	switch g {
	case Commit:
		if !s.done(Move) {
			rooms = append(rooms, Move)
		}
		switch s.To {
		case "nbd":
			rooms = append(rooms, Absorb, Close)
		case "vm":
			rooms = append(rooms, Keep)
		}
		rooms = append(rooms, Seal)
	default:
		rooms = s.back()
	}
	if g != Back {
		s.Error, s.Kind, s.Hint = "", "", ""
	}
	s.plan(g, rooms)
	s.Goal, s.Phase = g, Ending
	return s.next(now)
}

// back is what reverses all that may have had its effect.
func (s State) back() (rooms []Room) {
	if s.touched(Open, Close) {
		rooms = append(rooms, Close)
	}
	if s.touched(Boot, Stop) {
		rooms = append(rooms, Stop)
	}
	if s.touched(Attach, Return) && s.Mode != "test" { // a test's disks are its own
		rooms = append(rooms, Return)
	}
	if s.touched(Build, Remove) {
		rooms = append(rooms, Remove)
	}
	if s.touched(Halt, Resume) {
		rooms = append(rooms, Resume)
	}
	return rooms
}

// fail is the end of a step that will not succeed.
func (s State) fail(i int, e Event) (State, []Command) {
	s.Stages[i].Status = StepFailed
	s.Error, s.Kind, s.Hint = e.Err.Error(), cdp.KindOf(e.Err), cdp.HintOf(e.Err)
	told := s.Stages[i]
	cmds := []Command{{Tell: &told}}
	if s.Goal == Recover && s.Phase == Running {
		s, more := s.take(Back, e.Now)
		return s, append(cmds, more...)
	}
	s.Phase = Failed
	return s, append(cmds, Command{Finish: Failed})
}

func utoa(s cdp.Seq) string { return strconv.FormatUint(uint64(s), 10) }
