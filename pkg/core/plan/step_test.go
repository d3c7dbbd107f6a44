package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/recovery"
	"tidemark.dev/pkg/core/plan"
)

// stage is a run that a test drives by hand.
type stage struct {
	*testing.T
	plan.Run
	now time.Time
	end plan.Phase
}

func begin(t *testing.T, mode recovery.Mode, actions string) *stage {
	s := &stage{T: t, now: t0}
	s.Run = plan.Begin(plan.Request{Plan: "shop", ID: "r1", Mode: mode}, 1, parse(t, actions), t0)
	s.step(plan.Event{What: plan.Resumed})
	return s
}

func (s *stage) step(e plan.Event) {
	s.Helper()
	e.Now = s.now
	var cmds []plan.Command
	s.Run, cmds = plan.Step(s.Run, e)
	for _, c := range cmds {
		if c.Finish != "" {
			s.end = c.Finish
		}
	}
}

// task is the task of an action that is in progress.
func (s *stage) task(action string) plan.Task {
	s.Helper()
	for _, task := range s.Tasks() {
		if task.Action == action {
			return task
		}
	}
	s.Fatalf("%s is not in progress: %v", action, s.doing())
	return plan.Task{}
}

func (s *stage) done(actions ...string) {
	s.Helper()
	for _, a := range actions {
		s.step(plan.Event{What: plan.Finished, Task: s.task(a)})
	}
}

func (s *stage) fail(action string) {
	s.Helper()
	s.step(plan.Event{What: plan.Refused, Task: s.task(action), Err: cdp.Errorf(cdp.Conflict, "x", "", "broken")})
}

func (s *stage) ask(v plan.Verb, action string) error {
	s.Helper()
	k := plan.Ask{Verb: v, Action: action, By: "ann"}
	err := s.CheckAsk(k)
	s.step(plan.Event{What: plan.Asked, Ask: k})
	s.step(plan.Event{What: plan.Tick})
	return err
}

// pass lets time pass until the next tick.
func (s *stage) pass() {
	s.Helper()
	if s.now = s.Wake(); s.now.IsZero() {
		s.Fatal("nothing is due")
	}
	s.step(plan.Event{What: plan.Tick})
}

func (s *stage) doing() string {
	var out []string
	for _, task := range s.Tasks() {
		out = append(out, fmt.Sprintf("%s %s", task.Work, task.Action))
	}
	return strings.Join(out, ", ")
}

func (s *stage) wants(doing string) {
	s.Helper()
	if got := s.doing(); got != doing {
		s.Errorf("it does %q, want %q; %s %+v", got, doing, s.Phase, s.Actions)
	}
}

func (s *stage) ends(p plan.Phase) {
	s.Helper()
	if s.Phase != p || s.end != p {
		s.Errorf("it is %s and finished as %s, want %s; %+v", s.Phase, s.end, p, s.Actions)
	}
}

const shop = `- {name: db, failover: {job: db}}
- {name: app1, group: app, failover: {job: app1}}
- {name: app2, group: app, failover: {job: app2}, critical: false}
- {name: front, failover: {job: front}}`

func TestGroupsRunInOrderAndTheirActionsTogether(t *testing.T) {
	s := begin(t, recovery.Production, shop)
	s.wants("act db")
	s.done("db")
	s.wants("act app1, act app2")
	s.done("app2")
	s.wants("act app1")
	s.done("app1")
	s.wants("act front")
	s.done("front")
	s.ends(plan.Succeeded)
}

func TestAFailureThatIsNotCriticalStopsNothing(t *testing.T) {
	s := begin(t, recovery.Production, shop)
	s.done("db")
	s.fail("app2")
	s.done("app1", "front")
	s.ends(plan.Succeeded)
}

func TestACriticalFailureCanBeRetriedOrSkipped(t *testing.T) {
	s := begin(t, recovery.Production, shop)
	s.done("db")
	s.fail("app1")
	s.wants("act app2") // it comes to its end
	s.done("app2")
	s.ends(plan.Failed)
	if err := s.ask(plan.Retry, "front"); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	_ = s.ask(plan.Retry, "app1")
	s.wants("act app1")
	s.fail("app1")
	s.ends(plan.Failed)
	_ = s.ask(plan.Skip, "app1")
	s.wants("act front")
	s.done("front")
	s.ends(plan.Succeeded)
}

// Of two critical actions that failed each can be tried again, although the other one
// has failed, and although the driver starts anew.
func TestEachOfTwoActionsThatFailedCanBeRetried(t *testing.T) {
	s := begin(t, recovery.Production, "- {name: app1, group: g, failover: {job: app1}}\n- {name: app2, group: g, failover: {job: app2}}\n- {name: front, failover: {job: front}}")
	s.fail("app1")
	s.fail("app2")
	s.ends(plan.Failed)
	_ = s.ask(plan.Retry, "app1")
	s.step(plan.Event{What: plan.Resumed})
	s.step(plan.Event{What: plan.Tick})
	s.wants("act app1")
	s.done("app1")
	s.ends(plan.Failed)
	_ = s.ask(plan.Retry, "app2")
	s.step(plan.Event{What: plan.Resumed})
	s.step(plan.Event{What: plan.Tick})
	s.done("app2")
	s.wants("act front")
	s.done("front")
	s.ends(plan.Succeeded)
}

// The clean-up is in the reverse order of what began, and goes on after a failure.
func TestATestIsCleanedUpInReverseWhateverFailed(t *testing.T) {
	s := begin(t, recovery.Test, shop)
	s.done("db")
	s.fail("app1")
	s.done("app2")
	s.wants("clean-up app2")
	for range 10 {
		s.fail("app2")
		if len(s.Tasks()) == 0 {
			s.pass()
		}
	}
	s.wants("clean-up app1")
	s.done("app1")
	s.wants("clean-up db")
	s.done("db")
	s.ends(plan.Failed)
	if err := s.ask(plan.Retry, "app2"); err != nil {
		t.Error(err)
	}
	s.wants("clean-up app2")
	s.done("app2")
	s.ends(plan.Failed) // the test itself had failed
}

func TestACancelledTestIsCleanedUp(t *testing.T) {
	s := begin(t, recovery.Test, shop)
	late := s.task("db")
	_ = s.ask(plan.Cancel, "")
	s.wants("clean-up db")
	s.step(plan.Event{What: plan.Finished, Task: late})
	s.wants("clean-up db")
	s.done("db")
	s.ends(plan.Cancelled)
	if err := s.ask(plan.Cancel, ""); !cdp.Is(err, cdp.Duplicate) {
		t.Error(err)
	}
}

func TestAPausedRunBeginsNothing(t *testing.T) {
	s := begin(t, recovery.Production, shop)
	_ = s.ask(plan.Pause, "")
	s.done("db")
	s.wants("")
	_ = s.ask(plan.Resume, "")
	s.wants("act app1, act app2")
	_ = s.ask(plan.Cancel, "")
	s.wants("")
	s.ends(plan.Cancelled)
}

// However long a run is paused, what is in progress has its whole time: an attempt, and a
// person who is asked. A wait ends all the same.
func TestTimeOutsStandStillWhileARunIsPaused(t *testing.T) {
	const actions = `- {name: db, group: all, critical: false, failover: {job: db}, timeout: 1m}
- {name: sure, group: all, ask: {text: go on, default: refuse}, timeout: 2m}
- {name: dns, group: all, wait: 5m}`
	s := begin(t, recovery.Production, actions)
	task, status := s.task("db"), func(i int) plan.Status { return s.Actions[i].Status }
	s.now = t0.Add(50 * time.Second)
	_ = s.ask(plan.Pause, "")
	if at := s.Until(task); !at.IsZero() || !s.Wake().Equal(t0.Add(5*time.Minute)) {
		t.Errorf("the attempt ends at %s, and next is %s", at, s.Wake())
	}
	s.now = t0.Add(time.Hour)
	s.step(plan.Event{What: plan.Tick})
	if status(0) != plan.Started || status(1) != plan.Started || status(2) != plan.Done {
		t.Errorf("%+v", s.Actions)
	}
	_ = s.ask(plan.Resume, "")
	if at := s.Until(task); !at.Equal(t0.Add(time.Hour + 10*time.Second)) {
		t.Errorf("the attempt ends at %s", at)
	}
	s.pass()
	if status(0) != plan.GaveUp || !s.PausedAt.IsZero() {
		t.Errorf("%+v", s.Run)
	}
	s = begin(t, recovery.Production, actions)
	_ = s.ask(plan.Pause, "")
	s.now = t0.Add(time.Hour)
	s.step(plan.Event{What: plan.Resumed}) // another driver took over
	_ = s.ask(plan.Resume, "")
	s.pass()
	s.pass()
	if status(0) != plan.GaveUp || status(1) != plan.GaveUp || !s.now.Equal(t0.Add(time.Hour+2*time.Minute)) {
		t.Errorf("%s %+v", s.now, s.Actions)
	}
}

func TestAnAttemptThatTakesTooLongFailsAndIsTriedAgain(t *testing.T) {
	s := begin(t, recovery.Production, "- {name: a, failover: {job: db}, retries: 1, retryEvery: 5s, timeout: 1m}")
	first := s.task("a")
	s.pass()
	s.wants("")
	s.pass()
	s.wants("act a")
	s.step(plan.Event{What: plan.Finished, Task: first}) // it comes late
	s.wants("act a")
	s.pass()
	s.ends(plan.Failed)
}

func TestAQuestionThatNobodyAnswersTakesItsDefault(t *testing.T) {
	const actions = `- {name: sure, ask: {text: go on, default: %s}, timeout: 5m}
- {name: db, failover: {job: db}}`
	s := begin(t, recovery.Production, fmt.Sprintf(actions, "approve"))
	s.wants("")
	s.pass()
	s.wants("act db")
	s = begin(t, recovery.Production, fmt.Sprintf(actions, "refuse"))
	s.pass()
	s.ends(plan.Failed)
	s = begin(t, recovery.Production, fmt.Sprintf(actions, "refuse"))
	if err := s.ask(plan.Approve, "db"); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	_ = s.ask(plan.Approve, "sure")
	s.wants("act db")
	s = begin(t, recovery.Production, fmt.Sprintf(actions, "approve"))
	_ = s.ask(plan.Refuse, "sure")
	s.ends(plan.Failed)
}

// A script is not run twice by itself: nobody knows whether it had its effect.
func TestAnInterruptedScriptFails(t *testing.T) {
	s := begin(t, recovery.Production, "- {name: a, script: {file: x}}")
	s.step(plan.Event{What: plan.Resumed})
	s.ends(plan.Failed)
	s = begin(t, recovery.Production, "- {name: a, script: {file: x}, retries: 1}\n- {name: b, failover: {job: db}}")
	s.step(plan.Event{What: plan.Resumed})
	s.pass()
	s.wants("act a")
	s.done("a")
	s.step(plan.Event{What: plan.Resumed}) // a failover is requested again
	s.wants("act b")
}

// A test that stops a job starts it again if it was running, and a job that a test
// starts is stopped again.
func TestATestLeavesJobsAsTheyWere(t *testing.T) {
	const actions = "- {name: stop, mode: test, stopJob: {job: db}}\n- {name: run, runJob: {job: web}}"
	for _, was := range []bool{true, false} {
		s := begin(t, recovery.Test, actions)
		for _, a := range []string{"stop", "run"} {
			s.wants("look " + a)
			s.step(plan.Event{What: plan.Looked, Task: s.task(a), Was: was})
			s.wants("act " + a)
			s.done(a)
		}
		left := map[bool]string{true: "stop", false: "run"}[was]
		s.wants("clean-up " + left)
		s.done(left)
		s.ends(plan.Succeeded)
	}
}

func TestBackgroundActionsAreNotWaitedForUntilTheEnd(t *testing.T) {
	s := begin(t, recovery.Production, "- {name: a, background: true, failover: {job: db}}\n- {name: b, failover: {job: web}}")
	s.wants("act a, act b")
	s.done("b")
	s.wants("act a")
	s.done("a")
	s.ends(plan.Succeeded)
}

func TestOnlyOneRunOfAPlanAtATime(t *testing.T) {
	s := begin(t, recovery.Production, shop)
	if err := plan.Admit(&s.Run, plan.Request{Plan: "shop", ID: "r1"}); !cdp.Is(err, cdp.Duplicate) {
		t.Error(err)
	}
	if err := plan.Admit(&s.Run, plan.Request{Plan: "shop", ID: "r2"}); !cdp.Is(err, cdp.Conflict) {
		t.Error(err)
	}
	_ = s.ask(plan.Cancel, "")
	if err := plan.Admit(&s.Run, plan.Request{Plan: "shop", ID: "r2"}); err != nil {
		t.Error(err)
	}
}
