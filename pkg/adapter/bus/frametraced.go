package bus

import (
	"sort"

	"tidemark.dev/pkg/cdp"
)

// maxTraced bounds the frames that are kept for a journal that is away.
const maxTraced = 64

// tracedFrames are the published frames that are part of a trace, in order, until the
// journal has them.
type tracedFrames []tracedFrame

type tracedFrame struct {
	no    cdp.FrameNo
	trace string
}

// add notes a frame. Those of its number or a later one were never stored: they are
// published again.
func (t *tracedFrames) add(no cdp.FrameNo, trace string) {
	if trace == "" {
		return
	}
	of := (*t)[:t.upTo(no-1)]
	if len(of) == maxTraced {
		of = append(of[:0], of[1:]...)
	}
	*t = append(of, tracedFrame{no, trace})
}

// take removes the frames up to no and returns the newest of them.
func (t *tracedFrames) take(no cdp.FrameNo) (f tracedFrame) {
	n := t.upTo(no)
	if n == 0 {
		return f
	}
	f = (*t)[n-1]
	*t = append((*t)[:0], (*t)[n:]...)
	return f
}

// upTo is how many frames are not after no.
func (t *tracedFrames) upTo(no cdp.FrameNo) int {
	return sort.Search(len(*t), func(i int) bool { return (*t)[i].no > no })
}

// Traced is the newest frame up to no that is part of a trace, and the id of that trace;
// empty if there is none that was not returned before. It may be called from any goroutine.
func (s *FrameSink) Traced(no cdp.FrameNo) (cdp.FrameNo, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.traced.take(no)
	return f.no, f.trace
}
