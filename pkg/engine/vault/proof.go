package vault

import (
	"fmt"
	"hash/maphash"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/frame"
)

// Evidence is what a store holds, to be read and never changed.
type Evidence interface {
	Load() (Loaded, error)
	// Tables, Frames and Points are those of Store.
	Tables(from, to cdp.FrameNo, fn func(frame.Table) error) error
	Frames(from, to cdp.FrameNo, fn func(t frame.Table, payload []byte) error) error
	Points(fn func(cdp.Point) error) error
	// Entries calls fn for every entry of the index, in any order.
	Entries(fn func(IndexEntry) error) error
}

// Proof is what the stored frames, points and index of a journal prove. The frames from
// the oldest up to Proven are, to the last bit and without a gap, what the source sent,
// unless there are faults. It says nothing about the replica, and about the floors, which
// have what was written before the oldest frame: those have checksums.
type Proof struct {
	From   cdp.FrameNo `json:"from"` // the oldest frame; 0: none is stored
	To     cdp.FrameNo `json:"to"`   // the newest frame
	Points int         `json:"points"`
	// Proven is the newest frame with a signature of the source; 0: there is none.
	Proven cdp.FrameNo `json:"proven"`
	// Key is the key of that signature.
	Key string `json:"key,omitempty"`
	// Unsigned are the points without a signature of their own. The first Covered of them
	// are proven all the same, by that of a later point.
	Unsigned []string `json:"unsigned"`
	Covered  int      `json:"covered"`
	// Undigested is how many frames an older version sealed: their content has
	// checksums, which are no proof against tampering.
	Undigested int `json:"undigested,omitempty"`
	// Faults are what does not fit, in the order of frames, some at most.
	Faults []Fault `json:"faults"`
}

// Fault is a frame that does not fit.
type Fault struct {
	Frame cdp.FrameNo `json:"frame"`
	// Point is the first recovery point that needs the frame; empty: none does.
	Point string `json:"point,omitempty"`
	What  string `json:"what"`
}

// maxFaults bounds what is told of a journal in which nothing fits.
const maxFaults = 20

// Err is why the journal is not proven; nil if it is.
func (p Proof) Err() error {
	const op = "verify journal"
	switch {
	case len(p.Faults) > 0:
		f := p.Faults[0]
		what := fmt.Sprintf("frame %d", f.Frame)
		if f.Point != "" {
			what += ", and with it recovery point " + f.Point
		}
		return cdp.Errorf(cdp.Corrupt, op, "", "%s: %s", what, f.What).
			WithHint("keep the directory as it is; trust no point from there on before you know why")
	case p.From == 0:
		return cdp.Errorf(cdp.NotFound, op, "", "it has no history yet: there is nothing to prove")
	case p.Proven == 0:
		return cdp.Errorf(cdp.NotFound, op, "", "none of its recovery points is signed: it cannot be proven").
			WithHint("capture at the source signs every recovery point from this version on; see its log if it does not")
	case p.Covered < len(p.Unsigned):
		return cdp.Errorf(cdp.Corrupt, op, "", "recovery point %s is not signed, and no later one is: history is proven up to frame %d", p.Unsigned[p.Covered], p.Proven).
			WithHint("what follows may be from anybody who could write to the journal or send in the source's name")
	}
	return nil
}

// Prove reads the whole journal of a group. keys are those of its source. An error means
// that it could not be read; what does not fit is in the proof.
func Prove(e Evidence, g cdp.GroupID, keys []frame.PublicKey) (Proof, error) {
	const op = "verify journal"
	l, err := e.Load()
	if err != nil {
		return Proof{}, cdp.Wrap(err, op, string(g))
	}
	p := &prover{e: e, group: g, keys: keys, loaded: l, secret: maphash.MakeSeed(), points: map[cdp.FrameNo]cdp.Point{}}
	if err := p.readPoints(); err != nil {
		return Proof{}, cdp.Wrap(err, op, string(g))
	}
	if l.Newest != nil {
		p.From, p.To = l.Oldest, l.Newest.No
		for no := p.From; no <= p.To && len(p.Faults) < maxFaults; no++ {
			if err := p.frame(no); err != nil {
				return Proof{}, cdp.Wrap(err, op, string(g))
			}
		}
	}
	if err := p.index(); err != nil {
		return Proof{}, cdp.Wrap(err, op, string(g))
	}
	p.conclude()
	return p.Proof, nil
}
