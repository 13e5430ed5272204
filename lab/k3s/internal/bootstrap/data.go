// Package bootstrap shares what servers must have in common (CAs, keys, passwords): over HTTP to a joiner, and in the
// datastore, encrypted with the token.
package bootstrap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"lab/k3s/internal/cluster"
	"lab/k3s/internal/pki"
)

// File is one shared file (k3s-captures/07-http.txt, /v1-k3s/server-bootstrap).
type File struct {
	Timestamp time.Time
	Content   []byte
}

// Data is every shared file by its name in the exchange.
type Data map[string]File

// paths are where the shared files are, by their names in the exchange.
func paths(n *cluster.Node) map[string]string {
	return map[string]string{
		"ClientCA": n.TLS("client-ca.crt"), "ClientCAKey": n.TLS("client-ca.key"),
		"ETCDPeerCA": n.TLS("etcd/peer-ca.crt"), "ETCDPeerCAKey": n.TLS("etcd/peer-ca.key"),
		"ETCDServerCA": n.TLS("etcd/server-ca.crt"), "ETCDServerCAKey": n.TLS("etcd/server-ca.key"),
		"IPSECKey": n.Server("cred/ipsec.psk"), "PasswdFile": n.Server("cred/passwd"),
		"RequestHeaderCA": n.TLS("request-header-ca.crt"), "RequestHeaderCAKey": n.TLS("request-header-ca.key"),
		"ServerCA": n.TLS("server-ca.crt"), "ServerCAKey": n.TLS("server-ca.key"),
		"ServiceKey": n.TLS("service.key"),
	}
}

// Read collects the shared files from disk.
func Read(n *cluster.Node) (Data, error) {
	data := Data{}
	for name, path := range paths(n) {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		data[name] = File{Timestamp: info.ModTime().UTC(), Content: text}
	}
	return data, nil
}

// Write lays the shared files down.
func (d Data) Write(n *cluster.Node) error {
	for name, path := range paths(n) {
		file, found := d[name]
		if !found {
			continue
		}
		mode := os.FileMode(0o600)
		if strings.HasSuffix(path, ".crt") {
			mode = 0o644
		}
		if err := pki.Write(path, file.Content, mode); err != nil {
			return err
		}
	}
	return nil
}

// Prefix is where bootstrap data is kept in the datastore.
const Prefix = "/bootstrap/"

// Key is where the data of one password is kept: a short hash, so that a wrong password finds nothing.
func Key(password string) string { return Prefix + ShortHash(password) }

// ShortHash is the first 12 hex digits of a password's SHA-256.
func ShortHash(password string) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:])[:12]
}

// Seal encrypts data with the password: `salt:base64(nonce, AES-GCM)`.
func (d Data) Seal(password string) (string, error) {
	plain, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	salt := pki.RandomHex(8)
	gcm, err := aead(password, salt)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return "", err
	}
	return salt + ":" + base64.StdEncoding.EncodeToString(gcm.Seal(nonce, nonce, plain, nil)), nil
}

// Open decrypts what Seal made.
func Open(sealed, password string) (Data, error) {
	salt, text, found := strings.Cut(sealed, ":")
	if !found {
		return nil, errors.New("invalid cipher text, not : delimited")
	}
	box, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	gcm, err := aead(password, salt)
	if err != nil {
		return nil, err
	}
	if len(box) < gcm.NonceSize() {
		return nil, errors.New("invalid cipher text")
	}
	plain, err := gcm.Open(nil, box[:gcm.NonceSize()], box[gcm.NonceSize():], nil)
	if err != nil {
		return nil, fmt.Errorf("failed to decrypt bootstrap data: %w", err)
	}
	var data Data
	return data, json.Unmarshal(plain, &data)
}

func aead(password, salt string) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha1.New, password, []byte(salt), 4096, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
