#!/bin/sh
# Builds the container images that the lab's clusters use, as one archive that containerd imports (k3s does so for every file in
# agent/images). Nothing is built when the archive in OUTDIR is of these sources and this Go already.
#
#   build.sh amd64|arm64 OUTDIR   ->   OUTDIR/k3s-airgap-images-ARCH.tar.zst
#
# Needs: go (1.26 or later), zstd, and Debian's apt-get and dpkg-deb for busybox. NICE=n changes the builds' niceness (10).
set -eu

arch=${1-} outdir=${2-}
case $arch in amd64 | arm64) ;; *) arch= ;; esac
if [ -z "$arch" ] || [ -z "$outdir" ] || [ $# -ne 2 ]; then
  echo 'usage: build.sh amd64|arm64 OUTDIR' >&2
  exit 2
fi
for program in go zstd apt-get dpkg-deb sha256sum; do
  command -v "$program" >/dev/null || { echo "build.sh: $program is not in PATH; install it and run this again" >&2; exit 1; }
done

images=$(cd "$(dirname "$0")" && pwd)
kubevip=$images/../kube-vip
mkdir -p "$outdir"
outdir=$(cd "$outdir" && pwd)
archive=$outdir/k3s-airgap-images-$arch.tar.zst

# The sources' hash. Tests and pages are no part of what is built.
key=$(
  {
    echo "$arch $(go env GOVERSION)"
    cd "$images/.."
    find images kube-vip -type f ! -name '*_test.go' ! -name '*.md' | LC_ALL=C sort | xargs sha256sum
  } | sha256sum | cut -d' ' -f1
)
if [ -f "$archive" ] && [ "$(cat "$archive.key" 2>/dev/null)" = "$key" ]; then
  echo "images for $arch: unchanged"
  exit 0
fi

work=$(mktemp -d "$outdir/images-$arch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
umask 022

say() { echo "images for $arch: $*"; }

# A Go program, static and without this machine's paths: compile FOLDER PACKAGE TARGET
compile() {
  mkdir -p "$(dirname "$3")"
  (cd "$1" && CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOFLAGS=-mod=readonly GOWORK=off \
    nice -n "${NICE-10}" go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o "$3" "$2")
  chmod 755 "$3"
}

say 'pause'
compile "$images" ./pause "$work/root/pause/pause"
say 'kube-vip stand-in'
compile "$kubevip" . "$work/root/kube-vip/kube-vip"
say 'CoreDNS (a few minutes the first time)'
compile "$images/coredns" . "$work/root/coredns/coredns"

# apt-get with lists of its own, so that another architecture can be asked for and the machine's configuration stays as it is.
apt_for() {
  want=$1 lists=$work/apt-$1
  shift
  mkdir -p "$lists/state/lists/partial" "$lists/cache/archives/partial"
  : >"$lists/status"
  apt-get -q -o APT::Architecture="$want" -o APT::Architectures="$want" -o APT::Sandbox::User=root -o Acquire::Languages=none \
    -o Dir::State="$lists/state" -o Dir::State::status="$lists/status" -o Dir::Cache="$lists/cache" "$@"
}

# Debian's static busybox, unpacked: busybox_of ARCH FOLDER
busybox_of() {
  mkdir -p "$2"
  # One unreachable repository of the machine's is no matter, as long as the package is found.
  apt_for "$1" update >"$work/apt.log" 2>&1 || true
  (cd "$2" && apt_for "$1" download busybox-static >>"$work/apt.log" 2>&1) || {
    echo "build.sh: apt-get could not download busybox-static for $1:" >&2
    tail -n 5 "$work/apt.log" >&2
    exit 1
  }
  dpkg-deb -x "$2"/busybox-static_*.deb "$2"
}

say "Debian's busybox"
native=$(dpkg --print-architecture)
busybox_of "$native" "$work/busybox-$native"
[ "$arch" = "$native" ] || busybox_of "$arch" "$work/busybox-$arch"
root=$work/root/busybox
mkdir -p "$root/bin" "$root/etc" "$root/root" "$root/tmp" "$root/var/www"
chmod 700 "$root/root"
chmod 1777 "$root/tmp"
cp "$work/busybox-$arch/bin/busybox" "$root/bin/busybox"
chmod 755 "$root/bin/busybox"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
# What it can be called is asked of this machine's own: the packages of one version are configured alike.
"$work/busybox-$native/bin/busybox" --list | grep -vx -e busybox -e linuxrc | LC_ALL=C sort >"$work/root/busybox.applets"

say 'packing'
(cd "$images" && GOWORK=off go run ./assemble "$arch" "$work/root") >"$work/images.tar"
nice -n "${NICE-10}" zstd -q -f -9 --single-thread "$work/images.tar" -o "$work/images.tar.zst"
rm -f "$archive.key"
mv "$work/images.tar.zst" "$archive"
echo "$key" >"$archive.key"
say "$(du -h "$archive" | cut -f1) in $archive"
