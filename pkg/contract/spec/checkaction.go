package spec

import (
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"tidemark.dev/pkg/contract/predicate"
	"tidemark.dev/pkg/contract/recovery"
)

// action checks an action and fills in its defaults.
func (c *checker) action(at string, a *Action) {
	switch verbs := a.verbs(); {
	case len(verbs) == 0:
		c.bad(at, "either", "says nothing to do: use one of runJob, stopJob, failover, undo, commit, cleanup, reprotect, failback, runPlan, wait, check, script, guest, power, webhook, email, ask")
	case len(verbs) > 1:
		c.bad(at, "either", "says %s: an action does one thing", and(verbs))
	}
	c.actionMode(at, a)
	switch {
	case a.Retries > 0 && a.RetryEvery == 0:
		a.RetryEvery = Duration(DefaultRetryEvery)
	case a.Retries == 0 && a.RetryEvery != 0:
		c.bad(at+"/retryEvery", "range", "needs retries")
	}
	c.when(at+"/retries", a.Retries > 0 && (a.Wait != 0 || a.Ask != nil), "a wait and a question are not retried")
	switch {
	case a.Wait != 0:
		c.when(at+"/timeout", a.Timeout != 0, "a wait ends by itself")
		c.when(at+"/wait", a.Wait.Std() > MaxActionTimeout, "%s: must be at most %s", a.Wait, Duration(MaxActionTimeout))
	case a.Timeout == 0:
		a.Timeout = Duration(a.defaultTimeout())
	case a.Timeout.Std() > MaxActionTimeout:
		c.bad(at+"/timeout", "range", "%s: must be at most %s", a.Timeout, Duration(MaxActionTimeout))
	}
	if a.Failover != nil {
		c.failoverAction(at+"/failover", a)
	}
	if r := a.Return(); r != nil {
		names, paths := map[string]int{}, map[string]int{}
		for i, d := range r.Disks {
			disk := at + "/" + a.Verb() + "/disks/" + itoa(i)
			c.unique(disk+"/name", d.Name, names, i)
			c.path(disk+"/path", d.Path, paths, i)
		}
	}
	if a.Check != nil {
		c.condition(at+"/check", a.Check)
	}
	if a.Script != nil && a.Script.File != "" {
		c.when(at+"/script/file", !scriptName(a.Script.File), "%q: give the name of a file in the site's script directory, without a path", a.Script.File)
	}
	if g := a.Guest; g != nil {
		c.when(at+"/guest", (g.Job == "") == (g.VM == ""), "name either the job of the VM that its failover started, or a vm")
		c.when(at+"/guest/file", g.File != "" && !scriptName(g.File), "%q: give the name of a file in the site's script directory, without a path", g.File)
	}
	if a.Webhook != nil {
		c.url(at+"/webhook/url", a.Webhook.URL)
	}
	if a.Email != nil {
		c.email(at+"/email", a.Email)
	}
	if a.Ask != nil && a.Ask.Default == "" {
		a.Ask.Default = Refuse
	}
}

// actionMode checks in which runs an action takes part. What ends a production
// failover, and what stops a job or changes a VM's power, is not for a test unless
// somebody says so.
func (c *checker) actionMode(at string, a *Action) {
	production := a.Undo != nil || a.Commit != nil || a.Return() != nil
	switch {
	case a.Mode == "" && (production || a.StopJob != nil || a.Power != nil || a.Guest != nil && a.Guest.Job == ""):
		a.Mode = InProduction
	case a.Mode == "" && a.Cleanup != nil:
		a.Mode = InTest
	case a.Mode == "":
		a.Mode = InBoth
	case a.Return() != nil && a.Mode != InProduction:
		c.bad(at+"/mode", "mode", "%s moves a machine for good: it is for the mode production only", a.Verb())
	case production && a.Mode != InProduction:
		c.bad(at+"/mode", "mode", "%s ends a production failover: it is for the mode production only", a.Verb())
	case a.Cleanup != nil && a.Mode != InTest:
		c.bad(at+"/mode", "mode", "cleanup ends a test failover: it is for the mode test only")
	}
}

func (a Action) defaultTimeout() time.Duration {
	switch {
	case a.Failover != nil, a.Undo != nil, a.Commit != nil, a.Cleanup != nil:
		return DefaultRecoveryTimeout
	case a.Return() != nil, a.RunPlan != nil:
		return DefaultReturnTimeout
	case a.Ask != nil:
		return DefaultAskTimeout
	case a.Script != nil, a.Guest != nil:
		return DefaultScriptTimeout
	case a.Power != nil:
		return DefaultPowerTimeout
	}
	return DefaultActionTimeout
}

func (c *checker) failoverAction(at string, a *Action) {
	f := a.Failover
	c.when(at+"/before", f.Before != nil && f.Point != "", "use either point or before")
	c.when(at+"/planned", f.Planned && (f.Point != "" || f.Before != nil), "goes to the source's last write, so point and before are not allowed")
	c.when(at+"/planned", f.Planned && a.Mode == InTest, "has no effect in a test: the mode must be production or both")
	c.when(at+"/shutdown", f.Shutdown != "" && !f.Planned, "needs planned: an unplanned failover does not wait for a guest to shut down")
	c.when(at+"/shutdown", f.Shutdown != "" && (f.Listen != "" || f.To != "" && f.To != recovery.ToVM), "needs vm: no other failover powers off a VM")
	c.when(at+"/to", f.To == recovery.ToFiles && a.Mode != InProduction, "a test cannot use files, because they are the replica itself: use nbd or vm, or the mode production")
	c.when(at+"/listen", f.Listen != "" && f.To == recovery.ToVM, "not allowed with vm: nothing is served over NBD")
	if f.Listen != "" {
		if err := CheckListen(f.Listen); err != nil {
			c.bad(at+"/listen", "address", "%s", err)
		}
	}
}

func (c *checker) condition(at string, x *Condition) {
	var said []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"rpo", x.RPO != nil}, {"point", x.Point != nil}, {"port", x.Port != ""}, {"http", x.HTTP != nil},
		{"reachable", x.Reachable != ""}, {"unreachable", x.Unreachable != ""},
		{"status", x.Status != nil}, {"vm", x.VM != ""},
	} {
		if f.set {
			said = append(said, f.name)
		}
	}
	switch {
	case len(said) == 0:
		c.bad(at, "either", "checks nothing: use one of rpo, point, port, http, reachable, unreachable, status, vm")
	case len(said) > 1:
		c.bad(at, "either", "checks %s: an action checks one thing", and(said))
	}
	if x.Port != "" {
		host, port, err := net.SplitHostPort(x.Port)
		n, perr := strconv.Atoi(port)
		c.when(at+"/port", err != nil || perr != nil || host == "" || n < 1 || n > 65535, "%q: write host:port", x.Port)
	}
	if x.Status != nil && x.Status.Holds != "" {
		_, err := predicate.Parse(x.Status.Holds)
		c.when(at+"/status/holds", err != nil, "%q cannot be read: %v", x.Status.Holds, err)
	}
	if x.HTTP != nil {
		c.url(at+"/http/url", x.HTTP.URL)
		if x.HTTP.Status == 0 {
			x.HTTP.Status = 200
		}
	}
}

// url checks the URL of a web server. A missing one was refused by the schema.
func (c *checker) url(at, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	c.when(at, err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(text, " \n"), "%q: write a URL like https://host/path", text)
}

// email checks what a mail server would refuse, or take for something else.
func (c *checker) email(at string, e *Email) {
	for i, to := range e.To {
		x, err := mail.ParseAddress(to)
		c.when(at+"/to/"+itoa(i), err != nil || x.Address != to, "%q: write an address like ops@example.com", to)
	}
	c.when(at+"/subject", strings.ContainsFunc(e.Subject, unicode.IsControl), "must be one line, without control characters")
}

// when refuses a field if is.
func (c *checker) when(at string, is bool, format string, args ...any) {
	if is {
		c.bad(at, "action", format, args...)
	}
}
