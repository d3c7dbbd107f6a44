package vsphere

import (
	"context"
	"path"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// MakeDisk makes a thin disk of at least size bytes (whole KiB), and its folder if
// needed. Conflict: the file exists.
func (c *Client) MakeDisk(ctx context.Context, dc inventory.Ref, file string, size int64) error {
	const op = "make a disk"
	ref, p, err := diskFile(op, dc, file)
	if err != nil {
		return err
	}
	if size <= 0 {
		return cdp.Errorf(cdp.Invalid, op, file, "a disk of %d bytes", size)
	}
	if dir := path.Dir(p.Path); dir != "." {
		if err := c.makeFolder(ctx, op, ref, object.DatastorePath{Datastore: p.Datastore, Path: dir}); err != nil {
			return err
		}
	}
	_, err = c.task(ctx, op, file, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualDiskManager(v).CreateVirtualDisk(ctx, file, object.NewDatacenter(v, ref),
			&types.FileBackedVirtualDiskSpec{
				VirtualDiskSpec: types.VirtualDiskSpec{
					// Descriptors have this for every SCSI controller but BusLogic.
					AdapterType: string(types.VirtualDiskAdapterTypeLsiLogic),
					DiskType:    string(types.VirtualDiskTypeThin),
				},
				CapacityKb: (size + 1023) / 1024,
			})
	})
	return err
}

func (c *Client) makeFolder(ctx context.Context, op string, dc types.ManagedObjectReference, dir object.DatastorePath) error {
	return c.do(ctx, op, dir.String(), func(ctx context.Context, v *vim25.Client) error {
		err := object.NewFileManager(v).MakeDirectory(ctx, dir.String(), object.NewDatacenter(v, dc), true)
		if isFault[*types.FileAlreadyExists](err) {
			return nil
		}
		return err
	})
}

// DeleteDisk deletes a disk that no VM uses, if it has the UUID; an empty one means
// any. It is no error if it does not exist. Conflict: it is in use, or is another disk.
func (c *Client) DeleteDisk(ctx context.Context, dc inventory.Ref, file, uuid string) error {
	const op = "delete a disk"
	ref, _, err := diskFile(op, dc, file)
	if err != nil {
		return err
	}
	if uuid != "" {
		is, err := c.DiskUUID(ctx, dc, file)
		switch {
		case cdp.Is(err, cdp.NotFound):
			return nil
		case err != nil:
			return cdp.Wrap(err, op, file)
		case !strings.EqualFold(is, uuid):
			return cdp.Errorf(cdp.Conflict, op, file, "it is another disk: its UUID is %s, not %s", is, uuid).
				WithHint("nothing was deleted; look where the disk of that UUID is now")
		}
	}
	_, err = c.task(ctx, op, file, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualDiskManager(v).DeleteVirtualDisk(ctx, file, object.NewDatacenter(v, ref))
	})
	if cdp.Is(err, cdp.NotFound) {
		return nil
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	// Not every server reports a missing file; the folder shows it.
	if _, gone := c.DiskSize(ctx, dc, file); cdp.Is(gone, cdp.NotFound) {
		return nil
	}
	return err
}

// DiskUUID is a disk file's UUID, whether a VM uses it or not. It has the form of a
// VM's disks, but perhaps other capitals. NotFound: there is no such file.
func (c *Client) DiskUUID(ctx context.Context, dc inventory.Ref, file string) (string, error) {
	const op = "look up a disk's UUID"
	ref, _, err := diskFile(op, dc, file)
	if err != nil {
		return "", err
	}
	var raw string
	err = c.do(ctx, op, file, func(ctx context.Context, v *vim25.Client) (err error) {
		raw, err = object.NewVirtualDiskManager(v).QueryVirtualDiskUuid(ctx, file, object.NewDatacenter(v, ref))
		return err
	})
	if err != nil {
		return "", err
	}
	hex := strings.NewReplacer(" ", "", "-", "").Replace(raw)
	if len(hex) != 32 {
		return "", cdp.Errorf(cdp.Conflict, op, file, "the vCenter reports the UUID %q: its descriptor may be damaged", raw)
	}
	return strings.Join([]string{hex[:8], hex[8:12], hex[12:16], hex[16:20], hex[20:]}, "-"), nil
}

// DiskSize is a disk file's capacity in bytes, whether a VM uses it or not.
// NotFound: there is no such file.
func (c *Client) DiskSize(ctx context.Context, dc inventory.Ref, file string) (int64, error) {
	const op = "look up a disk"
	ref, p, err := diskFile(op, dc, file)
	if err != nil {
		return 0, err
	}
	browser, err := c.browser(ctx, op, ref, p.Datastore)
	if err != nil {
		return 0, err
	}
	dir := object.DatastorePath{Datastore: p.Datastore, Path: path.Dir(p.Path)}
	if dir.Path == "." {
		dir.Path = ""
	}
	res, err := c.task(ctx, op, file, func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		t, err := methods.SearchDatastore_Task(ctx, v, &types.SearchDatastore_Task{
			This: browser, DatastorePath: dir.String(),
			SearchSpec: &types.HostDatastoreBrowserSearchSpec{
				MatchPattern: []string{path.Base(p.Path)},
				Details:      &types.FileQueryFlags{FileType: true, FileSize: true},
				Query:        []types.BaseFileQuery{&types.VmDiskFileQuery{Details: &types.VmDiskFileQueryFlags{CapacityKb: true, DiskType: true}}},
			}})
		if err != nil {
			return nil, err
		}
		return object.NewTask(v, t.Returnval), nil
	})
	if err != nil {
		return 0, err
	}
	found, _ := res.(types.HostDatastoreBrowserSearchResults)
	for _, f := range found.File {
		d, ok := f.(*types.VmDiskFileInfo)
		if !ok || path.Base(d.Path) != path.Base(p.Path) {
			continue
		}
		if d.CapacityKb == 0 {
			return 0, cdp.Errorf(cdp.Conflict, op, file, "the datastore does not report its capacity: its descriptor may be damaged")
		}
		return d.CapacityKb << 10, nil
	}
	return 0, cdp.Errorf(cdp.NotFound, op, file, "there is no such disk")
}

// browser is the browser of a datastore, by name.
func (c *Client) browser(ctx context.Context, op string, dc types.ManagedObjectReference, datastore string) (types.ManagedObjectReference, error) {
	var out types.ManagedObjectReference
	err := c.do(ctx, op, datastore, func(ctx context.Context, v *vim25.Client) error {
		pc := property.DefaultCollector(v)
		var d mo.Datacenter
		if err := pc.RetrieveOne(ctx, dc, []string{"datastore"}, &d); err != nil {
			return err
		}
		var stores []mo.Datastore
		if len(d.Datastore) > 0 {
			if err := pc.Retrieve(ctx, d.Datastore, []string{"name", "browser"}, &stores); err != nil {
				return err
			}
		}
		for _, s := range stores {
			if inventory.Unescape(s.Name) == inventory.Unescape(datastore) {
				out = s.Browser
				return nil
			}
		}
		return cdp.Errorf(cdp.NotFound, op, datastore, "the datacenter has no such datastore")
	})
	return out, err
}

// diskFile parses a disk file's path.
func diskFile(op string, dc inventory.Ref, file string) (types.ManagedObjectReference, object.DatastorePath, error) {
	ref, err := morOf(dc, "Datacenter")
	store, rest, ok := inventory.SplitFile(file)
	p := object.DatastorePath{Datastore: store, Path: rest}
	if err == nil && (!ok || path.Ext(rest) != ".vmdk") {
		err = cdp.Errorf(cdp.Invalid, op, file, "it does not have the form [datastore] folder/name.vmdk")
	}
	return ref, p, err
}
