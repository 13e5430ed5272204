package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// epoch is every file's and image's time. Not 1970: some tools read zero as "unset".
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// manifestEntry is one image of manifest.json (Docker image specification v1.2, "combined image JSON + filesystem changeset").
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// imageConfig is the part of an OCI image configuration that these images use; encoding/json writes it in this order.
type imageConfig struct {
	Architecture string        `json:"architecture"`
	OS           string        `json:"os"`
	Created      time.Time     `json:"created"`
	Config       runConfig     `json:"config"`
	RootFS       rootFS        `json:"rootfs"`
	History      []historyStep `json:"history"`
}

type runConfig struct {
	User       string            `json:",omitempty"`
	Env        []string          `json:",omitempty"`
	Entrypoint []string          `json:",omitempty"`
	Cmd        []string          `json:",omitempty"`
	WorkingDir string            `json:",omitempty"`
	Labels     map[string]string `json:",omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type historyStep struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// write puts the images into one docker archive.
func write(out io.Writer, arch, folder string, images []Image) error {
	archive := tar.NewWriter(out)
	manifest := make([]manifestEntry, 0, len(images))
	for _, image := range images {
		layer, err := layerOf(image, folder)
		if err != nil {
			return fmt.Errorf("image %s: %w", image.Names[0], err)
		}
		digest := sum(layer)
		config, err := json.Marshal(configOf(image, arch, digest))
		if err != nil {
			return err
		}
		entry := manifestEntry{Config: sum(config) + ".json", Layers: []string{digest + "/layer.tar"}}
		for _, name := range image.Names {
			entry.RepoTags = append(entry.RepoTags, normalised(name))
		}
		manifest = append(manifest, entry)
		if err := addFile(archive, entry.Config, 0o644, config); err != nil {
			return err
		}
		if err := addFile(archive, entry.Layers[0], 0o644, layer); err != nil {
			return err
		}
	}
	list, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := addFile(archive, "manifest.json", 0o644, list); err != nil {
		return err
	}
	return archive.Close()
}

// normalised spells a reference out as containerd stores it: docker.io/ before a name without a registry, library/ in one without a slash.
func normalised(name string) string {
	first, _, slash := strings.Cut(name, "/")
	switch {
	case !slash:
		return "docker.io/library/" + name
	case strings.ContainsAny(first, ".:") || first == "localhost":
		return name
	default:
		return "docker.io/" + name
	}
}

func configOf(image Image, arch, layerDigest string) imageConfig {
	return imageConfig{
		Architecture: arch,
		OS:           "linux",
		Created:      epoch,
		Config: runConfig{
			User:       image.User,
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Entrypoint: image.Entrypoint,
			Cmd:        image.Command,
			WorkingDir: "/",
			Labels:     map[string]string{"org.opencontainers.image.description": image.Truth},
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{"sha256:" + layerDigest}},
		History: []historyStep{{Created: epoch, CreatedBy: image.Truth}},
	}
}

// layerOf packs image.Folder as it stands (filepath.WalkDir goes in lexical order), owned by root, and the links after it.
func layerOf(image Image, folder string) ([]byte, error) {
	var buffer bytes.Buffer
	layer := tar.NewWriter(&buffer)
	root := filepath.Join(folder, image.Folder)
	err := filepath.WalkDir(root, func(path string, found fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := found.Info()
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			return layer.WriteHeader(header(tar.TypeDir, name+"/", tarMode(info.Mode())))
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return addFile(layer, name, tarMode(info.Mode()), content)
		default:
			return fmt.Errorf("%s is neither a file nor a directory", path)
		}
	})
	if err != nil {
		return nil, err
	}
	if image.Links != "" {
		names, err := os.ReadFile(filepath.Join(folder, image.Links))
		if err != nil {
			return nil, err
		}
		for _, name := range strings.Fields(string(names)) {
			link := header(tar.TypeSymlink, "bin/"+name, 0o777)
			link.Linkname = "/bin/busybox"
			if err := layer.WriteHeader(link); err != nil {
				return nil, err
			}
		}
	}
	if err := layer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// tarMode keeps the sticky bit of /tmp, which fs.FileMode has elsewhere.
func tarMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

func header(kind byte, name string, mode int64) *tar.Header {
	return &tar.Header{Typeflag: kind, Name: name, Mode: mode, ModTime: epoch, Format: tar.FormatUSTAR}
}

func addFile(archive *tar.Writer, name string, mode int64, content []byte) error {
	file := header(tar.TypeReg, name, mode)
	file.Size = int64(len(content))
	if err := archive.WriteHeader(file); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}
