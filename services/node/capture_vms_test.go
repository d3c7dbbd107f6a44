package node

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/clock"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
)

// frozen is a vcenter service that freezes the disks it is asked for, or one fewer.
type frozen struct {
	asked []int32
	fewer int
}

func (f *frozen) Request(_ context.Context, _ cdp.Site, _, _ string, in, out any) error {
	r := in.(api.FreezeRequest)
	f.asked = r.Keys
	reply := api.FreezeReply{Progress: api.Progress{Done: true}, At: time.Unix(7, 0)}
	for _, k := range r.Keys[f.fewer:] {
		reply.Disks = append(reply.Disks, api.FrozenDisk{Path: "/dev/" + string('a'+rune(k)), ChangeID: string('a' + rune(k))})
	}
	b, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// A disk that was removed from the VM keeps its place in the group. It is not frozen, and
// each of the others is read as itself, not as its neighbor.
func TestFrozenDisksKeepTheirPlacesAroundRemovedOnes(t *testing.T) {
	for _, keys := range [][]int32{{1, 2, 3}, {0, 2, 3}, {1, 0, 3}, {1, 2, 0}, {0, 0, 3}} {
		vc := &frozen{}
		s := siteVMs{vc, "prod", clock.System}
		m := capture.Machine{Group: "shop-web01", VM: "uuid", Keys: keys}
		got, err := s.Freeze(t.Context(), m, "1")
		if err != nil || len(got.Disks) != len(keys) || !got.At.Equal(time.Unix(7, 0)) {
			t.Fatalf("%v: %+v, %v", keys, got, err)
		}
		if slices.Contains(vc.asked, 0) {
			t.Errorf("%v: a removed disk is to be frozen: %v", keys, vc.asked)
		}
		for i, k := range keys {
			want := capture.FrozenDisk{}
			if k != 0 {
				want = capture.FrozenDisk{Path: "/dev/" + string('a'+rune(k)), ChangeID: string('a' + rune(k))}
			}
			if got.Disks[i] != want {
				t.Errorf("%v: disk %d is %+v, want %+v", keys, i, got.Disks[i], want)
			}
		}
		vc.fewer = 1
		if _, err := s.Freeze(t.Context(), m, "1"); !cdp.Is(err, cdp.Internal) {
			t.Errorf("%v: a disk is missing: %v", keys, err)
		}
	}
}
