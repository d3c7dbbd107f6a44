package vcenter

import (
	"context"
	"slices"
	"strings"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// dataDisk is the disk on which a transporter of Tidemark's own OVA keeps everything.
type dataDisk struct {
	File string `json:"file"`
	UUID string `json:"uuid"`
}

// dataOf is a transporter's data disk, if it is of Tidemark's own OVA.
func dataOf(v inventory.VM) (dataDisk, bool) {
	at := v.Mark(inventory.MarkData)
	i := slices.IndexFunc(v.Hardware.Disks, func(d inventory.Disk) bool { return at != "" && v.Hardware.Address(d) == at })
	if i < 0 {
		return dataDisk{}, false
	}
	return dataDisk{v.Hardware.Disks[i].File, v.Hardware.Disks[i].UUID}, true
}

// givesData: the VM that the upgrade replaces has a data disk for the new one.
func (d *deployment) givesData(ctx context.Context) bool {
	if d.rec.Value.Old == "" {
		return false
	}
	v, err := d.cache.vmAt(ctx, d.vc, d.rec.Value.Old)
	_, gives := dataOf(v)
	return err == nil && gives
}

// giveData moves the data disk of the old VM, which is off, to the new one, which was not
// started yet. It is idempotent.
func (d *deployment) giveData(ctx context.Context, fresh inventory.Ref) error {
	data := d.rec.Value.Data
	if data == (dataDisk{}) {
		return nil
	}
	d.tell("moves the journals to the new one", 0, 0)
	return d.moveData(ctx, data, d.rec.Value.Old, fresh)
}

// returnData gives the data disk back to the old VM. fresh is empty if the new VM is gone.
func (d *deployment) returnData(ctx context.Context, fresh inventory.Ref) error {
	data := d.rec.Value.Data
	if data == (dataDisk{}) {
		return nil
	}
	if fresh != "" {
		if err := d.vc.PowerOff(ctx, fresh); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	return d.moveData(ctx, data, fresh, d.rec.Value.Old)
}

// moveData detaches the disk from one VM, if there is one, and attaches it to another, to
// which it belongs from then on.
func (d *deployment) moveData(ctx context.Context, data dataDisk, from, to inventory.Ref) error {
	if from != "" {
		if err := d.vc.Unplug(ctx, from, []string{data.File}); err != nil && !cdp.Is(err, cdp.NotFound) {
			return err
		}
	}
	if _, err := d.vc.Plug(ctx, to, []inventory.Plug{{File: data.File, UUID: data.UUID, Address: inventory.OwnData}}); err != nil {
		return err
	}
	v, err := d.cache.vmAt(ctx, d.vc, to)
	if err != nil {
		return err
	}
	own := strings.Split(v.Mark(inventory.MarkDisks), ",")
	if slices.Contains(own, data.UUID) {
		return nil
	}
	return d.vc.Label(ctx, to, "", "", map[string]string{inventory.MarkDisks: strings.Join(append(own, data.UUID), ",")})
}
