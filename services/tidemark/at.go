package main

import (
	"strings"
	"time"

	"tidemark.dev/pkg/contract/spec"
)

// atHelp describes the flag --at.
const atHelp = "the newest state at or before this time: as point list prints it, or in RFC 3339, or 15m or 2d ago, or now"

// zoned are times that say their zone themselves, but for seconds and fractions.
var zoned = []string{"2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02 15:04:05 -0700",
	"2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02 15:04 Z07:00", "2006-01-02 15:04 -0700"}

// local are times to which the name of a zone belongs.
var local = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"}

// parseTime reads a point in time: a time with its zone, the time that has passed
// since, or now.
func parseTime(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return now, nil
	}
	if d, err := spec.ParseDuration(strings.TrimSuffix(s, " ago")); err == nil {
		return now.Add(-d.Std()), nil
	}
	for _, layout := range zoned {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		if t, ok, err := parseLocal(s[:i], s[i+1:]); ok {
			return t, err
		}
	}
	for _, layout := range local {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, usage("%q does not say in which zone: append Z for UTC, +01:00, or a name like Europe/Berlin", s)
		}
	}
	return time.Time{}, usage("%q is not a time: write 2006-01-02T15:04:05Z, a time as it is listed, 15m or 2d for that long ago, or now", s)
}

// parseLocal reads a time in a zone that has a name; ok is false if it is none. A
// time that the zone's clocks show twice, or never, is refused.
func parseLocal(text, zone string) (t time.Time, ok bool, err error) {
	at, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" {
		return t, false, nil
	}
	for _, layout := range local {
		if t, err = time.ParseInLocation(layout, text, at); err != nil {
			continue
		}
		const wall = "2006-01-02 15:04:05.999999999"
		asked, _ := time.Parse(layout, text)
		shown := func(d time.Duration) bool { return t.Add(d).In(at).Format(wall) == asked.Format(wall) }
		if !shown(0) || shown(time.Hour) || shown(-time.Hour) {
			return t, true, usage("%q: the clocks of %s are changed then: give the time in UTC, or with its offset like +01:00", text, zone)
		}
		return t, true, nil
	}
	return t, false, nil
}
