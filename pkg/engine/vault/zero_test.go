package vault

import (
	"fmt"
	"testing"

	"tidemark.dev/pkg/cdp"
)

func TestAllZero(t *testing.T) {
	for _, n := range []int{0, 1, 7, 511, cdp.BlockSize, cdp.BlockSize + 1, 3*cdp.BlockSize + 5} {
		p := make([]byte, n)
		if !AllZero(p) {
			t.Errorf("%d zeros are not zeros", n)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if n == 0 {
				continue
			}
			p[at] = 1
			if AllZero(p) {
				t.Errorf("byte %d of %d was not seen", at, n)
			}
			p[at] = 0
		}
	}
}

func BenchmarkAllZero(b *testing.B) {
	for _, n := range []int{cdp.BlockSize, 1 << 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				AllZero(p)
			}
		})
	}
}
