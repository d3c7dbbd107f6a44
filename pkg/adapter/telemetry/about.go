package telemetry

import (
	"cmp"
	"encoding/json"

	"go.opentelemetry.io/otel/attribute"

	"tidemark.dev/pkg/cdp"
)

// About is what a piece of work is about: the attributes that people search by. Empty
// ones are left out.
type About struct {
	Job, Group, Run, Point, Plan, Action string
}

func (a About) attributes() (out []attribute.KeyValue) {
	for _, x := range [][2]string{
		{"tidemark.job", a.Job}, {"tidemark.group", a.Group}, {"tidemark.run", a.Run},
		{"tidemark.point", a.Point}, {"tidemark.plan", a.Plan}, {"tidemark.action", a.Action},
	} {
		if x[1] != "" {
			out = append(out, attribute.String(x[0], x[1]))
		}
	}
	return out
}

// about reads what a message is about from its JSON. What is not there, or is of
// another shape, is left out.
func about(data []byte) []attribute.KeyValue {
	var m map[string]json.RawMessage
	if len(data) == 0 || len(data) > 64<<10 || json.Unmarshal(data, &m) != nil {
		return nil
	}
	text := func(key string) string {
		var s string
		if json.Unmarshal(m[key], &s) != nil {
			return ""
		}
		return s
	}
	a := About{Job: text("job"), Group: text("group"), Run: text("run"), Point: text("point"), Plan: text("plan"), Action: text("action")}
	// Of a job on disks the group has the job's name; a group of VMs has its own.
	a.Group, a.Job = cmp.Or(a.Group, a.Job), cmp.Or(a.Job, a.Group)
	var point cdp.Point
	if a.Point == "" && json.Unmarshal(m["point"], &point) == nil && point.Frame != 0 {
		a.Point = point.ID()
	}
	return a.attributes()
}
