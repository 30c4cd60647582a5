#!/bin/sh
# Build the images: containers/build.sh [tpc] [events] [flows] [gpu] [gpu-cpu]; without names tpc, events and flows.
#   CONTAINER_ENGINE       docker or podman; whichever is installed
#   CONTAINER_BUILD_ARGS   further arguments of `build`
#   CONTAINER_TAG          the tag; the version of the package without
set -eu
cd "$(dirname "$0")/.."
engine=${CONTAINER_ENGINE:-$(command -v docker || command -v podman || true)}
[ -n "$engine" ] || {
    echo "no container engine is installed. Install Docker (docs.docker.com/engine/install) or podman (apt-get install podman)." >&2
    exit 2
}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
revision=$(git describe --always --dirty 2>/dev/null || echo unknown)
slim=docker.io/library/python:3.11-slim-bookworm
arguments=${CONTAINER_BUILD_ARGS:-}
case $engine in
*podman) format="--format docker" ;; # the OCI format knows no health checks
*) format="" ;;
esac

# podman keeps what --env sets for a build, such as the address of a package index; it is taken out of the finished image.
lent=""
previous=""
for word in $arguments; do
    [ "$previous" != --env ] || word=--env=$word
    case $word in --env=*)
        name=${word#--env=}
        lent="$lent --unsetenv ${name%%=*}"
        ;;
    esac
    previous=$word
done

for name in ${*:-tpc events flows}; do
    image=penstock-$name:${CONTAINER_TAG:-$version}
    case $name in
    gpu-cpu) folder=gpu variant="--build-arg DEVICE=cpu --build-arg BASE=$slim" ;;
    *) folder=$name variant="" ;;
    esac
    [ -f "containers/$folder/Dockerfile" ] || {
        echo "image '$name' is not known. Known are tpc, events, flows, gpu, gpu-cpu." >&2
        exit 2
    }
    echo "building $image"
    # shellcheck disable=SC2086  lists of arguments
    "$engine" build $format $variant --build-arg IMAGE="$image" --build-arg VERSION="$version" --build-arg REVISION="$revision" \
        $arguments -f "containers/$folder/Dockerfile" -t "$image" .
    # shellcheck disable=SC2086
    [ -z "$lent" ] || printf 'FROM %s\nUSER 10001:10001\n' "$image" | "$engine" build $format --layers=false --pull=never $lent -t "$image" -f - .
done
