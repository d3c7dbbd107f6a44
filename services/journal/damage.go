package journal

import (
	"context"
	"errors"
	"time"

	"tidemark.dev/pkg/clock"
)

// said is what was last reported, so that what stays wrong is reported once a
// minute, and not at every beat.
type said struct {
	text string
	at   time.Duration // as of Clock.Elapsed
}

// news reports whether err is to be reported now.
func (s *said) news(err error, c clock.Clock) bool {
	now := c.Elapsed()
	if err.Error() == s.text && now-s.at < time.Minute {
		return false
	}
	s.text, s.at = err.Error(), now
	return true
}

// damage is what was found damaged of the group: in its store, its replica and the
// small files beside them.
func (k *housekeeper) damage() error {
	return errors.Join(k.deps.Stores.Damage(k.job.id), k.vault.Damage(), k.files())
}

// reportLosses raises an alarm for each loss that is known of as the journal opens.
func (k *housekeeper) reportLosses(ctx context.Context) {
	lost, err := k.deps.Stores.Losses(k.job.id)
	if err != nil {
		k.deps.Facts.Alarm(ctx, k.job.id, AlarmDamage, err.Error())
	}
	for _, l := range lost {
		k.deps.Facts.Alarm(ctx, k.job.id, AlarmLost, l.String())
	}
}

// reportDamage raises an alarm when damage was found. If what was found in the store is
// news, the index may be what is damaged: it can be made anew.
func (k *housekeeper) reportDamage(ctx context.Context) {
	if err := k.damage(); err != nil && k.damaged.news(err, k.deps.Clock) {
		k.deps.Facts.Alarm(ctx, k.job.id, AlarmDamage, err.Error())
	}
	if err := k.deps.Stores.Damage(k.job.id); err != nil && err.Error() != k.indexTried {
		k.indexTried = err.Error()
		k.reindex()
	}
}

// reindex has a damaged index made anew, and reports whether it was damaged. A failover
// does not wait for that: its points are read with the index.
func (k *housekeeper) reindex() bool {
	if k.vault.State().Sealed { // nothing is read any more
		return false
	}
	damaged, err := k.vault.Reindex()
	if err != nil || !damaged {
		return false
	}
	k.restart()
	return true
}

// endBeforeDamage ends history where a frame that base has to pass cannot be read, if
// that is what keeps base: the source sends again what the disks hold, in a new extent.
func (k *housekeeper) endBeforeDamage() bool {
	no, err := k.vault.EndBeforeDamage()
	if err != nil {
		return false // the move's own error says what is wrong
	}
	if no == 0 {
		return k.reindex()
	}
	k.restart()
	return true
}
