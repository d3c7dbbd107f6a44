package health

import (
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/api"
)

// A replica that cannot follow is a problem, with its cause and the way out.
func TestAReplicaThatDoesNotFollowIsAProblem(t *testing.T) {
	h := Group{State: Protected}
	h.judgeJournal(Facts{Now: time.Now(), Journal: &api.GroupStatus{State: "receiving", Frame: 9, Consistent: true, Newest: &cdp.Point{},
		Stuck: &api.Trouble{Text: "/r/root.img: no space left on device", Hint: "free space"}}})
	if h.State != Failed || len(h.Problems) != 1 || h.Problems[0].Do != "free space" || !strings.Contains(h.Problems[0].Text, "no space left on device") {
		t.Errorf("%+v", h)
	}
}
