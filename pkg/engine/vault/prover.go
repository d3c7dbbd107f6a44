package vault

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/admission"
	"tidemark.dev/pkg/core/frame"
)

// prover goes through a journal and gathers the proof.
type prover struct {
	e      Evidence
	group  cdp.GroupID
	keys   []frame.PublicKey
	loaded Loaded

	at     admission.State // the frame before, zero where the chain begins anew
	points map[cdp.FrameNo]cdp.Point
	order  []cdp.Point // ascending
	frames []indexed
	secret maphash.Seed

	unsigned []cdp.FrameNo // of points, ascending
	Proof
}

// fault notes what is wrong with a frame, once.
func (p *prover) fault(no cdp.FrameNo, format string, args ...any) {
	told := slices.ContainsFunc(p.Faults, func(f Fault) bool { return f.Frame == no })
	if !told && len(p.Faults) < maxFaults {
		p.Faults = append(p.Faults, Fault{Frame: no, What: fmt.Sprintf(format, args...)})
	}
}

func (p *prover) readPoints() error {
	err := p.e.Points(func(x cdp.Point) error {
		p.points[x.Frame] = x
		p.order = append(p.order, x)
		return nil
	})
	p.Points, p.Unsigned, p.Faults = len(p.order), []string{}, []Fault{}
	return err
}

// frame checks one frame: its place in the chain, its content, its point, its signature.
func (p *prover) frame(no cdp.FrameNo) error {
	found := false
	err := p.e.Tables(no, no, func(t frame.Table) error {
		found = true
		p.links(t)
		p.pointOf(t)
		p.signature(t)
		p.noteEntries(t)
		return nil
	})
	if err == nil && found && no != p.loaded.State.Cursor { // that went into the replica, and has no content here
		err = p.e.Frames(no, no, func(t frame.Table, payload []byte) error {
			p.content(t, payload)
			return nil
		})
	}
	switch {
	case cdp.Is(err, cdp.Corrupt):
		p.fault(no, "it cannot be read: %v", err)
		if !found {
			p.at = admission.State{}
		}
		return nil
	case err == nil && !found:
		p.fault(no, "it is missing")
		p.at = admission.State{}
	}
	return err
}

// links checks that a frame continues the one before.
func (p *prover) links(t frame.Table) {
	if p.at.No != 0 {
		if v, why := admission.Decide(p.at, t.Header); v != admission.Accept {
			p.fault(t.No, "it does not continue the history before it: %s", why)
		}
	}
	p.at = admission.State{}.After(t.Header)
}

// pointOf checks that a point is one that the source made.
func (p *prover) pointOf(t frame.Table) {
	x, listed := p.points[t.No]
	if !listed {
		return
	}
	made, ok := pointOf(t.Header)
	switch {
	case !ok:
		p.fault(t.No, "it is no recovery point, and is listed as one")
	case made.Seq != x.Seq:
		p.fault(t.No, "its recovery point is listed as write %d, and is write %d", x.Seq, made.Seq)
	}
}

func (p *prover) signature(t frame.Table) {
	sig, signed := t.Signature()
	switch {
	case !signed:
		if _, listed := p.points[t.No]; listed {
			p.unsigned = append(p.unsigned, t.No)
		}
	case !sig.Of(p.group, t.Hash):
		p.fault(t.No, "its signature does not fit it: it was changed after it was signed, or is of another job")
	case !slices.Contains(p.keys, sig.Key):
		p.fault(t.No, "it is signed with the key %s, which is none of its source's", sig.Key)
	default:
		p.Proven, p.Key = t.No, sig.Key.String()
	}
}

func (p *prover) content(t frame.Table, payload []byte) {
	same, known := t.Proves(payload)
	switch {
	case !known:
		p.Undigested++
	case !same:
		p.fault(t.No, "its content is not what the source sealed")
	}
}

// conclude orders the faults, and names the first point that each of them costs.
func (p *prover) conclude() {
	for _, x := range p.order {
		if x.Frame > p.To {
			p.fault(x.Frame, "it is missing, and is listed as a recovery point")
		}
	}
	slices.SortFunc(p.Faults, func(a, b Fault) int { return cmp.Compare(a.Frame, b.Frame) })
	for i := range p.Faults {
		f := &p.Faults[i]
		if k, _ := slices.BinarySearchFunc(p.order, f.Frame, func(x cdp.Point, no cdp.FrameNo) int { return cmp.Compare(x.Frame, no) }); k < len(p.order) {
			f.Point = p.order[k].ID()
		}
	}
	for _, no := range p.unsigned {
		if no <= p.Proven {
			p.Covered++
		}
		p.Unsigned = append(p.Unsigned, cdp.Point{Frame: no}.ID())
	}
}
