package vcsim

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/vim25/types"
)

// image is one virtual disk with its snapshots.
//
// Invariants: exactly one node is live, unless the disk was deleted while snapshots
// keep parts of it. The live node is a leaf and no snapshot's, and its file is the
// base's flat file. The files of all other nodes are frozen.
type image struct {
	uuid  string
	size  int64 // bytes
	flat  string
	nodes []*node
	live  *node
	track *tracker // nil: no changed block tracking
	next  int      // number of the last child's name
	base  string   // the base's datastore path
}

// node is one file of the disk, as the API shows it.
type node struct {
	name   string // datastore path of the descriptor
	file   string // local file with the content
	parent *node
	// snap is the snapshot that keeps this node; empty for the live one, and for
	// nodes that wait for consolidation.
	snap string
	// cut is the state of changed block tracking when the node was frozen.
	cut cut
}

// open finds or loads the image with a node of this name.
func (s *Site) open(name string) (*image, *node, error) {
	name = canonical(name)
	s.mu.Lock()
	im := s.images[name]
	s.mu.Unlock()
	if im == nil {
		file, err := s.local(name)
		if err != nil {
			return nil, nil, err
		}
		d, err := readDescriptor(file)
		if err != nil {
			return nil, nil, err
		}
		im = &image{uuid: parseUUID(d.DDB["uuid"]), size: d.Capacity(), flat: flatName(file), base: name}
		if im.uuid == "" {
			im.uuid = newDiskUUID()
			if err = writeDescriptor(file, im.size, im.uuid); err != nil {
				return nil, nil, err
			}
		}
		if err = grow(im.flat, im.size); err != nil {
			return nil, nil, err
		}
		im.live = &node{name: name, file: im.flat}
		im.nodes = []*node{im.live}
		s.mu.Lock()
		s.images[name] = im
		s.mu.Unlock()
	}
	return im, im.node(name), nil
}

func (im *image) node(name string) *node {
	for _, n := range im.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

func (im *image) children(n *node) []*node {
	var r []*node
	for _, c := range im.nodes {
		if c.parent == n {
			r = append(r, c)
		}
	}
	return r
}

// freeze gives the live node to the snapshot, with a frozen copy that exists
// already, and puts a new live node under it.
func (s *Site) freeze(im *image, snap, frozen string) error {
	child, err := s.child(im, im.live)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	im.live.snap, im.live.file = snap, frozen
	im.nodes = append(im.nodes, child)
	im.live = child
	s.images[child.name] = im
	return nil
}

// child is a new node whose file is the flat one.
func (s *Site) child(im *image, parent *node) (*node, error) {
	for {
		im.next++
		name := fmt.Sprintf("%s-%06d.vmdk", strings.TrimSuffix(im.base, ".vmdk"), im.next)
		file, err := s.local(name)
		if err != nil {
			return nil, err
		}
		if _, err = os.Stat(file); err == nil {
			continue
		}
		if err = writeDescriptor(file, im.size, im.uuid); err != nil {
			return nil, err
		}
		return &node{name: name, file: im.flat, parent: parent}, nil
	}
}

func (s *Site) frozenFile(im *image) string {
	return filepath.Join(s.cfg.Dir, "frozen", uuid.NewString()+"-"+filepath.Base(im.flat))
}

// tidy merges nodes that no snapshot keeps. Nodes that busy names stay, and tidy
// reports them. renamed maps old names to new ones.
func (s *Site) tidy(im *image, busy func(name string) bool) (renamed map[string]string, left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	renamed = map[string]string{}
	for again := true; again; {
		again, left = false, false
		for _, n := range slices.Clone(im.nodes) {
			if n == im.live || n.snap != "" {
				continue
			}
			kids := im.children(n)
			if len(kids) > 1 {
				continue // a base that two branches need
			}
			if busy(n.name) || len(kids) == 1 && busy(kids[0].name) {
				left = true
				continue
			}
			if len(kids) == 0 {
				s.dropNode(im, n)
			} else {
				s.merge(im, n, kids[0], renamed)
			}
			again = true
			break
		}
	}
	return renamed, left
}

// merge moves a child's content to its parent's name.
func (s *Site) merge(im *image, n, child *node, renamed map[string]string) {
	if n.file != im.flat {
		_ = os.Remove(n.file)
	}
	n.file, n.snap, n.cut = child.file, child.snap, child.cut
	for _, c := range im.children(child) {
		c.parent = n
	}
	if im.live == child {
		im.live = n
	}
	for from, to := range renamed {
		if to == child.name {
			renamed[from] = n.name
		}
	}
	renamed[child.name] = n.name
	child.file = im.flat // its content lives on: only the name goes
	s.dropNode(im, child)
}

// dropNode drops a node and removes its files; mu is held. The flat file is removed
// only with the image.
func (s *Site) dropNode(im *image, n *node) {
	im.nodes = slices.DeleteFunc(im.nodes, func(x *node) bool { return x == n })
	delete(s.images, n.name)
	if n.file != im.flat {
		_ = os.Remove(n.file)
	}
	if file, err := s.local(n.name); err == nil {
		_ = os.Remove(file)
	}
}

// deleteImage removes a disk with everything that its snapshots keep.
func (s *Site) deleteImage(im *image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range slices.Clone(im.nodes) {
		s.dropNode(im, n)
	}
	im.live = nil
	_ = os.Remove(im.flat)
}

// backing shows a node as the API does, with its parents.
func (im *image) backing(like types.VirtualDiskFlatVer2BackingInfo, n *node) *types.VirtualDiskFlatVer2BackingInfo {
	b := like
	b.FileName, b.Uuid, b.ChangeId, b.Parent = n.name, im.uuid, n.cut.changeID(), nil
	if n.parent != nil {
		b.Parent = im.backing(like, n.parent)
	}
	return &b
}
