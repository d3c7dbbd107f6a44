package vsphere

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"

	"tidemark.dev/pkg/cdp"
	"tidemark.dev/pkg/contract/inventory"
)

// Customize configures the addresses of a powered-off VM's guest at its next start.
// It needs VMware Tools in the guest. The same configuration again does nothing.
// Conflict: another customization is pending. Invalid: the number of NICs differs
// from the VM's, or the server is an ESXi host without a vCenter.
func (c *Client) Customize(ctx context.Context, vm inventory.Ref, id inventory.Identity) error {
	const op = "customize the guest"
	ref, err := vmRef(vm)
	if err != nil {
		return err
	}
	if c.about.ESX {
		return cdp.Errorf(cdp.Invalid, op, ref.String(), "an ESXi host without a vCenter cannot configure guest addresses").
			WithHint("leave out re-IP, or add the host to a vCenter")
	}
	if err := c.mustBeOff(ctx, op, ref); err != nil {
		return err
	}
	m, err := c.config(ctx, op, ref)
	if err != nil {
		return err
	}
	cards := cardsOf(m.Config.Hardware.Device)
	if len(cards) != len(id.NICs) {
		return cdp.Errorf(cdp.Invalid, op, ref.String(), "addresses are given for %d NICs, but it has %d", len(id.NICs), len(cards))
	}
	print := fingerprint(id)
	if m.Config.Tools != nil && m.Config.Tools.PendingCustomization != "" {
		if settings(m)[settingIdentity] == print {
			return nil
		}
		return cdp.Errorf(cdp.Conflict, op, ref.String(), "an earlier customization is still pending").
			WithHint("start the VM once to complete it, or recreate the VM")
	}
	if err := c.Label(ctx, vm, "", "", map[string]string{settingIdentity: print}); err != nil {
		return err
	}
	spec := customization(id, cards)
	_, err = c.task(ctx, op, ref.String(), func(ctx context.Context, v *vim25.Client) (*object.Task, error) {
		return object.NewVirtualMachine(v, ref).Customize(ctx, spec)
	})
	return err
}

func fingerprint(id inventory.Identity) string {
	b, _ := json.Marshal(id) // strings and lists of them cannot fail
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// customization is the specification for the vCenter. It follows the order of the
// cards.
func customization(id inventory.Identity, cards []types.BaseVirtualEthernetCard) types.CustomizationSpec {
	spec := types.CustomizationSpec{
		GlobalIPSettings: types.CustomizationGlobalIPSettings{DnsServerList: id.DNS},
	}
	host, domain, _ := strings.Cut(id.HostName, ".")
	if id.Domain != "" {
		domain = id.Domain
	}
	if domain != "" {
		spec.GlobalIPSettings.DnsSuffixList = []string{domain}
	}
	var name types.BaseCustomizationName = &types.CustomizationVirtualMachineName{}
	if host != "" {
		name = &types.CustomizationFixedName{Name: host}
	}
	for i, n := range id.NICs {
		a := types.CustomizationIPSettings{Ip: &types.CustomizationDhcpIpGenerator{}, DnsServerList: n.DNS}
		if n.IP != "" {
			a.Ip, a.SubnetMask = &types.CustomizationFixedIp{IpAddress: n.IP}, n.Mask
			if n.Gateway != "" {
				a.Gateway = []string{n.Gateway}
			}
		}
		a.IpV6Spec = specV6(n)
		if id.Windows {
			a.DnsDomain = domain
			if len(a.DnsServerList) == 0 {
				a.DnsServerList = id.DNS // Windows knows no global ones
			}
		}
		m := types.CustomizationAdapterMapping{Adapter: a}
		// A NIC with a fixed MAC address is found by it; others have none before
		// the first start.
		if card := cards[i].GetVirtualEthernetCard(); card.AddressType == string(types.VirtualEthernetCardMacTypeManual) {
			m.MacAddress = card.MacAddress
		}
		spec.NicSettingMap = append(spec.NicSettingMap, m)
	}
	if id.Windows {
		spec.GlobalIPSettings.DnsServerList = nil
		spec.Options = &types.CustomizationWinOptions{Reboot: types.CustomizationSysprepRebootOptionReboot}
		spec.Identity = &types.CustomizationSysprep{
			GuiUnattended:  types.CustomizationGuiUnattended{TimeZone: 85}, // GMT; the clock is left alone
			UserData:       types.CustomizationUserData{FullName: "Tidemark", OrgName: "Tidemark", ComputerName: name},
			Identification: types.CustomizationIdentification{},
		}
		return spec
	}
	if domain == "" {
		domain = "localdomain" // it must have one
	}
	spec.Options = &types.CustomizationLinuxOptions{}
	spec.Identity = &types.CustomizationLinuxPrep{HostName: name, Domain: domain}
	return spec
}

// specV6 are the IPv6 addresses of a NIC; nil for none.
func specV6(n inventory.NICIdentity) *types.CustomizationIPSettingsIpV6AddressSpec {
	if len(n.IPv6) == 0 {
		return nil
	}
	out := &types.CustomizationIPSettingsIpV6AddressSpec{}
	for _, s := range n.IPv6 {
		if p, err := netip.ParsePrefix(s); err == nil {
			out.Ip = append(out.Ip, &types.CustomizationFixedIpV6{IpAddress: p.Addr().String(), SubnetMask: int32(p.Bits())})
		}
	}
	if n.GatewayV6 != "" {
		out.Gateway = []string{n.GatewayV6}
	}
	return out
}
