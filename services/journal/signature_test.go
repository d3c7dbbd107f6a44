package journal

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/core/frame"
	"tidemark.dev/pkg/engine/spool/spooltest"
)

// The first key that a site signs with is the site's. A point that is not signed, signed
// with another key, or with a signature of something else, is stored and named, in the
// status and by an alarm, until a point is in order again.
func TestPointsThatAreNotSignedAsTheirSourceSignsAreNamed(t *testing.T) {
	key := func(n byte) ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	}
	s := &site{t: t, dir: t.TempDir(), mem: spooltest.NewMem(1 << 30)}
	s.start(cdp.Rollback)
	defer func() { s.shut() }()
	w := newTraffic(s, 93)
	send := func(sign frame.Signer) *api.Trouble {
		t.Helper()
		w.m.Sign = sign
		w.mustSend(1)
		return must[api.StatusReply](s, api.JournalStatus, api.GroupRequest{Group: "g"}).Groups[0].Signature
	}
	named := func(what string, got *api.Trouble, want string) {
		t.Helper()
		point := "p" + fmt.Sprint(len(w.m.Frames))
		if want == "" && got != nil {
			t.Fatalf("%s: %+v", what, got)
		}
		if want != "" && (got == nil || !strings.Contains(got.Text, want) || !strings.Contains(got.Text, point+" ") || got.Hint == "") {
			t.Fatalf("%s: %+v; want point %s and %q", what, got, point, want)
		}
	}
	ours := frame.NewSigner(key(1), "g")
	named("a source that does not sign", send(nil), "")
	named("its first signature", send(ours), "")
	named("no signature any more", send(nil), "is not signed")
	named("another key", send(frame.NewSigner(key(2), "g")), "which is not one of site prod")
	named("a signature of another job", send(frame.NewSigner(key(1), "other")), "does not fit it")
	named("in order again", send(ours), "")

	s.restart(cdp.Rollback)
	named("another key after a restart", send(frame.NewSigner(key(2), "g")), "which is not one of site prod")
	f, err := os.OpenFile(filepath.Join(s.dir, "signers", "prod.keys"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "# since the machine was replaced\n%x\n", []byte(key(2).Public().(ed25519.PublicKey)))
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	named("another key, which an operator added", send(frame.NewSigner(key(2), "g")), "")
	s.mu.Lock()
	alarms := strings.Join(s.alarms, "\n")
	s.mu.Unlock()
	for _, kind := range []string{"is not signed", "which is not one of", "does not fit"} {
		if !strings.Contains(alarms, kind) {
			t.Errorf("no alarm says %q: %v", kind, alarms)
		}
	}
	s.readsAt(w, s.newest())
}
