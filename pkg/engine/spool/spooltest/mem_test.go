package spooltest

import "testing"

func TestMem(t *testing.T) {
	Contract(t, func(_ testing.TB, maxBytes int64) Rig { return NewMem(maxBytes) })
}
