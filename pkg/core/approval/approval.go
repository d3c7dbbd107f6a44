// Package approval decides whether two persons agreed to an act that destroys history:
// each of them signs what is to be done with a key of their own.
//
// What it never does: it keeps no line and knows no file. Who may approve is what a site's
// local configuration says, and never what is on the bus.
package approval

import (
	"crypto/ed25519"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Needed is how many persons have to agree.
const Needed = 2

// Longest is how long an approval may be good for.
const Longest = 24 * time.Hour

// What is a kind of act.
type What string

const (
	Delete         What = "delete"          // a job with its journal
	DeleteReplicas What = "delete-replicas" // the same, and its replica VMs
	Commit         What = "commit"          // a failover
	Shorten        What = "shorten"         // what a job's journal keeps
	RemovePoint    What = "remove-point"    // delete a recovery point, or unpin it
)

// Act is what is to be done. Of says what exactly, as it is now: the act that is done
// once, or the state that it is done to, so that an approval is of no use afterwards.
type Act struct {
	// Site is the site whose history it is.
	Site cdp.Site `json:"site"`
	// What is delete, delete-replicas, commit, shorten or remove-point.
	What What `json:"what"`
	// Job names the job.
	Job string `json:"job"`
	// Of says what exactly, in the words of the refusal, such as "revision 17".
	Of string `json:"of"`
}

func (a Act) String() string { return string(a.What) + " " + a.Job + " (" + a.Of + ")" }

// Line is one person's agreement.
type Line struct {
	Act
	// By is the approver's name in the configuration of the site.
	By string `json:"by"`
	// Until is when it ends, at most a day ahead.
	Until time.Time `json:"until"`
	// Signature of all that, by the approver's key: hexadecimal.
	Signature string `json:"signature"`
}

// text is what is signed. No part of it has a line break: see Valid.
func (l Line) text() []byte {
	return []byte(strings.Join([]string{"tidemark.dev approval 1", string(l.Site), string(l.What), l.Job, l.Of, l.By, l.Until.UTC().Format(time.RFC3339)}, "\n"))
}

// Sign makes the line of a person.
func Sign(a Act, by string, until time.Time, key ed25519.PrivateKey) Line {
	l := Line{Act: a, By: by, Until: until.UTC().Truncate(time.Second)}
	l.Signature = hex.EncodeToString(ed25519.Sign(key, l.text()))
	return l
}

// Approvers are the persons of a site by name, with their public keys. Without any, nothing
// needs an approval.
type Approvers map[string]frame.PublicKey

// Check refuses approvers of whom no two could agree.
func (p Approvers) Check(field string) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) < Needed {
		return cdp.Errorf(cdp.Invalid, "check", field, "two persons have to agree, and one alone is named")
	}
	has := map[frame.PublicKey]string{}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if err := cdp.CheckName(field, name); err != nil {
			return err
		}
		if other, twice := has[p[name]]; twice {
			return cdp.Errorf(cdp.Invalid, "check", field, "%s and %s have the same key, so that one person could be both", other, name)
		}
		has[p[name]] = name
	}
	return nil
}

// Valid refuses a line that is not good at that time: Invalid, or Conflict once it has ended.
func (p Approvers) Valid(l Line, now time.Time) error {
	const op = "check approval"
	key, known := p[l.By]
	switch {
	case len(p) == 0:
		return cdp.Errorf(cdp.Invalid, op, l.Job, "the site %s has no approvers: nothing there needs an approval", l.Site)
	case !known:
		return cdp.Errorf(cdp.Invalid, op, l.By, "the site %s has no approver of that name", l.Site).
			WithHint("its approvers are " + p.names() + ": the configuration of its machine names them")
	case strings.ContainsAny(l.Job+l.Of+l.By+string(l.Site)+string(l.What), "\n\r"):
		return cdp.Errorf(cdp.Invalid, op, l.By, "it has a line break")
	case !l.Until.Equal(l.Until.Truncate(time.Second)):
		return cdp.Errorf(cdp.Invalid, op, l.By, "until has a fraction of a second, which is not signed")
	}
	sig, err := hex.DecodeString(l.Signature)
	switch {
	case err != nil || !ed25519.Verify(key[:], l.text(), sig):
		return cdp.Errorf(cdp.Invalid, op, l.By, "it is not signed with the key of %s, or was changed", l.By)
	case !now.Before(l.Until):
		return cdp.Errorf(cdp.Conflict, op, l.By, "it ended at %s", l.Until.Format(time.RFC3339))
	case l.Until.Sub(now) > Longest:
		return cdp.Errorf(cdp.Invalid, op, l.By, "it is good until %s; the limit is a day ahead", l.Until.Format(time.RFC3339))
	}
	return nil
}

// Agreed is nil if enough persons agreed to the act, or none has to.
func (p Approvers) Agreed(a Act, lines []Line, now time.Time) error {
	if len(p) == 0 {
		return nil
	}
	by := p.Who(a, lines, now)
	if len(by) >= Needed {
		return nil
	}
	has := "nobody has"
	if len(by) > 0 {
		has = strings.Join(by, ", ") + " has"
	}
	return cdp.Errorf(cdp.Conflict, "approve", a.Job, "two of %s have to agree at site %s: %s", p.names(), a.Site, has).
		WithHint("each of two: tidemark approve " + string(a.What) + " " + a.Job + " '" + a.Of + "' --site " + string(a.Site) + " --as NAME --key FILE; then ask again")
}

// Who agrees to the act, in order.
func (p Approvers) Who(a Act, lines []Line, now time.Time) []string {
	var by []string
	for _, l := range lines {
		if l.Act == a && p.Valid(l, now) == nil && !slices.Contains(by, l.By) {
			by = append(by, l.By)
		}
	}
	slices.Sort(by)
	return by
}

// Add gives the lines with a new one, in the place of what that person said before, and
// without those that have ended.
func Add(lines []Line, l Line, now time.Time) []Line {
	out := slices.DeleteFunc(slices.Clone(lines), func(x Line) bool { return x.By == l.By && x.Act == l.Act || !now.Before(x.Until) })
	return append(out, l)
}

func (p Approvers) names() string { return strings.Join(slices.Sorted(maps.Keys(p)), ", ") }
