package spoolshare

import "tidemark.dev/pkg/contract/api"

const (
	// Default is a site's spool unless it is configured, in bytes.
	Default Budget = 60 << 30
	// Most is the largest share of a group, in bytes, however few groups there are.
	Most = 4 << 30
	// Least is the smallest useful share, in bytes: some twenty full frames.
	Least = 16 << 20
)

// Budget is a site's spool in bytes.
type Budget int64

// Share is what each of some groups may take, in bytes: Most halved until all
// shares fit the budget, so that it changes seldom as groups come and go. It is
// never below Least; more than Room groups do not fit.
func (b Budget) Share(groups int) int64 {
	share := int64(Most)
	for share > Least && share*int64(max(groups, 1)) > int64(b) {
		share /= 2
	}
	return share
}

// Room is how many groups the budget has room for.
func (b Budget) Room() int { return int(int64(b) / Least) }

// Divide is the use of the budget by some groups.
func (b Budget) Divide(groups int) api.SpoolUse {
	return api.SpoolUse{Budget: int64(b), Groups: groups, Share: b.Share(groups), Room: b.Room()}
}
