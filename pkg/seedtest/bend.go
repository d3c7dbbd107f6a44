package seedtest

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Bend returns a JSON document with something wrong with it: a value of another kind, a
// field too many or too few, text that is no JSON. By chance it may be right all the same.
func Bend(rng *rand.Rand, doc []byte) []byte {
	if rng.IntN(5) == 0 {
		return bendBytes(rng, bytes.Clone(doc))
	}
	var v any
	if json.Unmarshal(doc, &v) != nil {
		return bendBytes(rng, bytes.Clone(doc))
	}
	for range 1 + rng.IntN(2) {
		v = bendValue(rng, v)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// bendValue changes a value somewhere within v.
func bendValue(rng *rand.Rand, v any) any {
	if rng.IntN(4) != 0 { // further down
		switch x := v.(type) {
		case map[string]any:
			keys := slices.Sorted(maps.Keys(x))
			if len(keys) == 0 {
				break
			}
			key := keys[rng.IntN(len(keys))]
			switch rng.IntN(8) {
			case 0:
				delete(x, key)
			case 1:
				x[key+"x"] = x[key]
			default:
				x[key] = bendValue(rng, x[key])
			}
			return x
		case []any:
			if len(x) == 0 {
				break
			}
			i := rng.IntN(len(x))
			x[i] = bendValue(rng, x[i])
			if rng.IntN(4) == 0 {
				x = append(x, x[i])
			}
			return x
		}
	}
	odd := []any{
		nil, "", "*", ">", "a.b", "../../etc/passwd", "\x00", strings.Repeat("x", 5000), "2099-01-01T00:00:00Z", "-1s", "99999999h",
		true, -1, 0, 1e308, uint64(1) << 63, 0.5, []any{}, []any{nil}, map[string]any{}, map[string]any{"a": map[string]any{"b": nil}},
	}
	return odd[rng.IntN(len(odd))]
}

// bendBytes changes the text itself.
func bendBytes(rng *rand.Rand, doc []byte) []byte {
	at := rng.IntN(len(doc) + 1)
	switch rng.IntN(5) {
	case 0:
		return doc[:at]
	case 1:
		return append(doc, doc...)
	case 2:
		return append(doc[:at:at], append([]byte{0xff, 0xfe}, doc[at:]...)...)
	case 3:
		return bytes.Repeat([]byte("["), 10_000)
	}
	if len(doc) > 0 {
		doc[at%len(doc)] ^= 1 << rng.IntN(8)
	}
	return doc
}
