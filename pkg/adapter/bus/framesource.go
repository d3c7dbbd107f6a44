package bus

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"time"

	"tidemark.dev/pkg/contract/subjects"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/engine/spool"
)

// FrameSource is spool.Source over JetStream: see there for what it promises.
// It may stand at the other side of the leaf node from the stream.
type FrameSource struct {
	conn *Conn
	site cdp.Site // where the stream stands
	grp  cdp.GroupID
	api  string
}

var _ spool.Source = (*FrameSource)(nil)

// OpenSource addresses the stream of group in the domain of site. Nothing is
// asked of the other side yet.
func OpenSource(conn *Conn, site cdp.Site, group cdp.GroupID) (*FrameSource, error) {
	if err := cdp.CheckName("site", string(site)); err != nil {
		return nil, err
	}
	if err := cdp.CheckName("group", string(group)); err != nil {
		return nil, err
	}
	return &FrameSource{conn: conn, site: site, grp: group, api: apiPrefix(site)}, nil
}

// PublishDurable implements spool.Source. The bytes are the frame number and
// the epoch, and if a frame is refused also that one's; all u64 little endian.
func (s *FrameSource) PublishDurable(d spool.Durable) error {
	return wrap(s.conn.nc.Publish(subjects.AckSubject(s.site, s.grp), packDurable(d)), "publish durable frame", string(s.grp))
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

// PurgeBefore implements spool.Source.
func (s *FrameSource) PurgeBefore(ctx context.Context, no cdp.FrameNo) error {
	if no <= 1 {
		return nil
	}
	req := struct {
		Sequence uint64 `json:"seq"`
	}{uint64(no)}
	return wrap(s.ask(ctx, "STREAM.PURGE."+subjects.FrameStream(s.grp), req, nil), "purge frames", string(s.grp))
}

// askTimeout is how long the API of the other site may take to answer.
const askTimeout = 2 * time.Second

// ask sends one request to the JetStream API of the stream's domain.
func (s *FrameSource) ask(ctx context.Context, verb string, in, out any) error {
	var data []byte
	if in != nil {
		data, _ = json.Marshal(in) // our own structs of numbers and strings
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := s.conn.nc.RequestWithContext(ctx, s.api+"."+verb, data)
	if err != nil {
		return err
	}
	var e struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return err
	}
	if e.Error != nil {
		return e.Error
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(m.Data, out)
}
