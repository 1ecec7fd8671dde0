# SPDX-License-Identifier: MIT
"""The works of floor.c by Mininet's own Python API.

    mininet_peer.py netns N|star N|line N     prints times, in seconds, as floor does
    mininet_peer.py ping_all N                N hosts on a bridge: pingAll; prints one time
"""
import sys
from time import monotonic

from mininet.link import Link
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Node
from mininet.nodelib import LinuxBridge


class Router(Node):
    """A host that forwards."""

    def config(self, **params):
        super().config(**params)
        self.cmd("sysctl -qw net.ipv4.ip_forward=1")


def address(number):
    return "10.%d.%d.%d" % (number >> 16 & 255, number >> 8 & 255, number & 255)


def closed(net, start):
    built = monotonic()
    net.stop()
    return built - start, monotonic() - built


def many(n):
    start = monotonic()
    net = Mininet(link=Link)
    for i in range(n):
        net.addHost("h%d" % i)
    net.build()
    return closed(net, start)


def star_of(n):
    net = Mininet(switch=LinuxBridge, link=Link, ipBase="10.0.0.0/16")
    switch = net.addSwitch("s1")
    for i in range(n):
        net.addLink(net.addHost("h%d" % (i + 1), ip=address(i + 2) + "/16"), switch)
    net.start()
    return net


def star(n):
    start = monotonic()
    return closed(star_of(n), start)


def ping_all(n):
    net = star_of(n)
    start = monotonic()
    dropped = net.pingAll()
    took = monotonic() - start
    net.stop()
    assert dropped == 0
    return (took,)


def line(n):
    start = monotonic()
    net = Mininet(link=Link)
    routers = [net.addHost("r%d" % i, cls=Router, ip=None) for i in range(n)]
    for i in range(n - 1):
        net.addLink(routers[i], routers[i + 1], intfName1="r%d-right" % i,
                    intfName2="r%d-left" % (i + 1),
                    params1={"ip": address(2 * i) + "/31"}, params2={"ip": address(2 * i + 1) + "/31"})
    net.start()
    for i, router in enumerate(routers):
        if i + 2 < n:
            router.cmd("ip route add %s/31 via %s" % (address(2 * i + 2), address(2 * i + 1)))
        if i > 1:
            router.cmd("ip route add %s/31 via %s" % (address(2 * i - 4), address(2 * i - 2)))
    return closed(net, start)


WORKS = {"netns": many, "star": star, "line": line, "ping_all": ping_all}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in WORKS or not sys.argv[2].isdigit():
        sys.exit("usage: mininet_peer.py netns|star|line|ping_all N")
    setLogLevel("error")
    print(*WORKS[sys.argv[1]](int(sys.argv[2])))
