package main

import (
	"tidemark.dev/pkg/adapter/blockfile"
	"tidemark.dev/pkg/adapter/nbd"
	"tidemark.dev/pkg/contract/api"
	"tidemark.dev/services/capture"
)

func openDisk(path string, readOnly bool) (capture.Disk, error) {
	f, err := blockfile.Open(path, readOnly)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// diskServers serve the disks of captured groups over NBD.
type diskServers struct{}

func (diskServers) Serve(at capture.Listen, disks []capture.ServedDisk, _ func(error)) (capture.DiskServer, error) {
	var exports []nbd.Export
	for _, d := range disks {
		exports = append(exports, nbd.Export{Name: d.Name, Backend: d.Device, MultiConn: d.Shared,
			OnConnect:    func(nbd.Peer) error { d.Connected(); return nil },
			OnDisconnect: func(_ nbd.Peer, clean bool) { d.Disconnected(clean) }})
	}
	return nbd.Serve(at.Address, nbd.Config{}, exports...)
}

func (diskServers) Ready(capture.Listen) error { return nil }

func (diskServers) Look(address string) api.DiskFacts {
	return api.DiskFacts{Path: address, Kind: api.PathMissing}
}

func (diskServers) URI(at capture.Listen, disk string) string {
	return "nbd+unix:///" + disk + "?socket=" + at.Address
}
