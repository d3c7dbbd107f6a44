package appliance

import (
	"testing"

	"tidemark.dev/pkg/cdp"
)

// What somebody fills in who deploys the OVA at a vCenter is read; the VM's advanced
// settings come first.
func TestPropertiesOfTheOVAAreSettings(t *testing.T) {
	const env = `<?xml version="1.0" encoding="UTF-8"?>
<Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:oe="http://schemas.dmtf.org/ovf/environment/1" xmlns:ve="http://www.vmware.com/schema/ovfenv" oe:id="" ve:vCenterId="vm-7">
  <PlatformSection><Kind>VMware ESXi</Kind></PlatformSection>
  <PropertySection>
    <Property oe:key="guestinfo.tidemark.site" oe:value="dr"/>
    <Property oe:key="guestinfo.tidemark.nats" oe:value="nats://10.9.0.2:4222/?a=1&amp;b=2"/>
    <Property oe:key="guestinfo.tidemark.peers" oe:value=""/>
  </PropertySection>
  <ve:EthernetAdapterSection><ve:Adapter ve:mac="00:50:56:00:00:01" ve:network="Management" ve:unitNumber="7"/></ve:EthernetAdapterSection>
</Environment>`
	has := map[string]string{"guestinfo.tidemark.name": "tm", ovfEnv: env}
	get := func(name string) (string, error) { return has[name], nil }
	for key, want := range map[string]string{"name": "tm", "site": "dr", "nats": "nats://10.9.0.2:4222/?a=1&b=2", "peers": "", "ntp": ""} {
		if got, err := setting(get, key); got != want || err != nil {
			t.Errorf("%s is %q, %v", key, got, err)
		}
	}
	has["guestinfo.tidemark.site"] = "prod"
	if got, err := setting(get, "site"); got != "prod" || err != nil {
		t.Error(got, err)
	}
	for _, bad := range []string{"site=dr", "<Environment>", "<Other/>"} {
		has[ovfEnv] = bad
		if got, err := setting(get, "nats"); got != "" || err != nil && !cdp.Is(err, cdp.Invalid) || bad == "site=dr" && err == nil {
			t.Errorf("%s: %q, %v", bad, got, err)
		}
	}
}
