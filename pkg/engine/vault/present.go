package vault

import "tidemark.dev/pkg/cdp"

// presence is which blocks of a region have floors.
type presence struct {
	own  blockSet // floors of their own
	zero bool     // the region has a zero floor
}

// maxPresent is how many regions' presence is remembered: a few MiB.
const maxPresent = 1 << 15

// floorsOf is which blocks of a region have floors. It remembers, for moves up
// ask again and again. Only moves use it: they hold Group.move.
func (g *Group) floorsOf(r Reader, disk cdp.DiskID, x cdp.Region) (*presence, error) {
	k := regionKey{disk, x}
	if p := g.present[k]; p != nil {
		return p, nil
	}
	var has [cdp.BlocksPerRegion]bool
	if err := r.Floors(disk, cdp.Block(x)*cdp.BlocksPerRegion, has[:]); err != nil {
		return nil, err
	}
	p := &presence{}
	for i, h := range has {
		if h {
			p.own.add(cdp.Block(i))
		}
	}
	var err error
	if p.zero, err = r.ZeroFloor(disk, x); err != nil {
		return nil, err
	}
	if len(g.present) >= maxPresent || g.present == nil {
		g.present = map[regionKey]*presence{}
	}
	g.present[k] = p
	return p, nil
}

// forgetPresence is called when floors of the touched regions were dropped, or
// may have been.
func (g *Group) forgetPresence(t touched) {
	for k := range t {
		delete(g.present, k)
	}
}
