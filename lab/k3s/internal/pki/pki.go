// Package pki makes and reads the certificates of a cluster: ECDSA P-256, CAs of ten years, leaves of one, each leaf
// file with its CA behind it (k3s-captures/11-cert.txt, 05-tree.txt).
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const day = 24 * time.Hour

// renewBefore is how long before its end a leaf is made anew at start (k3s: 120 days).
const renewBefore = 120 * day

// Authority is a CA that can sign.
type Authority struct {
	PEM  []byte
	cert *x509.Certificate
	key  crypto.Signer
}

// EnsureCA makes a CA at cert and key unless both files are there.
func EnsureCA(cert, key, name string) error {
	if exists(cert) && exists(key) {
		return nil
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0), Subject: pkix.Name{CommonName: fmt.Sprintf("%s@%d", name, now.Unix())},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(3650 * day),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return err
	}
	if err := writeKey(key, signer); err != nil {
		return err
	}
	return Write(cert, encode("CERTIFICATE", der), 0o644)
}

// LoadCA reads a CA's two files.
func LoadCA(cert, key string) (*Authority, error) {
	text, err := os.ReadFile(cert)
	if err != nil {
		return nil, err
	}
	certs, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cert, err)
	}
	signer, err := readKey(key)
	if err != nil {
		return nil, err
	}
	return &Authority{PEM: text, cert: certs[0], key: signer}, nil
}

// Leaf is a certificate to be.
type Leaf struct {
	CommonName    string
	Organizations []string
	// Names are host names and IP addresses.
	Names          []string
	Server, Client bool
}

// Sign makes a leaf for a public key; the answer has the CA behind it.
func (a *Authority) Sign(leaf Leaf, public crypto.PublicKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations},
		NotBefore: a.cert.NotBefore, NotAfter: time.Now().Add(365 * day),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	if leaf.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if leaf.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, name := range leaf.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		return nil, err
	}
	return append(encode("CERTIFICATE", der), a.PEM...), nil
}

// Ensure makes a leaf's two files unless a good pair is there: signed by this CA, with these names, not about to end.
func (a *Authority) Ensure(cert, key string, leaf Leaf) error {
	signer, err := EnsureKey(key)
	if err != nil {
		return err
	}
	if text, err := os.ReadFile(cert); err == nil {
		if certs, err := Parse(text); err == nil && a.good(certs[0], leaf, signer) {
			return nil
		}
	}
	text, err := a.Sign(leaf, signer.Public())
	if err != nil {
		return err
	}
	return Write(cert, text, 0o644)
}

// good says whether a certificate is what Ensure would make.
func (a *Authority) good(cert *x509.Certificate, leaf Leaf, signer crypto.Signer) bool {
	if cert.CheckSignatureFrom(a.cert) != nil || time.Until(cert.NotAfter) < renewBefore || cert.Subject.CommonName != leaf.CommonName {
		return false
	}
	public, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !public.Equal(signer.Public()) {
		return false
	}
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, name := range leaf.Names {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return true
}

// EnsureKey reads a key file, or makes it.
func EnsureKey(path string) (crypto.Signer, error) {
	if exists(path) {
		return readKey(path)
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return signer, writeKey(path, signer)
}

// EnsureServiceKey makes the RSA key that signs service account tokens.
func EnsureServiceKey(path string) error {
	if exists(path) {
		return nil
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return Write(path, encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), 0o600)
}

// Request makes a signing request for a key file, which it makes too where missing.
func Request(key string) ([]byte, error) {
	signer, err := EnsureKey(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, signer)
	if err != nil {
		return nil, err
	}
	return encode("CERTIFICATE REQUEST", der), nil
}

// RequestKey is the public key of a signing request whose signature holds.
func RequestKey(text []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no certificate request")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return request.PublicKey, request.CheckSignature()
}

// Parse reads every certificate of a PEM text; none is an error.
func Parse(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		block, text = pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate found")
	}
	return certs, nil
}

// Write writes a file whole, making its directory; a file that already says this is left alone.
func Write(path string, text []byte, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
		return os.Chmod(path, mode)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".tmp"
	if err := os.WriteFile(temporary, text, mode); err != nil {
		return err
	}
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// RandomHex is n random bytes in hex.
func RandomHex(n int) string {
	bytes := make([]byte, n)
	if _, err := rand.Read(bytes); err != nil {
		panic(err)
	}
	return hex.EncodeToString(bytes)
}

func writeKey(path string, signer *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(signer)
	if err != nil {
		return err
	}
	return Write(path, encode("EC PRIVATE KEY", der), 0o600)
}

func readKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no key found", path)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

// Signed says whether this CA signed a certificate.
func (a *Authority) Signed(cert *x509.Certificate) bool {
	return cert.CheckSignatureFrom(a.cert) == nil
}

// Pair makes a fresh key and a leaf for it, both as PEM.
func (a *Authority) Pair(leaf Leaf) (cert, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err = a.Sign(leaf, signer.Public())
	return cert, encode("EC PRIVATE KEY", der), err
}
