# Gives the network cards of this guest their addresses at this site. Nothing else of the
# guest changes: not its name, its domain, its SID or its time zone.
$ErrorActionPreference = 'Stop'
trap { Write-Output $_.Exception.Message; exit 3 }
$suffix = ''

function domain($name) { $script:suffix = $name }

# A card that keeps its configuration.
function keep($mac) { }

function nic($mac, $v4, $gateway, $v6, $gateway6, $dns4, $dns6) {
	$want = $mac.Replace(':', '-').ToUpper()
	$card = Get-NetAdapter | Where-Object { $_.MacAddress -eq $want } | Select-Object -First 1
	if (-not $card) { throw "there is no network card $mac" }
	$i = $card.ifIndex
	foreach ($family in @(@('IPv4', $v4, $gateway, '0.0.0.0/0'), @('IPv6', $v6, $gateway6, '::/0'))) {
		$name, $list, $via, $all = $family
		if ($list -eq '') { continue }
		if ($name -eq 'IPv4') { Set-NetIPInterface -InterfaceIndex $i -AddressFamily IPv4 -Dhcp Disabled }
		Get-NetRoute -InterfaceIndex $i -AddressFamily $name -DestinationPrefix $all -ErrorAction SilentlyContinue |
			Remove-NetRoute -Confirm:$false
		Get-NetIPAddress -InterfaceIndex $i -AddressFamily $name -ErrorAction SilentlyContinue |
			Where-Object { $_.PrefixOrigin -ne 'WellKnown' -and $_.PrefixOrigin -ne 'RouterAdvertisement' } |
			Remove-NetIPAddress -Confirm:$false
		foreach ($a in $list.Split(',')) {
			$ip, $length = $a.Split('/')
			$give = @{ InterfaceIndex = $i; IPAddress = $ip; PrefixLength = [int]$length }
			if ($via -ne '') { $give.DefaultGateway = $via; $via = '' }
			New-NetIPAddress @give | Out-Null
		}
	}
	$servers = @(@($dns4, $dns6) | Where-Object { $_ -ne '' } | ForEach-Object { $_.Split(',') })
	if ($servers.Count -gt 0) { Set-DnsClientServerAddress -InterfaceIndex $i -ServerAddresses $servers }
	if ($suffix -ne '') { Set-DnsClient -InterfaceIndex $i -ConnectionSpecificSuffix $suffix }
	Write-Output "the addresses of $($card.Name) are set"
}

