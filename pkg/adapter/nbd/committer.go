package nbd

import "sync/atomic"

// committer replies to the flushes and FUA writes of one connection, so that
// neither its reader nor other connections wait for them.
type committer struct {
	queue   chan uint64   // cookies, in order of arrival
	done    chan struct{} // closed when run returned
	waiting atomic.Int32  // cookies without a reply yet
}

// maxWaiting bounds the flushes that a connection can have in progress; beyond it
// the reader waits.
const maxWaiting = 1024

// run replies until the queue is closed. With last set, answer must send at once.
func (m *committer) run(g *groupCommit, answer func(cookie uint64, err error, last bool) error) {
	defer close(m.done)
	batch := make([]uint64, 0, maxWaiting)
	for first := range m.queue {
		// A flush that starts now covers everything in the queue.
		batch = append(batch[:0], first)
		for more := true; more && len(batch) < maxWaiting; {
			select {
			case c, ok := <-m.queue:
				if more = ok; ok {
					batch = append(batch, c)
				}
			default:
				more = false
			}
		}
		err := g.sync()
		for i, c := range batch {
			answer(c, err, i == len(batch)-1)
		}
		m.waiting.Add(-int32(len(batch)))
	}
}
