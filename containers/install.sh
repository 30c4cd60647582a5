#!/bin/sh
# In the build stage of every image, in two steps, so that a change of our sources installs no dependency again.
#   install.sh dependencies EXTRAS   a virtual environment with what the package and these extras need
#   install.sh package               the wheel, built here, into it; then made small
set -eu
home=/opt/penstock
python=${PYTHON:-python3}

install() {
    "$python" -m pip --python "$home/bin/python" install --no-cache-dir --no-compile "$@"
}

case $1 in
dependencies)
    "$python" -m venv --without-pip "$home"
    "$python" containers/requirements.py pyproject.toml "$2" >requirements.txt
    install -c constraints.txt -r requirements.txt
    ;;
package)
    "$python" -m pip wheel --no-cache-dir --no-deps --wheel-dir dist .
    install --no-deps dist/*.whl
    "$python" containers/slim.py "$home"
    # Numba keys compiled kernels by the time of their source file: equal in all images, so that they can share a cache.
    find "$home/lib" -name '*.py' -exec touch -d @946684800 {} +
    "$home/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$home/lib"
    cp containers/health.py "$home/health.py"
    ;;
esac
