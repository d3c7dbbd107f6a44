package health

import "testing"

func TestBytesInWords(t *testing.T) {
	for n, want := range map[int64]string{-1: "0 B", 0: "0 B", 512: "512 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 20: "5.0 MiB",
		30 << 20: "30 MiB", 10<<20 - 1: "10 MiB", 1 << 40: "1.0 TiB", 1<<63 - 1: "8.0 EiB"} {
		if got := BytesText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
