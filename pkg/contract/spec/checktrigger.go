package spec

import (
	"crypto/ed25519"
	"encoding/base64"
	"time"

	"tidemark.dev/pkg/contract/recovery"
)

// triggers checks the triggers of a plan and fills in their defaults.
func (c *checker) triggers(p *Plan) {
	names := map[string]int{}
	for i := range p.Triggers {
		t, at := &p.Triggers[i], "/spec/triggers/"+itoa(i)
		if first, twice := names[t.Name]; twice && t.Name != "" {
			c.bad(at+"/name", "unique", "%q is already the name of trigger %d", t.Name, first)
		}
		names[t.Name] = i
		c.trigger(at, t)
		c.triggerStart(at, t, p.AutomaticProductionFailover)
	}
}

// trigger checks what happens, and for how long.
func (c *checker) trigger(at string, t *Trigger) {
	switch events := t.events(); {
	case len(events) == 0:
		c.bad(at, "either", "says nothing that could happen: use one of unreachable, down, rpo, signal, schedule")
	case len(events) > 1:
		c.bad(at, "either", "says %s: a trigger has one cause", and(events))
	}
	if t.Schedule != nil {
		c.trig(at+"/for", t.For != 0, "a schedule is due at once")
		c.trig(at+"/coolDown", t.CoolDown != 0, "a schedule is due as often as it says")
		if _, err := time.Parse("15:04", t.Schedule.At); t.Schedule.At != "" {
			c.trig(at+"/schedule/at", err != nil, "%q: write a time of day, UTC, like 03:30", t.Schedule.At)
		}
	} else {
		c.trig(at+"/for", t.For.Std() > MaxTriggerFor, "%s: must be at most %s", t.For, Duration(MaxTriggerFor))
		c.trig(at+"/coolDown", t.CoolDown.Std() > MaxCoolDown, "%s: must be at most %s", t.CoolDown, Duration(MaxCoolDown))
		if t.CoolDown == 0 {
			t.CoolDown = Duration(DefaultCoolDown)
		}
	}
	if t.For == 0 && (t.Unreachable != nil || t.Down != nil) {
		t.For = Duration(DefaultTriggerFor)
	}
	if t.Down != nil && (t.Down.VM == "") == (t.Down.Host == "") {
		c.bad(at+"/down", "either", "name either a vm or a host")
	}
	if t.Unreachable == nil {
		return
	}
	c.witnesses(at+"/unreachable", t.Unreachable)
}

// witnesses checks that no witness counts twice, and that enough of them can agree.
func (c *checker) witnesses(at string, g *SiteGone) {
	names, keys := map[string]int{}, map[string]int{}
	for i, w := range g.Witnesses {
		at := at + "/witnesses/" + itoa(i)
		key, err := base64.StdEncoding.DecodeString(w.Key)
		c.trig(at+"/key", w.Key != "" && (err != nil || len(key) != ed25519.PublicKeySize), "%q is not a witness's public key: print it there with tidemark witness --print-key", w.Key)
		if first, twice := names[w.Name]; twice && w.Name != "" {
			c.bad(at+"/name", "unique", "%q is already the name of witness %d", w.Name, first)
		}
		if first, twice := keys[w.Key]; twice && w.Key != "" {
			c.bad(at+"/key", "unique", "witness %d has this key, and one witness counts once", first)
		}
		names[w.Name], keys[w.Key] = i, i
	}
	if g.Need == 0 {
		g.Need = len(g.Witnesses)/2 + 1
	}
	c.trig(at+"/need", g.Need > len(g.Witnesses) && len(g.Witnesses) > 0, "%d witnesses must agree, and %d are listed", g.Need, len(g.Witnesses))
}

// triggerStart checks who decides. Nothing starts in production by itself, and no
// schedule does at all, unless the plan says so in so many words.
func (c *checker) triggerStart(at string, t *Trigger, allowed bool) {
	if t.Mode == "" {
		t.Mode = recovery.Production
		if t.Schedule != nil {
			t.Mode = recovery.Test
		}
	}
	if t.Start == "" {
		t.Start = AskFirst
		if t.Schedule != nil && t.Mode == recovery.Test {
			t.Start = Automatic
		}
	}
	production := t.Mode == recovery.Production
	const how = "must be allowed in so many words: set automaticProductionFailover: true in the plan's spec"
	c.trig(at+"/start", production && t.Start == Automatic && !allowed, "a production run without a person %s", how)
	c.trig(at+"/mode", production && t.Start != Automatic && t.Schedule != nil && !allowed, "a production run on a schedule %s", how)
	c.trig(at+"/approvals", t.Start == Automatic && t.Approvals != 0, "nobody is asked: use start: ask")
	if t.Start == AskFirst && t.Approvals == 0 {
		t.Approvals = 1
	}
}

// trig refuses a field if is.
func (c *checker) trig(at string, is bool, format string, args ...any) {
	if is {
		c.bad(at, "trigger", format, args...)
	}
}
