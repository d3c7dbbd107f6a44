package vsphere

import (
	"reflect"
	"strings"
	"testing"

	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestAnswersForAPart(t *testing.T) {
	const size = 10 << 20
	ext := func(off, n int64) types.DiskChangeExtent { return types.DiskChangeExtent{Start: off, Length: n} }
	for name, tc := range map[string]struct {
		from int64
		got  types.DiskChangeInfo
		want []inventory.Area
		next int64
		bad  bool
	}{
		"all":              {0, types.DiskChangeInfo{Length: size, ChangedArea: []types.DiskChangeExtent{ext(0, 10), ext(100, 5)}}, []inventory.Area{{Off: 0, N: 10}, {Off: 100, N: 5}}, 0, false},
		"nothing":          {0, types.DiskChangeInfo{Length: size}, nil, 0, false},
		"a part":           {0, types.DiskChangeInfo{Length: 4096, ChangedArea: []types.DiskChangeExtent{ext(0, 4096)}}, []inventory.Area{{Off: 0, N: 4096}}, 4096, false},
		"the rest":         {4096, types.DiskChangeInfo{StartOffset: 4096, Length: size - 4096, ChangedArea: []types.DiskChangeExtent{ext(size-5, 5)}}, []inventory.Area{{Off: size - 5, N: 5}}, 0, false},
		"beyond the end":   {0, types.DiskChangeInfo{Length: size + 512, ChangedArea: []types.DiskChangeExtent{ext(size-100, 4096), ext(size, 512)}}, []inventory.Area{{Off: size - 100, N: 100}}, 0, false},
		"before the start": {4096, types.DiskChangeInfo{StartOffset: 0, Length: 8192, ChangedArea: []types.DiskChangeExtent{ext(0, 8192)}}, []inventory.Area{{Off: 4096, N: 4096}}, 8192, false},
		"no progress":      {4096, types.DiskChangeInfo{StartOffset: 4096}, nil, 0, true},
	} {
		areas, next, err := answered("ask", "disk", tc.got, tc.from, size)
		if (err != nil) != tc.bad || next != tc.next || !reflect.DeepEqual(areas, tc.want) {
			t.Errorf("%s: got %v, %d, %v", name, areas, next, err)
		}
		if tc.bad && !cdp.Is(err, cdp.Internal) {
			t.Errorf("%s: %v is %s", name, err, cdp.KindOf(err))
		}
	}
}
