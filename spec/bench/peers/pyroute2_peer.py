# SPDX-License-Identifier: MIT
"""The works of floor.c by pyroute2, as its users write them.

    pyroute2_peer.py routes N|netns N|star N|line N     prints times, in seconds, as floor does
"""
import sys
from time import monotonic

from pyroute2 import IPRoute, NetNS, netns


def name_of(i):
    return "pyroute2.%d" % i


def address(number):
    return "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


def index(ip, name):
    return ip.link_lookup(ifname=name)[0]


def up(ip, name):
    found = index(ip, name)
    ip.link("set", index=found, state="up")
    return found


def remove(n):
    start = monotonic()
    for i in range(n):
        netns.remove(name_of(i))
    return monotonic() - start


def routes(n):
    with IPRoute() as ip:
        ip.link("add", ifname="eth0", kind="veth", peer="eth1")
        ip.addr("add", index=up(ip, "eth0"), address="10.0.0.1", prefixlen=24)
        up(ip, "eth1")
        wanted = ["20.%d.%d.0/24" % (i >> 8, i & 255) for i in range(n)]
        t0 = monotonic()
        for dst in wanted:
            ip.route("add", dst=dst, gateway="10.0.0.2")
        t1 = monotonic()
        assert len(list(ip.get_routes(family=2, table=254))) == n + 1
        t2 = monotonic()
        for dst in wanted:
            ip.route("del", dst=dst, gateway="10.0.0.2")
        return t1 - t0, t2 - t1, monotonic() - t2


def many(n):
    start = monotonic()
    for i in range(n):
        netns.create(name_of(i))
    return monotonic() - start, remove(n)


def star(n):
    start = monotonic()
    for i in range(n + 1):
        netns.create(name_of(i))
    with NetNS(name_of(0)) as hub:
        hub.link("add", ifname="br0", kind="bridge")
        br0 = index(hub, "br0")
        for i in range(1, n + 1):
            port = "p%d" % i
            hub.link("add", ifname=port, kind="veth",
                     peer={"ifname": "eth0", "net_ns_fd": name_of(i)})
            hub.link("set", index=index(hub, port), state="up", master=br0)
            with NetNS(name_of(i)) as host:
                up(host, "lo")
                host.addr("add", index=up(host, "eth0"), address=address(i + 1), prefixlen=16)
        hub.link("set", index=br0, state="up")
    return monotonic() - start, remove(n + 1)


def line(n):
    start = monotonic()
    for i in range(n):
        netns.create(name_of(i))
    for i in range(n):
        with NetNS(name_of(i)) as router:
            left, right = 2 * (i - 1), 2 * i
            up(router, "lo")
            if i + 1 < n:
                router.link("add", ifname="eth1", kind="veth",
                            peer={"ifname": "eth0", "net_ns_fd": name_of(i + 1)})
                router.addr("add", index=up(router, "eth1"), address=address(right), prefixlen=31)
            if i > 0:
                router.addr("add", index=up(router, "eth0"), address=address(left + 1),
                            prefixlen=31)
            if i + 2 < n:
                router.route("add", dst=address(right + 2) + "/31", gateway=address(right + 1))
            if i > 1:
                router.route("add", dst=address(left - 2) + "/31", gateway=address(left))
        netns.pushns(name_of(i))
        with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
            file.write("1")
        netns.popns()
    return monotonic() - start, remove(n)


WORKS = {"routes": routes, "netns": many, "star": star, "line": line}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in WORKS or not sys.argv[2].isdigit():
        sys.exit("usage: pyroute2_peer.py routes|netns|star|line N")
    print(*WORKS[sys.argv[1]](int(sys.argv[2])))
