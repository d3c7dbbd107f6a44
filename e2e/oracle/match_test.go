package oracle

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

var seedFlag = flag.Uint64("oracle.seed", 0, "seed of the random logs; 0 picks one and prints it")

// model replays ops the simple way: the state after each prefix, in whole.
func model(base []byte, ops []op) [][]byte {
	states := [][]byte{base}
	for _, o := range ops {
		next := bytes.Clone(states[len(states)-1])
		part := next[o.sector*512 : (o.sector+o.sectors)*512]
		if o.flags&Discard != 0 {
			clear(part)
		} else if o.flags&Mark == 0 {
			copy(part, bytes.Repeat([]byte{o.fill}, len(part)))
		}
		states = append(states, next)
	}
	return states
}

func randomOps(r *rand.Rand, n, sectors int) []op {
	var ops []op
	for range n {
		o := op{sector: r.IntN(sectors), fill: byte(r.IntN(3))} // few fills: states recur
		o.sectors = 1 + r.IntN(min(4, sectors-o.sector))
		switch r.IntN(8) {
		case 0:
			o = op{flags: Flush}
		case 1:
			o.flags = Discard
		case 2:
			o.flags = FUA
		}
		ops = append(ops, o)
	}
	return ops
}

func TestMatchAgainstModel(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with -oracle.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const sectors = 16
	for range 40 {
		base := make([]byte, sectors*512)
		base[r.IntN(len(base))] = 9
		ops := randomOps(r, 1+r.IntN(30), sectors)
		l, states, baseFile := open(t, encode(t, ops, -1)), model(base, ops), save(t, base)

		n := r.IntN(len(states))
		image := save(t, base)
		if err := l.ReplayPrefix(image, n); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(image); !bytes.Equal(got, states[n]) {
			t.Fatalf("replay of %d entries differs from the model", n)
		}
		expect(t, l, baseFile, image, states)

		// One changed byte is another state, unless the disk had that one too.
		broken := bytes.Clone(states[n])
		broken[r.IntN(len(broken))] ^= 0x55
		expect(t, l, baseFile, save(t, broken), states)
	}
}

// expect compares Compare and MatchPrefix with a search through all states.
func expect(t *testing.T, l *Log, base, image string, states [][]byte) {
	t.Helper()
	img, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	want := Match{Differing: 1 << 30, Sample: -1}
	for i, s := range states {
		count, first := 0, int64(-1)
		for at := 0; at < len(s); at += 512 {
			if !bytes.Equal(s[at:at+512], img[at:at+512]) {
				if count++; first < 0 {
					first = int64(at)
				}
			}
		}
		if count < want.Differing {
			want.Nearest, want.Differing, want.Sample = i, count, first
		}
		if count == 0 {
			if !want.Found {
				want.Shortest = i
			}
			want.Found, want.Longest = true, i
		}
	}
	got, err := l.Compare(base, image)
	if err != nil || got != want {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
	n, ok, err := l.MatchPrefix(base, image)
	if err != nil || ok != want.Found || n != want.Longest {
		t.Fatalf("got %d, %t, %v, want %+v", n, ok, err, want)
	}
}

// A lost write is no prefix, whatever came after it.
func TestDroppedWriteMatchesNothing(t *testing.T) {
	l := open(t, encode(t, []op{{sector: 0, sectors: 2, fill: 'a'}, {sector: 5, sectors: 2, fill: 'b'}, {sector: 9, sectors: 1, fill: 'c'}}, -1))
	base, image := save(t, make([]byte, 8192)), save(t, make([]byte, 8192))
	if err := l.Replay(image, 0, 3, func(i int, _ Entry) bool { return i == 1 }); err != nil {
		t.Fatal(err)
	}
	m, err := l.Compare(base, image)
	if err != nil || m.Found || m.Differing != 1 || m.Nearest != 1 || m.Sample != 9*512 {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestReplayRefusals(t *testing.T) {
	l := open(t, encode(t, []op{{sector: 30, sectors: 4, fill: 'a'}}, -1))
	small := save(t, make([]byte, 8192))
	if err := l.ReplayPrefix(small, 1); err == nil {
		t.Error("replayed beyond the end of the disk")
	}
	if err := l.ReplayPrefix(small, 2); err == nil {
		t.Error("replayed more entries than there are")
	}
	if _, _, err := l.MatchPrefix(small, save(t, make([]byte, 4096))); err == nil {
		t.Error("compared disks of different sizes")
	}
}
