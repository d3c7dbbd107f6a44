package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written as users write it: 90s, 1h30m, 2d.
type Duration time.Duration

// Std is the duration as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(t/(24*time.Hour)), 10) + "d"
	}
	s := t.String() // "1h0m0s"
	s = strings.TrimSuffix(s, "m0s")
	if len(s) < len(t.String()) {
		s += "m"
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

var dayRE = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)d`)

// ParseDuration reads a duration such as 500ms, 5s, 1h30m or 2d.
func ParseDuration(s string) (Duration, error) {
	rest, days := s, 0.0
	if m := dayRE.FindStringSubmatch(s); m != nil {
		days, _ = strconv.ParseFloat(m[1], 64) // the pattern is a number
		rest = s[len(m[0]):]
	}
	t := time.Duration(0)
	if rest != "" || s == "" {
		var err error
		if t, err = time.ParseDuration(rest); err != nil {
			return 0, fmt.Errorf("%q is not a duration: write 500ms, 5s, 1h30m or 2d", s)
		}
	}
	sum := days*24*float64(time.Hour) + float64(t)
	if t < 0 || sum >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is out of range", s)
	}
	return Duration(time.Duration(days*24*float64(time.Hour)) + t), nil
}

// Size is a number of bytes, written as users write it: 512, 20GiB.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (s Size) String() string {
	for _, u := range units {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalJSON writes it with its unit.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads a number or a text.
func (s *Size) UnmarshalJSON(b []byte) (err error) {
	text := string(b)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	*s, err = ParseSize(text)
	return err
}

// ParseSize reads a size such as 1048576, 512MiB or 1.5TiB.
func ParseSize(text string) (Size, error) {
	t, unit := strings.TrimSpace(text), int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(t, u.name); ok {
			t, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	if n, err := strconv.ParseInt(t, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/unit {
		return Size(n * unit), nil
	}
	f, err := strconv.ParseFloat(t, 64)
	switch {
	case err != nil || math.IsNaN(f) || unit == 1:
		return 0, fmt.Errorf("%q is not a size: write bytes, or a number with KiB, MiB, GiB or TiB", text)
	case f < 0 || f*float64(unit) >= math.MaxInt64:
		return 0, fmt.Errorf("%q is out of range", text)
	}
	return Size(f * float64(unit)), nil
}
