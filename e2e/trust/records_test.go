package trust

import (
	"path/filepath"
	"slices"
	"time"

	"tidemark.dev/pkg/adapter/auditlog"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/services/node"
)

// eraseRecords has the target's set-up delete what its services were asked, and its copy of
// what the source's were, and write records of its own. On the bus nothing is left; the
// target's files have all that was, are proven, and have nothing that was not.
func (c *company) eraseRecords() {
	c.t.Helper()
	dr := filepath.Join(c.dir, "dr")
	kept := func(of cdp.Site) (out []string) {
		if err := node.KeptRecords(dr, of, func(r api.AuditRecord) error { out = append(out, r.Service+"."+r.What+" "+r.Outcome); return nil },
			func(err error) { c.t.Error(err) }); err != nil && !cdp.Is(err, cdp.NotFound) {
			c.t.Fatal(err)
		}
		return out
	}
	mark := "capture.mark " + api.AuditDone
	bustest.Eventually(c.t, "the source's records to be kept", func() bool { return slices.Contains(kept("prod"), mark) })
	nc, js := c.as("dr", subjects.Setup)
	forged := `{"site":"dr","service":"journal","what":"forged","from":"/dr/operator","outcome":"done"}`
	if _, err := js.Publish(c.t.Context(), subjects.AuditSubject("dr", subjects.Journal, "forged"), []byte(forged)); err != nil {
		c.t.Fatal(err)
	}
	for _, stream := range []string{subjects.StreamAudit, subjects.PeerAudit("prod")} {
		if err := js.DeleteStream(c.t.Context(), stream); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		c.t.Fatal(err)
	}
	for _, site := range []cdp.Site{"dr", "prod"} {
		if _, err := c.dr.Audit(c.t.Context(), site, time.Time{}, ""); err == nil {
			c.t.Errorf("the records of %s are still on the bus: nothing was attacked", site)
		}
	}
	own := kept("")
	for _, want := range []string{"scheduler.job-apply " + api.AuditDone, "journal.edit-point " + api.AuditRefused} {
		if !slices.Contains(own, want) {
			c.t.Errorf("no record of %s among %q", want, own)
		}
	}
	if slices.Contains(own, "journal.forged done") {
		c.t.Error("a record that no service wrote was kept")
	}
	if !slices.Contains(kept("prod"), mark) {
		c.t.Error("the source's records are gone")
	}
	proofs, err := node.VerifyRecords(dr, "")
	if err != nil || len(proofs) != 2 || slices.ContainsFunc(proofs, func(p auditlog.Proof) bool { return !p.Proven() }) {
		c.t.Errorf("%+v, %v", proofs, err)
	}
	// What is asked from now on is kept, too.
	if n := c.asOperator(); n > 0 {
		c.t.Errorf("%d requests were carried out", n)
	}
}
