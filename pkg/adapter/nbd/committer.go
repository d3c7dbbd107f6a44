package nbd

import "sync/atomic"

// committer answers the flushes and FUA writes of one connection, so that
// neither its reader nor the other connections wait for them.
type committer struct {
	queue   chan uint64   // cookies, in order of arrival
	done    chan struct{} // closed when run returned
	waiting atomic.Int32  // cookies not answered yet
}

// maxWaiting bounds the flushes a connection can have under way; its reader
// waits when they are more.
const maxWaiting = 1024

// run answers until the queue is closed. answer must send at once what it is
// given with last set.
func (m *committer) run(g *group, answer func(cookie uint64, err error, last bool) error) {
	defer close(m.done)
	batch := make([]uint64, 0, maxWaiting)
	for first := range m.queue {
		// Everything that is in the queue now is covered by a flush from now on.
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
