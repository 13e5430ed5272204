// Package payload is what a k3s carries behind itself: a compressed tar of its programs, and a trailer that says how long it
// is and which one.
package payload

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// magic ends a file with a payload; before it are the payload's SHA-256 and its length (8 bytes, big endian).
const magic = "K3SSTANDIN-1"

const trailer = sha256.Size + 8 + len(magic)

// Payload is an opened one.
type Payload struct {
	// Hash is the hex SHA-256 of the compressed bytes; it names the directory it is unpacked to.
	Hash   string
	file   *os.File
	offset int64
	length int64
}

// Open finds the payload behind an executable.
func Open(path string) (*Payload, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	end := make([]byte, trailer)
	if _, err := file.ReadAt(end, info.Size()-int64(trailer)); err != nil || string(end[sha256.Size+8:]) != magic {
		file.Close()
		return nil, errors.New("nothing is packed behind this program")
	}
	length := int64(binary.BigEndian.Uint64(end[sha256.Size:]))
	return &Payload{Hash: hex.EncodeToString(end[:sha256.Size]), file: file, offset: info.Size() - int64(trailer) - length, length: length}, nil
}

// Unpack writes every program below dir.
func (p *Payload) Unpack(dir string) error {
	sum := sha256.New()
	decoder, err := zstd.NewReader(io.TeeReader(io.NewSectionReader(p.file, p.offset, p.length), sum))
	if err != nil {
		return err
	}
	defer decoder.Close()
	archive := tar.NewReader(decoder)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.Clean("/"+header.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fs.FileMode(header.Mode))
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, archive); err != nil {
			file.Close()
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, decoder); err != nil {
		return err
	}
	if found := hex.EncodeToString(sum.Sum(nil)); found != p.Hash {
		return fmt.Errorf("the packed programs are damaged: sha256 %s, expected %s", found, p.Hash)
	}
	return nil
}

// Pack appends a directory's files to an executable.
func Pack(program, dir, out string) error {
	var buffer bytes.Buffer
	encoder, err := zstd.NewWriter(&buffer, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(64<<20))
	if err != nil {
		return err
	}
	archive := tar.NewWriter(encoder)
	var names []string
	if err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			names = append(names, path)
		}
		return err
	}); err != nil {
		return err
	}
	sort.Strings(names)
	for _, path := range names {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(buffer.Bytes())
	text = append(text, buffer.Bytes()...)
	text = append(text, sum[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(buffer.Len()))
	text = append(text, magic...)
	if err := os.WriteFile(out+".new", text, 0o755); err != nil {
		return err
	}
	return os.Rename(out+".new", out)
}
