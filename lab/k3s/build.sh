#!/bin/sh
# build.sh ARCH OUTDIR - builds the k3s stand-in into OUTDIR: `k3s` for amd64 (server and agent), `k3s-arm64` for arm64
# (agent only). Does nothing where OUTDIR's was built from the same sources. Needs Go and, for amd64, runc in PATH or apt.
set -eu

arch=${1:?usage: build.sh ARCH OUTDIR}
out=${2:?usage: build.sh ARCH OUTDIR}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
case $arch in
  amd64) binary=k3s tags= ;;
  arm64) binary=k3s-arm64 tags=agentonly ;;
  *) echo "build.sh: unknown architecture $arch: amd64 or arm64" >&2; exit 2 ;;
esac

cd "$here"
stamp=$({ echo "$arch"; go version; find go.mod go.sum build.sh tools cmd internal -type f ! -name '*_test.go' | LC_ALL=C sort | xargs sha256sum; } | sha256sum | cut -d' ' -f1)
if [ -x "$out/$binary" ] && [ "$(cat "$out/$binary.stamp" 2>/dev/null)" = "$stamp" ]; then
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/payload/bin" "$work/tools"
export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' GOWORK=off
version=v1.36.2+k3s1
package=k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=36 -X $package.gitTreeState=clean"
flags="$flags -X k8s.io/client-go/pkg/version.gitVersion=$version"

go build -o "$work/pack" ./cmd/pack
export GOARCH=$arch GOOS=linux
echo "building the k3s stand-in for $arch (the first time takes about eight CPU-minutes)" >&2
go build -tags "$tags" -ldflags "$flags" -o "$work/payload/bin/k3s-server" ./cmd/k3s-server
go build -ldflags '-s -w' -o "$work/k3s" ./cmd/k3s
if [ "$arch" = amd64 ]; then
  go build -ldflags '-s -w' -o "$work/payload/bin/flannel" ./cmd/flannel
  (cd tools && go build -ldflags '-s -w -X github.com/containerd/containerd/v2/version.Version=2.2.1' -o "$work/tools/" tool)
  cp "$work"/tools/* "$work/payload/bin/"
  if command -v runc >/dev/null; then
    cp "$(command -v runc)" "$work/payload/bin/runc"
  else
    (cd "$work" && apt-get download -qq runc && dpkg-deb -x runc_*.deb runc-package)
    cp "$work/runc-package/usr/sbin/runc" "$work/payload/bin/runc"
  fi
fi
"$work/pack" "$work/k3s" "$work/payload" "$out/$binary"
echo "$stamp" >"$out/$binary.stamp"
