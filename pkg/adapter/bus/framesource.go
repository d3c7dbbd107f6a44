package bus

import (
	"encoding/binary"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

// FrameSource is spool.Source over JetStream: see there for what it promises.
// The stream may be at another site, on the far side of a link.
type FrameSource struct {
	conn *Conn
	site cdp.Site // where the group is captured
	grp  cdp.GroupID
}

var _ spool.Source = (*FrameSource)(nil)

// OpenSource addresses the stream of a group that is captured at site. Nothing
// is asked of the other side yet.
func OpenSource(conn *Conn, site cdp.Site, group cdp.GroupID) (*FrameSource, error) {
	if err := cdp.CheckName("site", string(site)); err != nil {
		return nil, err
	}
	if err := cdp.CheckName("group", string(group)); err != nil {
		return nil, err
	}
	return &FrameSource{conn: conn, site: site, grp: group}, nil
}

// request is the subject of a request to the consumer of this site's frames.
func (s *FrameSource) request(verb string) string {
	own := s.conn.site
	return apiPrefix(own, s.site) + ".CONSUMER." + verb + "." + subjects.FrameStream(s.grp) + "." + subjects.FrameConsumer(own)
}

// PublishDurable implements spool.Source. The bytes are the frame number and
// the epoch, and if a frame is refused also that one's; all u64 little endian.
func (s *FrameSource) PublishDurable(d spool.Durable) error {
	return wrap(s.conn.nc.Publish(subjects.AckSubject(s.site, s.conn.site, s.grp), packDurable(d)), "publish durable frame", string(s.grp))
}

func packDurable(d spool.Durable) []byte {
	b := make([]byte, 0, 32)
	b = binary.LittleEndian.AppendUint64(b, uint64(d.No))
	b = binary.LittleEndian.AppendUint64(b, uint64(d.Epoch))
	if d.Refused != 0 {
		b = binary.LittleEndian.AppendUint64(b, uint64(d.Refused))
		b = binary.LittleEndian.AppendUint64(b, uint64(d.By))
	}
	return b
}

func unpackDurable(b []byte) (d spool.Durable, ok bool) {
	if len(b) != 16 && len(b) != 32 {
		return d, false
	}
	d.No = cdp.FrameNo(binary.LittleEndian.Uint64(b))
	d.Epoch = cdp.Epoch(binary.LittleEndian.Uint64(b[8:]))
	if len(b) == 32 {
		d.Refused = cdp.FrameNo(binary.LittleEndian.Uint64(b[16:]))
		d.By = cdp.Epoch(binary.LittleEndian.Uint64(b[24:]))
	}
	return d, true
}
