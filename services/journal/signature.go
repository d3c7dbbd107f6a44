package journal

import (
	"context"
	"fmt"
	"sync"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
)

// signatures judges the signatures of a group's recovery points as they arrive. They are
// evidence, and decide about nothing: a point without one is stored all the same, for
// its content continues the chain, and the status and an alarm say so.
type signatures struct {
	group   cdp.GroupID
	site    cdp.Site
	facts   Facts
	signers *signers
	// last is the key that was found good last, so that it is looked up once. It belongs
	// to the goroutine that admits frames.
	last *frame.PublicKey

	mu      sync.Mutex
	trouble *api.Trouble // of the newest point; nil: it is signed, or nobody signs
	kind    string
}

// note judges an admitted frame.
func (s *signatures) note(ctx context.Context, f frame.Frame) {
	if !f.Has(frame.Marker) {
		return
	}
	kind, trouble := s.judge(f)
	s.mu.Lock()
	news := kind != "" && kind != s.kind
	s.kind, s.trouble = kind, trouble
	s.mu.Unlock()
	if news {
		s.facts.Alarm(ctx, s.group, AlarmSignature, trouble.Text)
	}
}

// judge says what is wrong with the signature of a frame that ends in a point, with a
// word for each kind of trouble; empty: nothing is wrong.
func (s *signatures) judge(f frame.Frame) (kind string, _ *api.Trouble) {
	point := cdp.Point{Frame: f.No}.ID()
	sig, signed := f.Table().Signature()
	known, err := true, error(nil)
	switch {
	case !signed:
		if known, err = s.signers.known(s.site); !known && err == nil {
			return "", nil // an older version captures there
		}
	case !sig.Of(s.group, f.Hash):
		return "false", &api.Trouble{Text: "the signature of recovery point " + point + " does not fit it: it was changed after the source sealed it, or is of another job",
			Hint: "find out who reaches the source's NATS server; recovery points before it are proven by their own signatures"}
	case s.last != nil && *s.last == sig.Key:
		return "", nil
	default:
		known, err = s.signers.trusts(s.site, sig.Key)
	}
	switch {
	case err != nil:
		return "unknown", &api.Trouble{Text: fmt.Sprintf("the signature of recovery point %s cannot be judged: %v", point, err), Hint: cdp.HintOf(err)}
	case !signed:
		return "missing", &api.Trouble{Text: fmt.Sprintf("recovery point %s is not signed, and site %s signs its points", point, s.site),
			Hint: "see the log of capture at " + string(s.site) + "; if it is in order, somebody else sends in its name"}
	case !known:
		return "foreign", &api.Trouble{Text: fmt.Sprintf("recovery point %s is signed with the key %s, which is not one of site %s", point, sig.Key, s.site),
			Hint: fmt.Sprintf("compare it with capture/signing.pub in the directory of %s; if the key was replaced there, add it as a line to %s", s.site, s.signers.path(s.site))}
	}
	s.last = &sig.Key
	return "", nil
}

// status is what is wrong with the signature of the newest point; nil: nothing.
func (s *signatures) status() *api.Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}
