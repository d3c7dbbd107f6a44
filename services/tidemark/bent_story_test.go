package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/subjects"
	"tidemark.dev/pkg/seedtest"
	"tidemark.dev/schemas"
)

// Hundreds of messages and stored values that are wrong in some way, next to those of a
// job: the guest writes on, points are made and can be recovered, and all that is so again
// after a restart.
func TestBentMessagesAndValuesHurtNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	rng := rand.New(rand.NewPCG(seedtest.Seed(t), 2))
	dir := short(t)
	l := newLab(t, dir, "")
	file, _, _ := jobFile(t, dir)
	l.do(0, "apply", "-f", file)
	l.do(0, "job", "run", "web")
	l.until("protected", "status", "web")
	guest := startGuest(t, l.field("write to", "status", "web"))
	values, commands := l.stored(), commandExamples(t)
	for round := range 8 {
		l.spoil(bentCommands(rng, commands))
		l.spoil(bentValues(rng, values, round))
	}
	good := func(tag string) {
		l.until("protected", "status", "web")
		l.do(0, "point", "create", "web", "--tag", tag)
		l.do(0, "failover", "web", "--mode", "test", "--point", tag)
		l.do(0, "failover", "cleanup", "web")
	}
	good("before")
	guest.stop()
	l.stop()
	l = newLab(t, dir, "")
	guest = startGuest(t, l.field("write to", "status", "web"))
	good("after")
	guest.stop()
}

// stored are the values of site dr's buckets by their subject.
func (l *lab) stored() map[string][]byte {
	l.t.Helper()
	known, err := client.LoadContext(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	setup := l.credential(subjects.Setup)
	nc, err := nats.Connect(known.Sites["dr"].URL, nats.UserInfo(setup.User, setup.Password))
	if err != nil {
		l.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, bucket := range []string{subjects.BucketSpec, subjects.BucketState} {
		kv, err := js.KeyValue(l.t.Context(), bucket)
		if err != nil {
			l.t.Fatal(err)
		}
		keys, err := kv.Keys(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		for _, k := range keys {
			if v, err := kv.Get(l.t.Context(), k); err == nil {
				out["$KV."+bucket+"."+k] = v.Value()
			}
		}
	}
	if len(out) < 5 {
		l.t.Fatal("only these are stored:", out)
	}
	return out
}

// commandExamples are the golden examples of commands to services of site dr, by subject.
// None is about the job web.
func commandExamples(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	files, err := fs.Glob(schemas.FS, "examples/cmd/v1/*/*.json")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		doc, err := fs.ReadFile(schemas.FS, f)
		if err != nil {
			t.Fatal(err)
		}
		doc = []byte(strings.ReplaceAll(string(doc), `"web"`, `"other"`))
		var about struct{ Job, Group, Plan, Site string }
		if err := json.Unmarshal(doc, &about); err != nil {
			t.Fatal(f, err)
		}
		service, verb := path.Base(path.Dir(f)), strings.TrimSuffix(path.Base(f), ".json")
		for _, id := range []string{about.Job, about.Group, about.Plan, about.Site, "other"} {
			if id != "" {
				out["tidemark.cmd.v1.dr."+service+"."+verb+"."+id] = doc
				break
			}
		}
	}
	return out
}

func bentCommands(rng *rand.Rand, commands map[string][]byte) map[string]string {
	out := map[string]string{}
	for subject, doc := range commands {
		out[subject] = string(seedtest.Bend(rng, doc))
	}
	return out
}

// bentValues are values that are like those stored, under keys of their own.
func bentValues(rng *rand.Rand, values map[string][]byte, round int) map[string]string {
	out := map[string]string{}
	for subject, v := range values {
		kind := subject[:strings.LastIndex(subject, ".")]
		out[fmt.Sprintf("%s.bent%d", kind, round)] = string(seedtest.Bend(rng, v))
	}
	return out
}
