package oracle

import (
	"fmt"
	"os"
)

// MatchPrefix returns the longest prefix, in entries, that turns the base image
// into exactly the image; ok is false when none does. Both files are only read.
//
// It costs one reading of both files and one of the log: it carries the set of
// sectors in which the disk of each moment differs from the image, and a write
// changes that set only where it writes. A moment is equal when the set is empty.
func (l *Log) MatchPrefix(base, image string) (n int, ok bool, err error) {
	m, err := l.Compare(base, image)
	if err != nil {
		return 0, false, err
	}
	return m.Longest, m.Found, nil
}

// Match says how an image relates to the states its disk went through. Prefixes
// are in entries.
type Match struct {
	Found    bool
	Shortest int // the first prefix equal to the image
	Longest  int // the last one; entries between them may still change and change back
	// Nearest is the first prefix with the fewest differing sectors, Differing
	// their count (0 if Found), and Sample the place of the first of them in
	// bytes (-1 if Found).
	Nearest   int
	Differing int
	Sample    int64
}

// Compare is MatchPrefix with what to tell people when nothing matches.
func (l *Log) Compare(base, image string) (Match, error) {
	img, err := os.Open(image)
	if err != nil {
		return Match{}, fmt.Errorf("oracle: %w", err)
	}
	defer img.Close()
	m := Match{Differing: -1, Sample: -1}
	_, err = l.walk(base, img, len(l.Entries), func(prefix, count int) {
		if m.Differing < 0 || count < m.Differing {
			m.Nearest, m.Differing = prefix, count
		}
		if count == 0 {
			if !m.Found {
				m.Shortest = prefix
			}
			m.Found, m.Longest = true, prefix
		}
	})
	if err != nil || m.Found {
		return m, err
	}
	d, err := l.walk(base, img, m.Nearest, func(int, int) {})
	if err != nil {
		return m, err
	}
	m.Sample = d.first()
	return m, nil
}

// walk goes through the disk's states up to the prefix to, and calls note with
// each prefix and in how many sectors its state differs from the image.
func (l *Log) walk(base string, img *os.File, to int, note func(prefix, count int)) (*differing, error) {
	d, size, err := diff(base, img, l.SectorBytes)
	if err != nil {
		return nil, err
	}
	note(0, d.count)
	for i, e := range l.Entries[:to] {
		err := l.pieces(e, size, func(offset int64, b []byte) error { return d.write(img, offset, b) })
		if err != nil {
			return nil, fmt.Errorf("oracle: compare entry %d: %w", i, err)
		}
		note(i+1, d.count)
	}
	return d, nil
}
