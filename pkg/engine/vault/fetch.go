package vault

import (
	"cmp"
	"slices"

	"golang.org/x/sync/errgroup"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/core/history"
)

// appendSources adds the runs of sectors in m, which an entry covers, to from.
func appendSources(from []source, base int, m cdp.Mask, e history.Entry) []source {
	first := firstSector(e.Mask)
	for s := 0; s < cdp.SectorsPerBlock; {
		if m&(1<<s) == 0 {
			s++
			continue
		}
		start := s
		for s < cdp.SectorsPerBlock && m&(1<<s) != 0 {
			s++
		}
		place := e.Place
		place.Off += uint32((start - first) * cdp.SectorSize)
		from = append(from, source{base + start*cdp.SectorSize, (s - start) * cdp.SectorSize, place})
	}
	return from
}

// fetchers is how many places of the journal or the replica are read in parallel:
// they are scattered, and a disk serves parallel reads faster.
const fetchers = 8

// fetch fills p from the places in the journal.
func (r *blockRead) fetch() error {
	if len(r.from) == 0 {
		return nil
	}
	slices.SortFunc(r.from, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.place.Frame, b.place.Frame), cmp.Compare(a.place.Off, b.place.Off))
	})
	// Neighbouring blocks of one write are neighbours in its payload.
	joined := r.from[:1]
	for _, s := range r.from[1:] {
		if k := &joined[len(joined)-1]; !s.place.Zero && !k.place.Zero && k.place.Frame == s.place.Frame &&
			k.place.Off+uint32(k.n) == s.place.Off && k.at+k.n == s.at {
			k.n += s.n
			continue
		}
		joined = append(joined, s)
	}
	if len(joined) <= fetchers/2 {
		return r.fetchSome(joined)
	}
	var eg errgroup.Group
	share := (len(joined) + fetchers - 1) / fetchers
	for len(joined) > 0 {
		some := joined[:min(share, len(joined))]
		joined = joined[len(some):]
		eg.Go(func() error { return r.fetchSome(some) })
	}
	return eg.Wait()
}

func (r *blockRead) fetchSome(from []source) error {
	for _, s := range from {
		if s.place.Zero {
			clear(r.p[s.at : s.at+s.n])
		} else if err := r.v.of.store.Payload(s.place.Frame, s.place.Off, r.p[s.at:s.at+s.n]); err != nil {
			if cdp.Is(err, cdp.Corrupt) {
				r.v.of.bad.payloads.note(s.place.Frame, err)
			}
			return err
		}
	}
	return nil
}
