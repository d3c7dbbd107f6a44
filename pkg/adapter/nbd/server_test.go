package nbd

import (
	"bytes"
	"io"
	"math/rand"
	"testing"

	"tidemark.dev/pkg/core/block"
)

// TestNormalize checks extents against a model of one state per byte.
func TestNormalize(t *testing.T) {
	rnd := rand.New(rand.NewSource(3))
	for i := range 3000 {
		unit := int64(8)
		n := unit * (1 + rnd.Int63n(12))
		var in []block.Extent
		truth := make([]byte, 0, n)
		for range rnd.Intn(8) {
			e := block.Extent{Length: 1 + rnd.Int63n(24), Hole: rnd.Intn(2) == 0, Zero: rnd.Intn(2) == 0}
			in = append(in, e)
			truth = append(truth, bytes.Repeat([]byte{state(e)}, int(e.Length))...)
		}
		limit := 1 + rnd.Intn(4)
		out := normalize(in, 0, n, unit, limit)
		if len(out) == 0 || len(out) > limit {
			t.Fatalf("case %d: %d extents, limit %d", i, len(out), limit)
		}
		var at int64
		for k, e := range out {
			if e.Length <= 0 || e.Length%unit != 0 || k > 0 && state(out[k-1]) == state(e) {
				t.Fatalf("case %d: %v gives %v", i, in, out)
			}
			for ; e.Length > 0; e.Length-- {
				// To call something data is always right, the rest must be true.
				if s := state(e); s != 0 && (int(at) >= len(truth) || truth[at] != s) {
					t.Fatalf("case %d: %v gives %v, wrong at %d", i, in, out, at)
				}
				at++
			}
		}
		if at > n {
			t.Fatalf("case %d: %v gives %v, beyond %d", i, in, out, n)
		}
	}
}

func state(e block.Extent) (s byte) {
	if e.Hole {
		s |= stateHole
	}
	if e.Zero {
		s |= stateZero
	}
	return s
}

// TestReader cuts a stream of headers and payloads at random places.
func TestReader(t *testing.T) {
	rnd := rand.New(rand.NewSource(4))
	stream := make([]byte, 4<<20)
	rnd.Read(stream)
	in := reader{src: &choppy{b: stream, rnd: rnd}, buf: make([]byte, bufferLen), idle: func() error { return nil }}
	at := 0
	for at+300_000 < len(stream) {
		h, err := in.header(requestLen)
		must(t, err)
		if !bytes.Equal(h, stream[at:at+requestLen]) {
			t.Fatalf("header at %d is wrong", at)
		}
		at += requestLen
		p := make([]byte, []int{1, 512, 4096, 20_000, 100_000}[rnd.Intn(5)])
		switch rnd.Intn(3) {
		case 0:
			must(t, in.payload(p))
			if !bytes.Equal(p, stream[at:at+len(p)]) {
				t.Fatalf("payload of %d at %d is wrong", len(p), at)
			}
			at += len(p)
		case 1:
			must(t, in.drop(int64(len(p))))
			at += len(p)
		default:
			in.brief = false
		}
	}
}

// choppy returns less than it is asked for.
type choppy struct {
	b   []byte
	rnd *rand.Rand
}

func (c *choppy) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1+c.rnd.Intn(len(p))], c.b)
	c.b = c.b[n:]
	return n, nil
}

// TestNoAllocation checks that requests cost no memory. It counts the whole
// process, so the client is made of bytes.
func TestNoAllocation(t *testing.T) {
	d := newDisk(t, 8<<20)
	r := newRig(t, Config{}, Export{Backend: d})
	c := r.raw()
	c.enter("")
	large := make([]byte, 128<<10)
	out := [][]byte{
		join(req(cmdWrite, 0, 1, 0, 4096), make([]byte, 4096)),
		join(req(cmdWrite, cmdFlagFUA, 1, 0, 512), make([]byte, 512)),
		join(req(cmdWrite, 0, 1, 0, uint32(len(large))), large),
		req(cmdRead, 0, 1, 0, 4096), req(cmdRead, 0, 1, 0, 64<<10),
		req(cmdFlush, 0, 1, 0, 0), req(cmdTrim, 0, 1, 1<<20, 4096), req(cmdWriteZeroes, 0, 1, 1<<20, 4096),
		req(cmdRead, 0, 1, 1<<40, 512), // an error
	}
	replies := make([]byte, 9*16+4096+64<<10)
	session := func() {
		for _, q := range out {
			if _, err := c.Write(q); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := io.ReadFull(c, replies); err != nil {
			t.Fatal(err)
		}
	}
	session()
	if n := testing.AllocsPerRun(50, session); n > 1 {
		t.Errorf("%.1f allocations per %d requests", n, len(out))
	}
}
