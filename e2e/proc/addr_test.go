package proc_test

import (
	"testing"

	"tidemark.dev/e2e/proc"
)

// An address is given once, although nobody listens there yet, or at the moment.
func TestAnAddressIsGivenOnce(t *testing.T) {
	given := map[string]bool{}
	for range 200 {
		addr, err := proc.FreeAddr()
		if err != nil || given[addr] {
			t.Fatal(addr, err)
		}
		given[addr] = true
	}
}
