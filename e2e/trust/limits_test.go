package trust

import (
	"testing"

	"tidemark.dev/pkg/adapter/bus/bustest"
)

// What a peer can make grow is bounded, so that it cannot fill what this site needs:
// the copies of its streams, and the commands that it sends.
func TestWhatAPeerCanGrowIsBounded(t *testing.T) {
	t.Parallel()
	s := bustest.Start(t, bustest.Secured)
	_, js := admin(t, s, "dr")
	all := js.ListStreams(t.Context())
	for info := range all.Info() {
		c := info.Config
		if c.MaxBytes <= 0 {
			t.Errorf("%s has no limit in bytes", c.Name)
		}
		if c.Subjects == nil && c.MaxMsgs <= 0 {
			t.Errorf("%s has no limit of messages", c.Name)
		}
	}
	if all.Err() != nil {
		t.Fatal(all.Err())
	}
}
