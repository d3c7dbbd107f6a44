//go:build nbdbench

package nbd

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"tidemark.dev/pkg/adapter/blockfile"
)

var (
	rounds  = flag.Int("rounds", 4, "interleaved rounds")
	seconds = flag.Int("seconds", 2, "seconds per job")
	only    = flag.String("jobs", "", "only jobs whose name contains this")
)

// TestCompareNbdkit prints this server's IOPS and mean latency relative to
// nbdkit's file plugin: fio on a unix socket, same file system, interleaved
// rounds, medians.
//
//	go test -tags nbdbench -run CompareNbdkit -v ./nbd/ -rounds 4 -seconds 2
func TestCompareNbdkit(t *testing.T) {
	const size = 512 << 20
	dir := shortDir(t)
	fill := func(name string) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		must(t, err)
		defer f.Close()
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = byte(i * 7)
		}
		for range size >> 20 {
			_, err := f.Write(b)
			must(t, err)
		}
		must(t, f.Sync())
		return path
	}
	d, err := blockfile.Open(fill("ours"), false)
	must(t, err)
	defer d.Close()
	r := newRig(t, Config{}, Export{Backend: d, MultiConn: true})

	peer := filepath.Join(dir, "k")
	if _, err := exec.LookPath("nbdkit"); err != nil {
		t.Fatal("nbdkit is missing: apt-get install nbdkit")
	}
	kit := exec.Command("nbdkit", "-f", "-U", peer, "file", fill("theirs"))
	must(t, kit.Start())
	defer kit.Wait()
	defer kit.Process.Kill()
	for range 100 {
		if _, err := os.Stat(peer); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}

	fmt.Printf("%-26s %10s %10s %8s %8s\n", "job", "ours us", "nbdkit us", "iops", "latency")
	for _, job := range []string{
		"randwrite 4k 1", "randwrite 4k 16", "write 64k 1", "write 64k 8", "write 1m 4",
		"randwrite 4k 1 --fsync=1", "randwrite 4k 16 --fsync=16",
		"randread 4k 1", "randread 4k 16", "read 64k 8", "read 1m 4", "randrw 4k 8",
	} {
		if !strings.Contains(job, *only) {
			continue
		}
		var ours, theirs [][2]float64
		for range *rounds {
			ours = append(ours, fioRun(t, r.sock, job))
			theirs = append(theirs, fioRun(t, peer, job))
		}
		a, b := median(ours, 0), median(theirs, 0)
		la, lb := median(ours, 1), median(theirs, 1)
		fmt.Printf("%-26s %10.1f %10.1f %8.2f %8.2f\n", job, la, lb, a/b, lb/la)
	}
}

func median(v [][2]float64, k int) float64 {
	sort.Slice(v, func(i, j int) bool { return v[i][k] < v[j][k] })
	return (v[(len(v)-1)/2][k] + v[len(v)/2][k]) / 2
}

// fioRun returns IOPS and mean latency in microseconds, over reads and writes.
func fioRun(t *testing.T, sock, job string) [2]float64 {
	f := strings.Fields(job)
	args := append([]string{"--name=j", "--ioengine=nbd", "--uri=nbd+unix:///?socket=" + sock,
		"--rw=" + f[0], "--bs=" + f[1], "--iodepth=" + f[2], "--size=512m", "--time_based",
		fmt.Sprintf("--runtime=%d", *seconds), "--output-format=json"}, f[3:]...)
	out, err := exec.Command("fio", args...).Output()
	if err != nil {
		t.Fatalf("fio %v: %v\n%s", args, err, out)
	}
	type side struct {
		IOPS float64
		Lat  struct{ Mean float64 } `json:"lat_ns"`
	}
	var res struct{ Jobs []struct{ Read, Write side } }
	s := string(out)
	must(t, json.Unmarshal([]byte(s[strings.Index(s, "{"):]), &res))
	a, b := res.Jobs[0].Read, res.Jobs[0].Write
	iops := a.IOPS + b.IOPS
	return [2]float64{iops, (a.IOPS*a.Lat.Mean + b.IOPS*b.Lat.Mean) / iops / 1000}
}
