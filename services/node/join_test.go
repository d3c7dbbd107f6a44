package node

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/services/journal"
)

// machines are two sites, each with a directory of its own, and one clock.
func machines(t *testing.T) (prod, dr Joiner, now *clock.Simulated) {
	t.Helper()
	now = clock.NewSimulated(time.Unix(1_800_000_000, 0))
	at := func() Joiner {
		cfg := DefaultConfig()
		cfg.Dir = t.TempDir()
		return Joiner{Config: cfg, Clock: now}
	}
	return at(), at(), now
}

// files are the contents of all files of a machine, by path.
func files(t *testing.T, j Joiner) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(j.Config.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(j.Config.Dir, path)
		out[rel] = strings.TrimSpace(string(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func invite(t *testing.T, dr Joiner) string {
	t.Helper()
	line, err := dr.Invite("dr", "prod", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// Each site makes its keys itself. After two lines of text each knows the other's public
// keys, the server of the one that is dialled can start, and no secret half was in a line
// or is on the other machine.
func TestTwoSitesAreJoined(t *testing.T) {
	prod, dr, _ := machines(t)
	if _, err := NATSConfig(dr.Config, "dr"); !cdp.Is(err, cdp.Invalid) || !strings.Contains(cdp.HintOf(err), "site invite prod") {
		t.Fatalf("before: %v (%s)", err, cdp.HintOf(err))
	}
	invitation := invite(t, dr)
	answer, known, err := prod.Join(invitation)
	if err != nil || known.Site != "dr" || len(known.Signers) != 1 {
		t.Fatal(known, err)
	}
	accepted, err := dr.Accept(answer)
	if err != nil || accepted.Site != "prod" {
		t.Fatal(accepted, err)
	}
	config, err := NATSConfig(dr.Config, "dr")
	if err != nil || !strings.Contains(config, accepted.Link) {
		t.Error("the server of dr does not know the link", err)
	}
	here, there := files(t, prod), files(t, dr)
	if here["prod/capture/signing.pub"] != there["dr/journal/signers/prod.keys"] || there["dr/capture/signing.pub"] != here["prod/journal/signers/dr.keys"] {
		t.Error("the signing keys are not bound")
	}
	for name, secret := range map[string]string{"link": here["prod/links/dr.seed"], "prod": here["prod/capture/signing.key"], "dr": there["dr/capture/signing.key"]} {
		if secret == "" {
			t.Fatalf("no key %s was made", name)
		}
		holders := 0
		for _, machine := range []map[string]string{here, there} {
			for _, text := range machine {
				if strings.Contains(text, secret) {
					holders++
				}
			}
		}
		if holders != 1 || strings.Contains(invitation+answer, secret) {
			t.Errorf("the secret half of key %s is in %d files", name, holders)
		}
	}
	if _, made := there["prod/credentials.json"]; made || here["dr/credentials.json"] != "" {
		t.Error("a site's passwords are on the other's machine")
	}
}

// An invitation is good once and for a while, a newer one replaces it, and an answer that
// was changed, or is another's, changes nothing.
func TestAnInvitationIsGoodOnceAndForAWhile(t *testing.T) {
	prod, dr, now := machines(t)
	thief, _, _ := machines(t)
	first := invite(t, dr)
	second := invite(t, dr)
	old, _, err := prod.Join(first)
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := prod.Join(second)
	if err != nil {
		t.Fatal(err)
	}
	var real, own joinAnswer
	stolen, _, _ := thief.Join(first)
	if decodeLine("", answerMark, answer, &real) != nil || decodeLine("", answerMark, stolen, &own) != nil {
		t.Fatal("these are no answers")
	}
	forged := real
	forged.Signer, forged.Link = own.Signer, own.Link
	var sent invitation
	if err := decodeLine("", invitationMark, second, &sent); err != nil {
		t.Fatal(err)
	}
	noKey := real
	noKey.Link = "U\n"
	before := files(t, dr)
	for name, line := range map[string]string{"the old one": old, "a changed one": encodeLine(answerMark, forged), "one with no key": encodeLine(answerMark, noKey.sealed(sent.Secret)), "an invitation": second, "half of it": answer[:len(answer)/2], "nothing": ""} {
		if _, err := dr.Accept(line); !cdp.Is(err, cdp.Invalid) || cdp.HintOf(err) == "" || strings.Contains(err.Error(), second[30:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := files(t, dr); len(after) != len(before) || after["dr/links/prod.invitation"] != second {
		t.Error("a refused answer changed something")
	}
	if _, err := dr.Accept(answer); err != nil {
		t.Fatal(err)
	}
	if _, err := dr.Accept(answer); !cdp.Is(err, cdp.NotFound) {
		t.Errorf("accepted twice: %v", err)
	}
	late := invite(t, dr)
	answer, _, err = prod.Join(late)
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(2 * time.Hour)
	if _, _, err := prod.Join(late); !cdp.Is(err, cdp.Invalid) {
		t.Errorf("joined late: %v", err)
	}
	if _, err := dr.Accept(answer); !cdp.Is(err, cdp.Invalid) {
		t.Errorf("accepted late: %v", err)
	}
}

// A site that joins again with a new signing key keeps the old one bound, for the history
// that is signed with it. Where one process runs both sites, a key that was replaced is
// not taken for bound.
func TestASigningKeyIsReplacedByJoiningAgain(t *testing.T) {
	prod, dr, _ := machines(t)
	join := func() []string {
		answer, _, err := prod.Join(invite(t, dr))
		if err != nil {
			t.Fatal(err)
		}
		known, err := dr.Accept(answer)
		if err != nil {
			t.Fatal(err)
		}
		return known.Signers
	}
	was := join()
	if again := join(); !slices.Equal(again, was) {
		t.Errorf("joined again with the same key: %v", again)
	}
	if err := os.Remove(filepath.Join(prod.Config.Dir, "prod/capture/signing.key")); err != nil {
		t.Fatal(err)
	}
	if now := join(); len(now) != 2 || now[0] != was[0] {
		t.Errorf("joined with a new key: %v, before %v", now, was)
	}

	trial, _, _ := machines(t)
	dir, keys := trial.Config.Dir, filepath.Join(trial.Config.Dir, "dr/journal/signers")
	if err := exchangeKeys(dir, trial.Config); err != nil {
		t.Fatal(err)
	}
	first, err := journal.ReadSigners(keys, "prod")
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	if err := os.Remove(filepath.Join(dir, "prod/capture/signing.key")); err != nil {
		t.Fatal(err)
	}
	if err := exchangeKeys(dir, trial.Config); err != nil {
		t.Fatal(err)
	}
	if second, err := journal.ReadSigners(keys, "prod"); err != nil || !slices.Equal(first, second) {
		t.Error(second, err)
	}
}
