package main

// Image is one image of the archive. Its only layer is the files below Folder, links added.
type Image struct {
	Names      []string // references as k3s's own archives have them, without docker.io/
	Folder     string   // below the folder being packed
	Links      string   // a file beside Folder that names, one a line, what to link to /bin/busybox in /bin; "" is none
	Entrypoint []string
	Command    []string
	User       string
	Truth      string // what it really is: the names promise more
}

// images are those a k3s with the roles' manifests asks for. Names and entry points: the images they stand for.
var images = []Image{
	{
		Names: []string{"rancher/mirrored-pause:3.6"}, Folder: "pause",
		Entrypoint: []string{"/pause"}, User: "65535:65535",
		Truth: "stand-in of the Heartwood lab for the pause container",
	},
	{
		Names: []string{"rancher/mirrored-library-busybox:1.37.0", "busybox:1.37"}, Folder: "busybox", Links: "busybox.applets",
		Command: []string{"sh"},
		Truth:   "Debian 12's busybox-static (1.35), under the name that manifests ask for",
	},
	{
		Names: []string{"rancher/mirrored-coredns-coredns:1.12.3"}, Folder: "coredns",
		Entrypoint: []string{"/coredns"},
		Truth:      "CoreDNS 1.12.3, built by the Heartwood lab with fewer plugins",
	},
	{
		Names: []string{"ghcr.io/kube-vip/kube-vip:v1.2.3"}, Folder: "kube-vip",
		Entrypoint: []string{"/kube-vip"},
		Truth:      "kube-vip stand-in of the Heartwood lab",
	},
}
