package dirty

import (
	"sync"
	"testing"
)

// Pages are made to be written again while bits are set: all bits are kept.
func TestTouchingChangesNothing(t *testing.T) {
	m := &Map{mem: make([]byte, 4*page)}
	l := layerAt(m.mem)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 100 {
			m.touch()
		}
	})
	for i := range int64(len(l) * 64) {
		l.set(i, i+1)
	}
	wg.Wait()
	for i, w := range l {
		if w != ^uint64(0) {
			t.Fatalf("word %d is %x", i, w)
		}
	}
}
