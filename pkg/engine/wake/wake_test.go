package wake_test

import (
	"testing"

	"tidemark.dev/pkg/engine/wake"
)

func TestRingsAreHeardOnce(t *testing.T) {
	b := wake.New()
	b.Ring()
	b.Ring()
	<-b
	select {
	case <-b:
		t.Error("two rings were heard twice")
	default:
	}
	b.Ring()
	<-b
}
