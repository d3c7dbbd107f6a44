package vcenter

import (
	"reflect"
	"slices"
	"testing"
)

// reads are the calls that change nothing at a vCenter. Every other call must
// invalidate the inventory cache. Add a call here only if it changes nothing.
var reads = []string{"AutoStart", "HARestart", "About", "Inventory", "Watch", "CallTime", "VM", "Machines", "Tags", "Lacks", "Clocks", "Snapshots", "Changed", "DiskSize", "DiskUUID", "Filters"}

func TestEveryChangeInvalidatesTheInventoryCache(t *testing.T) {
	port := reflect.TypeFor[VCenter]()
	for i := range port.NumMethod() {
		name := port.Method(i).Name
		if slices.Contains(reads, name) {
			continue
		}
		changed := 0
		c := connection{changed: func() { changed++ }}
		func() {
			// Without a vCenter the call panics: so the cache is invalidated even then.
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not reach the vCenter", name)
				}
			}()
			call := reflect.ValueOf(c).MethodByName(name)
			args := make([]reflect.Value, call.Type().NumIn())
			for k := range args {
				args[k] = reflect.Zero(call.Type().In(k))
			}
			call.Call(args)
		}()
		if changed != 1 {
			t.Errorf("%s invalidates the cache %d times, want once", name, changed)
		}
	}
}

func TestReadPortsHaveReadsOnly(t *testing.T) {
	port := reflect.TypeFor[Reads]()
	for i := range port.NumMethod() {
		if name := port.Method(i).Name; !slices.Contains(reads, name) {
			t.Errorf("%s is part of Reads, which connections let pass, but is not known to change nothing", name)
		}
	}
	if port.NumMethod() != len(reads) {
		t.Errorf("Reads has %d methods, want %d", port.NumMethod(), len(reads))
	}
}
