package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func pack(t *testing.T, folder string) []byte {
	var out bytes.Buffer
	image := Image{Names: []string{"busybox:1"}, Folder: "box", Links: "box.applets", Command: []string{"sh"}}
	if err := write(&out, "arm64", folder, []Image{image}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func lay(t *testing.T) string {
	folder := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(folder, "box", "bin"), 0o755),
		os.Mkdir(filepath.Join(folder, "box", "tmp"), 0o755),
		os.Chmod(filepath.Join(folder, "box", "tmp"), 0o777|os.ModeSticky),
		os.WriteFile(filepath.Join(folder, "box", "bin", "busybox"), []byte("program"), 0o755),
		os.WriteFile(filepath.Join(folder, "box.applets"), []byte("sh\nwget\n"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestTheSameFilesGiveTheSameBytesWhateverTheirTimes(t *testing.T) {
	one, two := lay(t), lay(t)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(two, "box", "bin", "busybox"), later, later); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pack(t, one), pack(t, two)) {
		t.Error("two archives of the same files differ")
	}
}

func TestTheLayerHasTheFilesWithTheirModesOwnedByRootAndTheLinks(t *testing.T) {
	layer, err := layerOf(Image{Folder: "box", Links: "box.applets"}, lay(t))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]tar.Header{}
	for archive := tar.NewReader(bytes.NewReader(layer)); ; {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s is not root's", header.Name)
		}
		found[header.Name] = *header
	}
	if len(found) != 5 {
		t.Errorf("%d entries", len(found))
	}
	if mode := found["bin/busybox"].Mode; mode != 0o755 {
		t.Errorf("bin/busybox has mode %o", mode)
	}
	if mode := found["tmp/"].Mode; mode != 0o1777 {
		t.Errorf("tmp has mode %o", mode)
	}
	for _, name := range []string{"bin/sh", "bin/wget"} {
		if link := found[name]; link.Typeflag != tar.TypeSymlink || link.Linkname != "/bin/busybox" {
			t.Errorf("%s is %q to %q", name, link.Typeflag, link.Linkname)
		}
	}
}

func TestReferencesAreSpeltOutAsContainerdStoresThem(t *testing.T) {
	for given, want := range map[string]string{
		"busybox:1.37":                     "docker.io/library/busybox:1.37",
		"rancher/mirrored-pause:3.6":       "docker.io/rancher/mirrored-pause:3.6",
		"ghcr.io/kube-vip/kube-vip:v1.2.3": "ghcr.io/kube-vip/kube-vip:v1.2.3",
		"localhost/thing:1":                "localhost/thing:1",
		"registry:5000/thing:1":            "registry:5000/thing:1",
	} {
		if got := normalised(given); got != want {
			t.Errorf("%s became %s, not %s", given, got, want)
		}
	}
}
