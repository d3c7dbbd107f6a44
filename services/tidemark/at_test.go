package main

import (
	"testing"
	"time"
)

func TestTimesThatPeopleWrite(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC)
	want := time.Date(2026, 11, 22, 3, 15, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"now": now, "0s": now, "15m": now.Add(-15 * time.Minute), "2d": now.Add(-48 * time.Hour), "1d12h ago": now.Add(-36 * time.Hour),
		"2026-11-22T03:15:00Z": want, "2026-11-22 03:15:00Z": want, "2026-11-22 03:15:00.000Z": want, "2026-11-22T04:15:00+01:00": want,
		"2026-11-22 04:15 +0100": want, "2026-11-22 04:15:00 +01:00": want, "2026-11-22 03:15 UTC": want, "2026-11-22 03:15:00.250Z": want.Add(250 * time.Millisecond),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-5m", "yesterday", "2026-11-22", "2026-11-22 03:15:00", "2026-11-22 03:15 Nowhere", "2026-11-22 03:15 Local", "99999999d"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if _, err := time.LoadLocation("Europe/Berlin"); err != nil {
		return // no zones here: only offsets are understood
	}
	if got, err := parseTime("2026-11-22 04:15 Europe/Berlin", now); err != nil || !got.Equal(want) {
		t.Error(got, err)
	}
	for _, text := range []string{"2026-10-25 02:30 Europe/Berlin", "2026-03-29 02:30 Europe/Berlin"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
