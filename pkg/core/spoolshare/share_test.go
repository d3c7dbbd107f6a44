package spoolshare

import "testing"

// Whatever the number of groups, up to the room that is announced, all shares
// together fit the budget, and none is too small to be of use.
func TestTheSharesOfAllGroupsFitTheBudget(t *testing.T) {
	for _, b := range []Budget{Least, 3*Least + 1, 1 << 30, Default, 1 << 44} {
		before := int64(Most)
		for n := 1; n <= min(b.Room(), 5000); n++ {
			s := b.Share(n)
			if s < Least || s > Most || s > before || s*int64(n) > int64(b) {
				t.Fatalf("budget %d: %d groups get %d bytes each", b, n, s)
			}
			before = s
		}
		if n := int64(b.Room() + 1); n*Least <= int64(b) {
			t.Fatalf("budget %d has room for more than %d groups", b, n-1)
		}
	}
}

// Fifteen jobs at the default keep what they had before shares were divided.
func TestAFewGroupsGetTheMost(t *testing.T) {
	if s := Default.Share(15); s != Most {
		t.Fatalf("%d bytes", s)
	}
	if s := Default.Share(1000); s < 32<<20 {
		t.Fatalf("a thousand groups get %d bytes each", s)
	}
}
