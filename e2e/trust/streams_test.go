package trust

import (
	"slices"
	"strings"
	"testing"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/contract/subjects"
)

// streams of site dr, and one that does not exist.
func streams() []string {
	return []string{"CMD", "EVT", "DLQ", "AUDIT", "KV_tidemark-spec", "KV_tidemark-state", "KV_tidemark-epoch", "EVT_prod", "AUDIT_prod", "KV_tidemark-spec-prod", "KV_tidemark-state-prod", "WRITE_vm1", "evil"}
}

// streamAttacks are the verbs of the JetStream API that make, change or remove
// something, with each option that moves messages to where the caller may not publish
// or from where it may not read.
func streamAttacks(role string) (out []attack) {
	add := func(request, body string) { out = append(out, attack{subjects.API + "." + request, body}) }
	for _, s := range streams() {
		for _, option := range []string{
			`"subjects":["evil.>"],"republish":{"src":">","dest":"tidemark.cmd.v1.dr.failover.start.x"}`,
			`"subjects":["evil.>"],"subject_transform":{"src":">","dest":"$KV.tidemark-spec.job.x"}`,
			`"sources":[{"name":"KV_tidemark-spec"}]`, `"mirror":{"name":"EVT"}`, `"subjects":["tidemark.write.v1.dr.>"]`,
		} {
			for _, verb := range []string{"CREATE", "UPDATE"} {
				add("STREAM."+verb+"."+s, `{"name":"`+s+`",`+option+`}`)
			}
		}
		for _, verb := range []string{"DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "PEER.REMOVE", "LEADER.STEPDOWN"} {
			if role == subjects.Operator && s == subjects.StreamDeadLetters && verb == "MSG.DELETE" {
				continue // tidemark deadletter drop
			}
			add("STREAM."+verb+"."+s, `{"seq":1}`)
		}
		for _, consumer := range append(subjects.Services(), "frames_prod", "frames_dr", "copy_dr_prod", "evil") {
			for _, verb := range []string{"DELETE", "PAUSE", "LEADER.STEPDOWN", "UNPIN"} {
				add("CONSUMER."+verb+"."+s+"."+consumer, `{}`)
			}
		}
	}
	for _, s := range streams() {
		for _, filter := range []string{"", ".evil", ".evil.>", ".evil.$KV.tidemark-spec.job.x", ".evil.$KV.tidemark-state.job.>", ".evil.tidemark.evt.v1.dr.>", ".evil.tidemark.evt.v1.dr.job.x.y", ".evil.tidemark.write.v1.dr.vm1", ".capture.tidemark.cmd.v1.dr.capture.>"} {
			add("CONSUMER.CREATE."+s+filter, `{"stream_name":"`+s+`","config":{"name":"evil","deliver_subject":"tidemark.cmd.v1.dr.failover.start.x"}}`)
		}
		add("CONSUMER.DURABLE.CREATE."+s+".evil", `{"stream_name":"`+s+`","config":{"durable_name":"evil","deliver_subject":"$KV.tidemark-spec.job.x"}}`)
	}
	add("ACCOUNT.PURGE.APP", "")
	return out
}

func TestNobodyMakesStreams(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	_, js := admin(t, s, "dr")
	before := inventory(t, js)
	for _, role := range roles() {
		passed := newAttacker(t, s.DR.ClientURL(), s.Credential("dr", role)).try(streamAttacks(role))
		if len(passed) > 0 {
			t.Errorf("%s may:\n%s", role, strings.Join(slices.Compact(passed), "\n"))
		}
	}
	if after := inventory(t, js); after != before {
		t.Error("streams changed")
		for _, s := range strings.Split(after, "\n") {
			if !strings.Contains(before, s) {
				t.Error("now " + s)
			}
		}
	}
}

// What capture needs is made for it, as set-up has it, whatever else the request says.
func TestFrameStreamsAreMadeBySetUp(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	capture := s.Connect("dr", subjects.Capture)
	ask := func(request any) error {
		return capture.Request(t.Context(), "dr", subjects.Setup, "frames-ensure", request, nil)
	}
	type order map[string]any
	for _, bad := range []order{
		{"group": "vm1", "target": "prod", "maxBytes": 1 << 20, "republish": order{"src": ">", "dest": "evil"}},
		{"group": "a.b", "target": "prod"}, {"group": "../EVT", "target": "prod"}, {"group": "vm1", "target": "p.>"}, {"group": "*", "target": "prod"},
	} {
		if err := ask(bad); err == nil {
			t.Errorf("%v was carried out", bad)
		}
	}
	if _, err := bus.OpenFrames(t.Context(), capture, "vm1", "prod", 1<<20); err != nil {
		t.Fatal(err)
	}
	_, js := admin(t, s, "dr")
	str, err := js.Stream(t.Context(), "WRITE_vm1")
	if err != nil {
		t.Fatal(err)
	}
	if c := str.CachedInfo().Config; c.RePublish != nil || c.SubjectTransform != nil || len(c.Sources) > 0 || c.MaxBytes != 1<<20 {
		t.Errorf("made %+v", c)
	}
}
