package plan_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"tidemark.dev/pkg/core/plan"
)

func TestAPlanIsDrawn(t *testing.T) {
	p := parse(t, `- {name: fresh, mode: test, check: {point: {job: db, youngerThan: 5m}}}
- {name: db, failover: {job: db}}
- {name: app1, group: app, failover: {job: app1}}
- {name: app2, group: app, critical: false, failover: {job: app2}}
- {name: tell, after: [db], webhook: {url: "https://x/?a=1&b=2"}}
- {name: done, after: [app1, app2, tell], wait: 1s}`)
	want := `  1  fresh  (check db, in test only)
  2  db     (failover db)  <- fresh
  3  app1   (failover app1)  <- db
     app2   (failover app2, not critical)  <- db
     tell   (webhook)  <- db
  4  done   (wait)  <- app1, app2, tell
`
	if got := plan.Graph(p); got != want {
		t.Errorf("got\n%s", got)
	}
	var svg struct {
		Boxes []struct{} `xml:"rect"`
		Lines []struct{} `xml:"line"`
		Texts []string   `xml:"text"`
	}
	if err := xml.Unmarshal([]byte(plan.SVG(p)), &svg); err != nil || len(svg.Boxes) != 6 || len(svg.Lines) != 7 || !strings.Contains(strings.Join(svg.Texts, "|"), "app2|failover app2, not critical") {
		t.Errorf("%+v %v", svg, err)
	}
}
