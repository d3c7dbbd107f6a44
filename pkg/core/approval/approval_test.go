package approval_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/approval"
	"tidemark.dev/pkg/core/frame"
)

// person is a key pair of its own for each name.
func person(name string) (ed25519.PrivateKey, frame.PublicKey) {
	key := ed25519.NewKeyFromSeed([]byte((name + strings.Repeat(".", ed25519.SeedSize))[:ed25519.SeedSize]))
	return key, frame.PublicKey(key.Public().(ed25519.PublicKey))
}

// Two approvers agree to an act, and nothing but two good lines about it counts.
func TestTwoPersonsAgreeToOneAct(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	until := now.Add(time.Hour)
	ana, anaKey := person("ana")
	ben, benKey := person("ben")
	eve, _ := person("eve")
	who := approval.Approvers{"ana": anaKey, "ben": benKey}
	act := approval.Act{Site: "dr", What: approval.Delete, Job: "erp", Of: "revision 17"}
	other := act
	other.Of = "revision 18"
	byAna, byBen := approval.Sign(act, "ana", until, ana), approval.Sign(act, "ben", until, ben)
	changed := approval.Sign(other, "ben", until, ben)
	changed.Act = act
	longer := byBen
	longer.Until = longer.Until.Add(time.Hour)
	for name, lines := range map[string][]approval.Line{
		"nobody":             nil,
		"one":                {byAna},
		"one twice":          {byAna, byAna, approval.Sign(act, "ana", until.Add(time.Minute), ana)},
		"another act":        {byAna, approval.Sign(other, "ben", until, ben)},
		"a changed act":      {byAna, changed},
		"a longer time":      {byAna, longer},
		"a stranger":         {byAna, approval.Sign(act, "eve", until, eve)},
		"another's name":     {byAna, approval.Sign(act, "ben", until, ana)},
		"one that has ended": {byAna, approval.Sign(act, "ben", now, ben)},
		"for a year":         {byAna, approval.Sign(act, "ben", now.Add(365*24*time.Hour), ben)},
	} {
		if err := who.Agreed(act, lines, now); !cdp.Is(err, cdp.Conflict) || !strings.Contains(cdp.HintOf(err), "tidemark approve delete erp 'revision 17' --site dr") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := who.Agreed(act, []approval.Line{byBen, byAna}, now); err != nil {
		t.Error("two:", err)
	}
	if err := (approval.Approvers{}).Agreed(act, nil, now); err != nil {
		t.Error("without approvers:", err)
	}
	again := approval.Sign(act, "ana", until.Add(time.Minute), ana)
	if lines := approval.Add([]approval.Line{byAna, approval.Sign(act, "ben", now, ben)}, again, now); len(lines) != 1 || lines[0] != again {
		t.Errorf("lines are %v", lines)
	}
}

// Approvers of whom no two could agree are refused.
func TestApproversAreTwoPersons(t *testing.T) {
	_, ana := person("ana")
	_, ben := person("ben")
	for name, x := range map[string]struct {
		who approval.Approvers
		ok  bool
	}{
		"none": {nil, true}, "two": {approval.Approvers{"ana": ana, "ben": ben}, true},
		"one": {approval.Approvers{"ana": ana}, false}, "one with two names": {approval.Approvers{"ana": ana, "ben": ana}, false},
		"a bad name": {approval.Approvers{"Ana Lee": ana, "ben": ben}, false},
	} {
		if err := x.who.Check("approvers"); (err == nil) != x.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
