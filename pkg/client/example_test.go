package client_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tidemark.dev/pkg/client"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/pkg/contract/spec"
	"tidemark.dev/services/node"
)

const job = `apiVersion: tidemark.dev/v1
kind: ReplicationJob
metadata: {name: web}
spec:
  source:
    site: prod
    capture: inline
    disks: [{name: system, path: %q}]
  target:
    site: dr
    disks: [{name: system, path: %q}]
  rpo: 1s
`

// A program protects a disk: it applies a job, runs it, makes a recovery point, and
// takes everything away again. It talks to the job's target site.
func Example() {
	dir, stop := twoSites()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// `tidemark up` writes how its sites are reached. Where a NATS server is shared,
	// fill in a SiteRef instead.
	where, err := client.LoadContext(dir)
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Connect(ctx, client.Config{Site: "dr", Bus: where.Sites["dr"]})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	objects, err := spec.Parse("web.yaml", fmt.Appendf(nil, job, filepath.Join(dir, "disk.img"), filepath.Join(dir, "replica.img")))
	if err != nil {
		log.Fatal(err)
	}
	replies, err := c.Apply(ctx, objects, false)
	if err != nil { // it has every problem of every object, and nothing was written
		log.Fatal(err)
	}
	fmt.Println(replies[0].Name, replies[0].Change)

	if err := c.SetRunning(ctx, "web", true, true); err != nil {
		log.Fatal(err)
	}
	for { // until the disk has been copied once
		if h, err := c.GroupStatus(ctx, "web"); err == nil && h.State == "protected" {
			fmt.Println(h.Job, h.State)
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	p, err := c.CreatePoint(ctx, "web", client.NewPoint{Tags: []string{"before-upgrade"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("a point tagged", p.Tags)

	if err := c.SetRunning(ctx, "web", false, true); err != nil {
		log.Fatal(err)
	}
	if err := c.DeleteJob(ctx, api.JobDeleteRequest{Job: "web", DropPoints: true}, func(api.Progress) {}); err != nil {
		log.Fatal(err)
	}
	left, err := c.Jobs(ctx)
	fmt.Println("jobs left:", len(left), err)

	// Output:
	// web created
	// web protected
	// a point tagged [before-upgrade]
	// jobs left: 0 <nil>
}

// twoSites runs the sites prod and dr in this process, and makes a disk.
func twoSites() (dir string, stop func()) {
	dir, err := os.MkdirTemp("", "tm") // paths of sockets must be short
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "disk.img"), make([]byte, 1<<20), 0o600)
	}
	if err != nil {
		log.Fatal(err)
	}
	cfg := node.Config{Dir: dir,
		Sites: []node.SiteConfig{{Name: "prod", Listen: "127.0.0.1:0"}, {Name: "dr", Listen: "127.0.0.1:0", Leaf: "127.0.0.1:0"}},
		Links: []node.LinkConfig{{From: "prod", To: "dr"}}}
	ctx, cancel := context.WithCancel(context.Background())
	up := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := node.Up(ctx, cfg, nil, slog.New(slog.DiscardHandler), func(node.Started) { close(up) }); err != nil {
			log.Fatal(err)
		}
	})
	<-up
	return dir, func() {
		cancel()
		wg.Wait()
		os.RemoveAll(dir)
	}
}
