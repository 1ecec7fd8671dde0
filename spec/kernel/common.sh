# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the scripts of spec/kernel share: the cache, Debian packages, and the job a guest is to run.
#
#   NETNS_KERNEL_CACHE   where kernels are kept (default ${XDG_CACHE_HOME:-~/.cache}/lua-netns/kernel)
#   NETNS_KERNEL_MEM     memory of the guest (default 1G)
#   NETNS_KERNEL_LIMIT   seconds after which the guest is ended (default 1500)
#   NETNS_KERNEL_JOBS    compilers at a time when the UML kernel is built (default: the processors there are)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${NETNS_KERNEL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/lua-netns/kernel}
memory=${NETNS_KERNEL_MEM:-1G}
limit=${NETNS_KERNEL_LIMIT:-1500}
guest_died=99

say() { echo "spec/kernel: $*" >&2; }
die() { say "$@"; exit 98; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else return 1; fi
}

# refresh_lists: apt's lists, once a run at most.
refresh_lists() {
  [ -z "${lists_are_fresh:-}" ] || return 0
  lists_are_fresh=yes
  say "apt-get update"
  as_root apt-get update -qq >/dev/null 2>&1 || say "apt-get update failed (no root, or no network?)"
}

# need COMMAND=PACKAGE...: installs the packages of the commands (or, with a slash, the files) that are not there.
need() {
  local missing=() pair what
  for pair; do
    what=${pair%%=*}
    case $what in */*) [ -e "$what" ] ;; *) command -v "$what" >/dev/null || [ -x "/usr/sbin/$what" ] ;; esac ||
      missing+=("${pair#*=}")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  install_packages "${missing[@]}" || { refresh_lists; install_packages "${missing[@]}"; } ||
    die "please install: ${missing[*]}"
}

install_packages() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends "$@" >/dev/null 2>&1
}

# package_field NAME FIELD: of the version that apt would install; nothing if apt has none.
package_field() {
  apt-cache show --no-all-versions "$1" 2>/dev/null | awk -v f="$2:" '$1 == f { print $2; exit }'
}

# fetch_package NAME DIR: unpacks it below DIR, installing nothing.
fetch_package() {
  (cd "$2" && apt-get download -qq -o Acquire::Retries=3 "$1" >/dev/null 2>&1 && dpkg-deb -x "$1"_*.deb . && rm -f "$1"_*.deb)
}

# with_lock NAME: at most one process prepares the kernel NAME; held until this script ends.
with_lock() {
  mkdir -p "$cache" || die "cannot make the cache folder $cache (NETNS_KERNEL_CACHE names another)"
  exec 8>"$cache/$1.lock"
  flock 8
}

# write_job COMMAND...: makes the folder $job with what guest-init reads: where, what, in which environment.
write_job() {
  [ $# -gt 0 ] || die "usage: $0 COMMAND ARGUMENT..."
  job=$(mktemp -d "${TMPDIR:-/tmp}/netns-kernel.XXXXXX")
  case $job in *[[:space:]]*) die "TMPDIR must not contain spaces: $TMPDIR" ;; esac
  pwd >"$job/folder"
  (unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LD_PRELOAD TMPDIR OLDPWD && export -p) >"$job/environment"
  printf '%q ' "$@" >"$job/command"
  if [ -t 0 ] && [ -t 1 ]; then
    streams=terminal
    stty size >"$job/size" 2>/dev/null || :
  elif [ /dev/fd/1 -ef /dev/fd/2 ]; then
    streams=merged
  else
    streams=apart
  fi
  echo "$streams" >"$job/streams"
}

# finish ENDED: exits with the command's status; with $guest_died and the guest's last words where it left none. ENDED
# is how the guest's own process ended (124: timeout(1) ended it).
finish() {
  [ ! -s "$job/status" ] || exit "$(cat "$job/status")"
  if [ "$1" = 124 ] || [ "$1" = 137 ]; then
    say "the guest was ended after $limit seconds (NETNS_KERNEL_LIMIT)"
  else
    say "the guest died; the last lines of its console:"
    tail -n 40 "$job/console" | tr -d '\r' >&2
  fi
  exit "$guest_died"
}
