package trust

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/adapter/bus"
	"tidemark.dev/pkg/adapter/bus/bustest"
	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/subjects"
)

// Whoever may send a request names the subject that the answer goes to. Each role sends
// everything that it may, and wants the server's answers in streams that it may not write
// to, and where JetStream deletes: as the stored message that it asks for, without its
// headers, or as whatever else the server answers. None comes there.
func TestTheServersAnswersReachNoStream(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	_, js := admin(t, s, "dr")
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVIL", Subjects: []string{"evil.>"}}); err != nil {
		t.Fatal(err)
	}
	victim, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "VICTIM", Subjects: []string{"victim"}})
	if err == nil {
		_, err = js.Publish(t.Context(), "victim", []byte("kept"))
	}
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, role := range roles() {
		a := newAttacker(t, s.DR.ClientURL(), s.Credential("dr", role))
		for i, subject := range requests(role, "dr", "prod") {
			replies := []string{
				fmt.Sprintf("evil.%s.%d", role, i), "$JS.API.STREAM.PURGE.VICTIM", "$JS.dr.API.STREAM.DELETE.VICTIM",
			}
			for _, reply := range replies {
				for _, body := range []string{"", `{"no_hdr":true}`, `{"seq":1,"no_hdr":true,"batch":1,"no_wait":true}`} {
					if err := a.nc.PublishRequest(subject, reply, []byte(body)); err != nil {
						t.Fatal(err)
					}
					tried++
				}
			}
		}
		a.try(nil) // the server has taken all
	}
	if tried < 2000 {
		t.Errorf("only %d tried", tried)
	}
	// What the server answers in the background is stored before this one.
	if _, err := js.Publish(t.Context(), "evil.last", nil); err != nil {
		t.Fatal(err)
	}
	evil, err := js.Stream(t.Context(), "EVIL")
	if err != nil {
		t.Fatal(err)
	}
	if st := evil.CachedInfo().State; st.Msgs != 1 {
		first, err := evil.GetMsg(t.Context(), st.FirstSeq)
		t.Errorf("%d answers were stored, the first %+v, %v", st.Msgs-1, first, err)
	}
	if info, err := victim.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("an answer of the server deleted a message: %+v, %v", info, err)
	}
}

// requests are the subjects that a role may publish to, with the streams and keys that
// there are where the permission leaves them open.
func requests(role string, site, peer cdp.Site) (out []string) {
	for _, p := range bus.Permissions(role, site, peer).Publish {
		if strings.HasPrefix(p, "_") { // inboxes
			continue
		}
		for _, stream := range []string{subjects.StreamEvents, "KV_" + subjects.BucketSpec} {
			x := strings.Replace(p, ".INFO.*", ".INFO."+stream, 1)
			x = strings.ReplaceAll(strings.ReplaceAll(x, "*", "x"), ">", "x.y")
			out = append(out, x)
			if x == strings.ReplaceAll(strings.ReplaceAll(p, "*", "x"), ">", "x.y") {
				break
			}
		}
	}
	return out
}
