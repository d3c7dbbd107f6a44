package vsphere

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
)

// useVersion uses the server's API version if it is older than ours: an older
// server refuses a newer version. Without an answer, ours is used.
func useVersion(ctx context.Context, sc *soap.Client, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	u := sc.URL()
	u.Path, u.RawQuery = "/sdk/vimServiceVersions.xml", ""
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	return sc.Do(ctx, req, func(res *http.Response) error {
		var v struct {
			Version string `xml:"namespace>version"`
		}
		if res.StatusCode != http.StatusOK || xml.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&v) != nil {
			return nil
		}
		if v.Version != "" && older(v.Version, vim25.Version) {
			sc.Version = v.Version
		}
		return nil
	})
}

// older compares dotted versions, as 6.7.3 and 8.0.3.0.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		if x, y := part(as, i), part(bs, i); x != y {
			return x < y
		}
	}
	return false
}

func part(s []string, i int) int {
	if i >= len(s) {
		return 0
	}
	n, _ := strconv.Atoi(s[i])
	return n
}

// waits is how long the server itself may delay the answer to req.
func waits(req soap.HasFault) time.Duration {
	b, ok := req.(*methods.WaitForUpdatesExBody)
	if !ok || b.Req == nil || b.Req.Options == nil || b.Req.Options.MaxWaitSeconds == nil {
		return 0
	}
	return time.Duration(*b.Req.Options.MaxWaitSeconds) * time.Second
}
