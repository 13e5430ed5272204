// assemble writes container images, without a container engine, as one archive that `docker load` and containerd's import read: a tar of
// manifest.json, and per image a config and one layer. The same files give the same bytes.
//
//	assemble ARCH FOLDER > archive.tar
//
// FOLDER holds what is to be packed, laid out as images.go says: pause/pause, busybox/bin/busybox, busybox.applets, coredns/coredns,
// kube-vip/kube-vip.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 || (os.Args[1] != "amd64" && os.Args[1] != "arm64") {
		fmt.Fprintln(os.Stderr, "usage: assemble amd64|arm64 FOLDER > archive.tar")
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1], os.Args[2], images); err != nil {
		fmt.Fprintln(os.Stderr, "assemble:", err)
		os.Exit(1)
	}
}
