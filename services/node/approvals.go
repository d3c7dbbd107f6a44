package node

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/services/failover"
	"tidemark.dev/services/journal"
	"tidemark.dev/services/scheduler"
)

// Approver is a person, with the public key that the person signs with.
type Approver struct {
	Name string `json:"name"`
	Key  string `json:"key"` // 64 hexadecimal digits
}

// ParseApprovers reads flags of the form NAME=KEY.
func ParseApprovers(flags []string) (out []Approver, err error) {
	for _, f := range flags {
		name, key, both := strings.Cut(f, "=")
		if !both {
			return nil, cdp.Errorf(cdp.Invalid, "read --approver", f, "want NAME=KEY").WithHint("the key is what tidemark approve --print-key prints")
		}
		out = append(out, Approver{name, key})
	}
	_, err = approversOf(out, "--approver")
	return out, err
}

// LoadApproverKey is a person's key in a file, which is made the first time.
func LoadApproverKey(path string) (ed25519.PrivateKey, error) {
	return loadKey("load approver's key", path, "use another file, or delete this one to have a new key made; the site then has to be given its public half")
}

// PublicHalf is what a configuration knows a key by.
func PublicHalf(key ed25519.PrivateKey) string {
	return frame.PublicKey(key.Public().(ed25519.PublicKey)).String()
}

// approversOf are the approvers with their keys; Invalid unless two of them could agree.
func approversOf(list []Approver, field string) (approval.Approvers, error) {
	out := approval.Approvers{}
	for _, x := range list {
		key, err := frame.ParsePublicKey(x.Key)
		if err != nil {
			return nil, cdp.Errorf(cdp.Invalid, "check", field, "%s: %q is not a public key", x.Name, x.Key).
				WithHint("the key is what tidemark approve --print-key prints: 64 hexadecimal digits")
		}
		if _, twice := out[x.Name]; twice {
			return nil, cdp.Errorf(cdp.Invalid, "check", field, "there are two of the name %s", x.Name)
		}
		out[x.Name] = key
	}
	return out, out.Check(field)
}

// approvals are what persons agreed to at a site. Who counts is what this machine's
// configuration says; the bus only carries the signed lines.
type approvals struct {
	e *env
	b *bus.Bucket[[]approval.Line]
}

var (
	_ scheduler.Approvals = approvals{}
	_ failover.Approvals  = approvals{}
	_ journal.Approvals   = approvals{}
)

func openApprovals(ctx context.Context, e *env, conn *bus.Conn) (a approvals, err error) {
	a.e = e
	a.b, err = bus.OpenBucket[[]approval.Line](ctx, conn, e.site, subjects.BucketState, subjects.KeyApproval)
	return a, err
}

func (a approvals) Agreed(ctx context.Context, act approval.Act) error {
	act.Site = a.e.site
	if len(a.e.approvers) == 0 {
		return nil
	}
	lines, _, err := a.lines(ctx, act)
	if err != nil {
		return err
	}
	return a.e.approvers.Agreed(act, lines, a.e.clock.Now())
}

func (a approvals) Keep(ctx context.Context, l approval.Line) ([]string, error) {
	now := a.e.clock.Now()
	if err := a.e.approvers.Valid(l, now); err != nil {
		return nil, err
	}
	lines, rev, err := a.lines(ctx, l.Act)
	if err != nil {
		return nil, err
	}
	lines = approval.Add(lines, l, now)
	if _, err := put(ctx, a.b, actKey(l.Act), lines, rev); err != nil {
		return nil, err
	}
	return a.e.approvers.Who(l.Act, lines, now), a.sweep(ctx)
}

// lines are those about an act. An entry that cannot be read is as none.
func (a approvals) lines(ctx context.Context, act approval.Act) ([]approval.Line, uint64, error) {
	x, err := a.b.Get(ctx, actKey(act))
	if cdp.Is(err, cdp.NotFound) || cdp.Is(err, cdp.Corrupt) {
		err = nil
	}
	return x.Value, x.Revision, err
}

// sweep removes what has ended.
func (a approvals) sweep(ctx context.Context) error {
	all, err := a.b.All(ctx)
	if err != nil {
		return err
	}
	now := a.e.clock.Now()
	for _, x := range all {
		good := false
		for _, l := range x.Value {
			good = good || a.e.approvers.Valid(l, now) == nil
		}
		if !good {
			if err := a.b.Delete(ctx, x.Key, x.Revision); err != nil && !cdp.Is(err, cdp.Conflict) {
				return err
			}
		}
	}
	return nil
}

// actKey is a key for any text.
func actKey(a approval.Act) string {
	sum := sha256.Sum256([]byte(a.String()))
	return hex.EncodeToString(sum[:16])
}
