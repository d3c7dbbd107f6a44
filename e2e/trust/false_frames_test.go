package trust

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/core/frame"
)

// falseFrames has the target store a write that no guest made, over the whole of its
// history's newest state: it continues the chain, and is a point that is signed with the
// source's stolen key.
func (c *company) falseFrames() {
	c.t.Helper()
	raw, err := os.ReadFile(filepath.Join(c.dir, "prod", "capture", "signing.key"))
	if err != nil {
		c.t.Fatal(err)
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil {
		c.t.Fatal(err)
	}
	sign := frame.NewSigner(ed25519.NewKeyFromSeed(seed), "shop")
	_, own := c.as("prod", subjects.Setup)
	stream, err := own.Stream(c.t.Context(), subjects.FrameStream("shop"))
	if err != nil {
		c.t.Fatal(err)
	}
	_, js := c.as("prod", subjects.Capture)
	subject := subjects.WriteSubject("prod", "shop")
	evil := []byte(strings.Repeat("EVIL", frame.MaxWrite/4))
	var no uint64
	bustest.Eventually(c.t, "a false frame to be sent", func() bool { // the real source sends, too
		m, err := stream.GetLastMsgForSubject(c.t.Context(), subject)
		if err != nil {
			return false
		}
		last, err := frame.Parse(m.Data)
		if err != nil {
			c.t.Fatal(err)
		}
		b := frame.NewBuilder(make([]byte, frame.SlotSize))
		b.Append(frame.Record{Length: uint32(len(evil)), Kind: frame.Write}, evil)
		f := b.SealSigned(frame.Header{Flags: frame.Consistent | frame.Marker, Epoch: last.Epoch, No: last.No + 1, First: last.Last() + 1, Opened: last.Sealed, Sealed: last.Sealed + 1, Prev: last.Hash}, sign)
		no = uint64(f.No)
		_, err = js.Publish(c.t.Context(), subject, f.Bytes(), jetstream.WithExpectLastSequence(uint64(last.No)), jetstream.WithMsgID(hex.EncodeToString(f.Hash[:])))
		return err == nil
	})
	bustest.Eventually(c.t, "the target to have stored it", func() bool {
		points, err := c.dr.Points(c.t.Context(), "shop")
		for _, p := range points {
			if uint64(p.Frame) == no {
				return true
			}
		}
		if err != nil {
			c.t.Log(err)
		}
		return false
	})
}
