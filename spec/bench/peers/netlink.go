// SPDX-License-Identifier: MIT
// The works of floor.c by github.com/vishvananda/netlink, as its users write them.
//
//	netlink routes N|netns N|star N|line N     prints times, in seconds, as floor does
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlink:", err)
		os.Exit(1)
	}
}

func address(number, length int) *net.IPNet {
	ip := net.IPv4(10, byte(number>>16), byte(number>>8), byte(number))
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(length, 32)}
}

func newNetns(home netns.NsHandle) netns.NsHandle {
	ns, err := netns.New()
	must(err)
	must(netns.Set(home))
	return ns
}

func up(h *netlink.Handle, name string) netlink.Link {
	link, err := h.LinkByName(name)
	must(err)
	must(h.LinkSetUp(link))
	return link
}

func handleAt(ns netns.NsHandle) *netlink.Handle {
	h, err := netlink.NewHandleAt(ns)
	must(err)
	return h
}

func routes(n int) (float64, float64, float64) {
	must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth1"}))
	h := &netlink.Handle{}
	eth0 := up(h, "eth0")
	up(h, "eth1")
	must(h.AddrAdd(eth0, &netlink.Addr{IPNet: address(1, 24)}))
	list := make([]netlink.Route, n)
	for i := range list {
		list[i] = netlink.Route{Dst: &net.IPNet{IP: net.IPv4(20, byte(i>>8), byte(i), 0), Mask: net.CIDRMask(24, 32)},
			Gw: net.IPv4(10, 0, 0, 2)}
	}
	t0 := time.Now()
	for i := range list {
		must(h.RouteAdd(&list[i]))
	}
	t1 := time.Now()
	found, err := h.RouteList(nil, netlink.FAMILY_V4)
	must(err)
	if len(found) != n+1 {
		must(fmt.Errorf("%d routes listed", len(found)))
	}
	t2 := time.Now()
	for i := range list {
		must(h.RouteDel(&list[i]))
	}
	return t1.Sub(t0).Seconds(), t2.Sub(t1).Seconds(), time.Since(t2).Seconds()
}

func closeAll(spaces []netns.NsHandle) float64 {
	start := time.Now()
	for i := range spaces {
		must(spaces[i].Close())
	}
	return time.Since(start).Seconds()
}

func spacesOf(home netns.NsHandle, n int) []netns.NsHandle {
	spaces := make([]netns.NsHandle, n)
	for i := range spaces {
		spaces[i] = newNetns(home)
	}
	return spaces
}

func many(home netns.NsHandle, n int) (float64, float64) {
	start := time.Now()
	spaces := spacesOf(home, n)
	return time.Since(start).Seconds(), closeAll(spaces)
}

func star(home netns.NsHandle, n int) (float64, float64) {
	start := time.Now()
	spaces := spacesOf(home, n+1)
	hub := handleAt(spaces[0])
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	must(hub.LinkAdd(bridge))
	br0, err := hub.LinkByName("br0")
	must(err)
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("p%d", i)
		must(hub.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, NumTxQueues: 1, NumRxQueues: 1},
			PeerName: "eth0", PeerNamespace: netlink.NsFd(spaces[i])}))
		port := up(hub, name)
		must(hub.LinkSetMasterByIndex(port, br0.Attrs().Index))
		host := handleAt(spaces[i])
		up(host, "lo")
		must(host.AddrAdd(up(host, "eth0"), &netlink.Addr{IPNet: address(i+1, 16)}))
		host.Delete()
	}
	must(hub.LinkSetUp(br0))
	hub.Delete()
	return time.Since(start).Seconds(), closeAll(spaces)
}

func line(home netns.NsHandle, n int) (float64, float64) {
	start := time.Now()
	spaces := spacesOf(home, n)
	for i := range spaces {
		h := handleAt(spaces[i])
		up(h, "lo")
		left, right := 2*(i-1), 2*i
		if i+1 < n {
			must(h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth1", NumTxQueues: 1, NumRxQueues: 1},
				PeerName: "eth0", PeerNamespace: netlink.NsFd(spaces[i+1])}))
			must(h.AddrAdd(up(h, "eth1"), &netlink.Addr{IPNet: address(right, 31)}))
		}
		if i > 0 {
			must(h.AddrAdd(up(h, "eth0"), &netlink.Addr{IPNet: address(left+1, 31)}))
		}
		if i+2 < n {
			must(h.RouteAdd(&netlink.Route{Dst: address(right+2, 31), Gw: address(right+1, 31).IP}))
		}
		if i > 1 {
			must(h.RouteAdd(&netlink.Route{Dst: address(left-2, 31), Gw: address(left, 31).IP}))
		}
		h.Delete()
		must(netns.Set(spaces[i]))
		must(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
		must(netns.Set(home))
	}
	return time.Since(start).Seconds(), closeAll(spaces)
}

func main() {
	runtime.LockOSThread()
	n := 0
	if len(os.Args) == 3 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	home, err := netns.Get()
	must(err)
	switch {
	case n > 0 && os.Args[1] == "routes":
		fmt.Println(routes(n))
	case n > 0 && os.Args[1] == "netns":
		fmt.Println(many(home, n))
	case n > 0 && os.Args[1] == "star":
		fmt.Println(star(home, n))
	case n > 0 && os.Args[1] == "line":
		fmt.Println(line(home, n))
	default:
		fmt.Fprintln(os.Stderr, "usage: netlink routes|netns|star|line N")
		os.Exit(2)
	}
}
