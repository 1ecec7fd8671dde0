--- What the functions of the C core do: the comments that their reference is made of.
--
-- There is nothing to run in here. A spec compares these names with the objects of the running program.
-- @module netns.reference.core

--- Make a namespace.
-- Without a name it lives as long as something holds it: this handle, a process in it, a descriptor. With a name it
-- is at /run/netns/NAME as well, as `ip netns add` does it, until the handle is closed, or for good with `keep`.
-- @function netns.new
-- @tparam[opt] string name as `ip netns` takes it: 1 to 255 bytes, no "/"
-- @tparam[opt] table opts `keep = true`: the name stays when the handle goes
-- @treturn Namespace to be closed
-- @raise netns.Error: EEXIST where the name is taken, EPERM without CAP_SYS_ADMIN, EMFILE or ENOSPC at a limit
-- @usage local red <close> = netns.new()
--   local keep = netns.new("keep", { keep = true })

--- Open a namespace that is there.
-- @function netns.open
-- @tparam string|table what a name; a path, beginning with "/"; or one of `{ name = }`, `{ path = }`, `{ pid = }`,
--   `{ fd = }` (which is duplicated)
-- @treturn Namespace to be closed; it keeps the namespace alive
-- @raise netns.Error: ENOENT where there is none, ESRCH for a process that is gone, EINVAL for another kind of file
-- @usage local pod <close> = netns.open { pid = 4711 }

--- The namespace that this thread is in.
-- @function netns.current
-- @treturn Namespace
-- @raise netns.Error
-- @usage print(netns.current() == red)

--- The names below /run/netns, as `ip netns list` has them.
-- @function netns.list
-- @treturn {string,...} in the order of the directory; empty where there is none
-- @raise netns.Error where the directory cannot be read
-- @usage for _, name in ipairs(netns.list()) do print(name) end

--- Take a name away, as `ip netns delete`. The namespace itself lives on while something holds it.
-- @function netns.delete
-- @tparam string name
-- @raise netns.Error, ENOENT where there is none
-- @usage netns.delete "keep"

--- A network namespace: hold it, ask it, close it. Two handles of one namespace are equal (`==`).
-- @type Namespace
-- @tfield ?string name the name it was made or opened by; nil for others
-- @tfield integer inode the number that /proc/PID/ns/net shows
-- @tfield integer fd its descriptor, which stays its own; -1 once closed
-- @tfield boolean closed whether the handle is closed
-- @tfield Noun link its links: ip-link(8)
-- @tfield Noun addr its addresses: ip-address(8)
-- @tfield Noun route its routes: ip-route(8)
-- @tfield Noun rule its policy rules: ip-rule(8)
-- @tfield Noun neigh its neighbours: ip-neighbour(8)
-- @tfield Noun nexthop its nexthop objects: ip-nexthop(8)
-- @tfield Noun fdb forwarding entries: bridge(8)
-- @tfield Noun vlan VLANs of bridges and ports: bridge(8)
-- @tfield Noun mdb multicast groups of bridges: bridge(8)
-- @tfield Noun xfrm_state states of IPsec: ip-xfrm(8)
-- @tfield Noun xfrm_policy policies of IPsec: ip-xfrm(8)
-- @tfield Noun qdisc queueing disciplines: tc(8)
-- @tfield Noun class classes of queueing disciplines: tc(8)
-- @tfield Noun filter filters and their actions: tc(8)
-- @tfield Nft nft its firewall: nft(8)
-- @tfield Sysctl sysctl its sysctls: sysctl(8)
-- @tfield ?string address in a lab: the node's first address, without its length
-- @tfield ?{string,...} addresses in a lab: all addresses of the node, IPv4 first
-- @usage local ns <close> = netns.new()

--- Collect changes and send them together: as few system calls as the buffers allow.
-- Nothing is sent where fn raises. Where the kernel refuses some, the others are done all the same.
-- @function Namespace:batch
-- @tparam function fn called with a Batch
-- @treturn integer how many operations there were
-- @raise netns.Error of the first that failed; `failures`: all of them, each with `index`, its position
-- @usage ns:batch(function(b) b.route:add { dst = "10.1.0.0/16", via = "10.0.0.1" } end)

--- Run a function inside the namespace; the thread is back on every way out.
-- A yield cannot cross it: use `wrap`.
-- @function Namespace:call
-- @tparam function fn
-- @param ... its arguments
-- @return what fn returns
-- @raise what fn raises; netns.Error where the namespace cannot be entered
-- @usage local text = ns:call(function() return io.open("/proc/thread-self/net/dev"):read "a" end)

--- Make a coroutine that is inside while it runs: it leaves at every yield and enters again at every resume.
-- @function Namespace:wrap
-- @tparam function fn
-- @treturn function to be called as what coroutine.wrap gives
-- @usage local step = ns:wrap(function() coroutine.yield(1) end)

--- Let go of the namespace. Twice is fine.
-- The name goes with it unless `keep` was said; the namespace goes when nothing else holds it.
-- @function Namespace:close
-- @raise netns.Error where the name cannot be taken away
-- @usage ns:close()

--- The processes whose main thread is inside, as `ip netns pids`.
-- @function Namespace:pids
-- @treturn {integer,...}
-- @usage for _, pid in ipairs(ns:pids()) do print(pid) end

--- Make a TUN or TAP device, or attach to one, and hold the end that packets are read from.
-- @function Namespace:tun
-- @tparam table opts `mode` "tun" (IP packets) or "tap" (frames); `name` (the kernel chooses), `index`, `persist`
--   (it outlives the handle), `pi` (four bytes of flags and protocol before each packet), `vnet_hdr`, `multi_queue`,
--   `owner` and `group` (numeric ids)
-- @treturn Tun to be closed
-- @raise netns.Error: EBUSY where another one is attached, ENOENT without /dev/net/tun
-- @usage local tap <close> = ns:tun { name = "tap0", mode = "tap" }

--- The links of a namespace, or its addresses, routes, rules ...: the nouns of iproute2.
-- `ns.route:add{...}` is `ip -n NS route add ...`, with the same keys and values; what `list` gives, `add` takes. On a
-- link (`link.addr`), `dev` is filled in. `netns.help "route"` lists the keys of one.
-- @type Noun
-- @usage ns.route:add { dst = "default", via = "10.0.0.1" }

--- Add one; it must not exist.
-- @function Noun:add
-- @tparam table|string what its keys; a string is the main one: address, dst, name
-- @treturn ?Link of `ns.link`: the link that was made
-- @raise netns.Error: EEXIST where it is there; the kernel's words in `kernel`, the key it points at in `attr`
-- @usage ns.addr:add { dev = "eth0", address = "10.0.0.1/24" }

--- Create one, or change the one that is there.
-- @function Noun:replace
-- @tparam table|string what as for `add`
-- @treturn ?Link of `ns.link`
-- @raise netns.Error
-- @usage ns.route:replace { dst = "10.1.0.0/16", via = "10.0.0.2" }

--- Add one behind those that are there: an IPv6 route's further nexthop, an IPv4 route of lower precedence.
-- @function Noun:append
-- @tparam table|string what as for `add`
-- @raise netns.Error
-- @usage ns.route:append { dst = "10.1.0.0/16", via = "10.0.0.3" }

--- Add one before those that are there.
-- @function Noun:prepend
-- @tparam table|string what as for `add`
-- @raise netns.Error
-- @usage ns.route:prepend { dst = "10.1.0.0/16", via = "10.0.0.3" }

--- Change one that must be there. Of links, all or nothing.
-- @function Noun:set
-- @tparam table what its keys, and what is to change
-- @raise netns.Error: ENOENT or ENODEV where there is none
-- @usage ns.link:set { dev = "lo", up = true }

--- The same as `set`.
-- @function Noun:change
-- @tparam table what its keys, and what is to change
-- @raise netns.Error: ENOENT or ENODEV where there is none
-- @usage ns.link:change { dev = "eth0", mtu = 9000 }

--- Delete one.
-- @function Noun:del
-- @tparam table|string what the keys that tell which
-- @raise netns.Error: ENOENT, ESRCH or EADDRNOTAVAIL where there is none
-- @usage ns.route:del "10.1.0.0/16"

--- Get one. A link by its name or index; of routes the kernel's decision for a destination; of others the first
-- that `list` would give.
-- @function Noun:get
-- @tparam string|integer|table what name or index; destination, or `{ dst =, src =, iif =, mark = ... }`; a filter
-- @treturn ?Link|table nil where there is none
-- @raise netns.Error: of routes, where none leads there
-- @usage print(ns.route:get("10.9.1.1").via)

--- List them.
-- @function Noun:list
-- @tparam[opt] table filter only those that have these values, filtered in the kernel where it can. Of routes, the
--   main table unless `table` says another or "all"; of links, `stats = true` adds the counters
-- @treturn {table,...} plain data, which prints as aligned columns
-- @raise netns.Error
-- @usage print(ns.route:list { dev = "eth0" })

--- Go through them one by one, in bounded memory.
-- @function Noun:each
-- @tparam[opt] table filter as for `list`
-- @treturn function for `for`
-- @raise netns.Error: EINTR where they changed too much meanwhile
-- @usage for route in ns.route:each { proto = "boot" } do print(route.dst) end

--- Delete all that `list` would give.
-- @function Noun:flush
-- @tparam[opt] table filter as for `list`
-- @treturn integer how many were deleted
-- @raise netns.Error
-- @usage ns.route:flush { dev = "eth0" }

--- A link, known by its index, so that it stays the same when it is renamed.
-- Every key of `ns.link` (`netns.help "link"`) is a property; reading one asks the kernel.
-- @type Link
-- @tfield integer ifindex
-- @tfield Namespace netns where it is
-- @tfield Noun addr its addresses; likewise `route`, `neigh`, with `dev` filled in
-- @tfield Noun route its routes
-- @tfield Noun neigh its neighbours
-- @tfield Noun fdb forwarding entries
-- @tfield Noun vlan VLANs of the port or bridge
-- @tfield Noun mdb multicast groups of the bridge
-- @tfield Noun xfrm_policy policies of IPsec
-- @tfield Noun qdisc its queueing disciplines
-- @tfield Noun class their classes
-- @tfield Noun filter its filters
-- @tfield string name
-- @tfield integer mtu bytes
-- @tfield boolean up
-- @tfield string operstate "up", "down", "lowerlayerdown", "unknown" ...
-- @tfield string address the link-layer address
-- @tfield table stats counters: rx_bytes, tx_packets ...
-- @usage local eth0 = ns.link:get "eth0"

--- Everything about the link as one table.
-- @function Link:get
-- @treturn table with its counters in `stats`
-- @raise netns.Error, ENODEV where it is gone
-- @usage print(link:get().mtu)

--- Change it: one message, all or nothing.
-- @function Link:set
-- @tparam table changes keys of `ns.link`
-- @treturn Link itself
-- @raise netns.Error: what the kernel refused; what had been done before is taken back
-- @usage link:set { mtu = 9000, alias = "uplink" }

--- Delete it.
-- @function Link:del
-- @raise netns.Error: ENODEV where it is gone, EOPNOTSUPP for those that cannot be deleted
-- @usage link:del()

--- Move it to another namespace. It keeps its name; addresses and routes do not go with it.
-- @function Link:move
-- @tparam Namespace to
-- @treturn Link the link there, whose index may be another
-- @raise netns.Error: EEXIST where the name is taken there, EINVAL for links that belong to their namespace
-- @usage local there = link:move(blue)

--- Give it further names.
-- @function Link:altname_add
-- @tparam string name 1 to 127 bytes
-- @param ... more of them
-- @raise netns.Error: EEXIST where a link has that name
-- @usage link:altname_add("uplink-to-the-datacentre")

--- Take further names away.
-- @function Link:altname_del
-- @tparam string name
-- @param ... more of them
-- @raise netns.Error: ENOENT where it has no such name
-- @usage link:altname_del("uplink-to-the-datacentre")

--- What `ns:batch` hands to its function: the same nouns, whose verbs collect instead of doing.
-- @type Batch
-- @tfield Noun link
-- @tfield Noun addr
-- @tfield Noun route
-- @tfield Noun rule
-- @tfield Noun neigh
-- @tfield Noun nexthop
-- @tfield Noun fdb
-- @tfield Noun vlan
-- @tfield Noun mdb
-- @tfield Noun qdisc
-- @tfield Noun class
-- @tfield Noun xfrm_state
-- @tfield Noun xfrm_policy
-- @tfield Noun filter
-- @usage ns:batch(function(b) b.link:set { dev = "lo", up = true } end)

--- The sysctls of a namespace, as fields: "net.ipv4.ip_forward".
-- Reading one gives an integer where the value is one, else text; writing takes integers, text and booleans.
-- @type Sysctl
-- @usage ns.sysctl["net.ipv4.ip_forward"] = 1

--- A process that `ns:spawn` started.
-- @type Process
-- @usage local server <close> = ns:spawn { "iperf3", "-s" }

--- Events of a namespace, from the moment it was made.
-- @type Monitor
-- @usage for e in ns:monitor({ "link" }):each(1) do print(e.event, e.data.name) end

--- A capture of one or several links: its packets are read, or written to a file.
-- @type Capture
-- @usage local cap <close> = link:capture { filter = "icmp" }

--- A packet that was captured. Headers are decoded when they are asked for, and nil where there is none.
-- @type Packet
-- @tfield number time seconds since 1970
-- @tfield integer ns the same in nanoseconds
-- @tfield integer length bytes on the wire
-- @tfield string bytes what was captured of it
-- @tfield string link where: "red/eth0"
-- @tfield string direction "in" or "out"
-- @tfield {table,...} layers all headers, from the outside to the inside, each with its name in `header`
-- @tfield string payload what the last header carries
-- @tfield ?string truncated the header that is not whole
-- @tfield ?table ethernet `dst src type`
-- @tfield ?table vlan `id priority dei type`
-- @tfield ?table arp `op sender sender_lladdr target target_lladdr`
-- @tfield ?table ipv4 `src dst ttl protocol length id df mf fragment_offset tos dscp ecn header_length checksum`
-- @tfield ?table ipv6 `src dst hop_limit protocol next_header length traffic_class dscp ecn flow_label fragment`
-- @tfield ?table tcp `sport dport seq ack_seq syn ack fin rst psh urg ece cwr window mss window_scale timestamp ...`
-- @tfield ?table udp `sport dport length checksum`
-- @tfield ?table icmp `type code name checksum`, and `id seq`, `mtu`, `gateway`; `original` is what an error quotes
-- @tfield ?table icmpv6 the same, and `target`
-- @usage if p.tcp and p.tcp.syn then print(p.ipv4.src, p.tcp.dport) end

--- A flight recorder: the last packets of some links, to be written down when something fails.
-- @type Recorder
-- @usage local rec <close> = lab:record { failures = "." }

--- What `netns.cni.exec` made of a namespace and a network: the result of the last plugin, as CNI has it.
-- @type Attachment
-- @tfield {table,...} ips `address` with its length, `gateway`, `interface` (counted from 0)
-- @tfield {table,...} interfaces `name`, `mac`, `sandbox` ...
-- @tfield {table,...} routes `dst`, `gw` ...
-- @tfield table dns `nameservers`, `search` ...
-- @usage local eth0 <close> = netns.cni.exec("pods", ns)

--- A TCP or UDP socket of a namespace: a descriptor with an owner, to be handed to a socket library.
-- @type Socket
-- @usage local server <close> = ns:tcp_listen(80)

--- The descriptor, non-blocking and close-on-exec. It stays the Socket's own.
-- @function Socket:fd
-- @treturn integer
-- @usage poll(sock:fd())

--- Give the descriptor away: whoever takes it closes it. The Socket is closed then.
-- @function Socket:release
-- @treturn integer
-- @usage local object = library.fdopen(sock:release())

--- The address and the port that it is bound to.
-- @function Socket:name
-- @treturn string address
-- @treturn integer port
-- @usage local address, port = server:name()

--- The address and the port that it is connected to.
-- @function Socket:peer
-- @treturn ?string address
-- @treturn ?integer port
-- @usage local address, port = sock:peer()

--- Close it. Twice is fine.
-- @function Socket:close
-- @usage sock:close()

--- The packets' end of a TUN or TAP device.
-- @type Tun
-- @usage local tap <close> = ns:tun { mode = "tap" }

--- The next packet or frame.
-- @function Tun:read
-- @treturn ?string nil while there is none
-- @raise netns.Error: EBADFD where the device is gone
-- @usage local frame = tap:read()

--- Send a packet or frame: the device receives it.
-- @function Tun:write
-- @tparam string packet
-- @treturn boolean false where the queue is full
-- @raise netns.Error: EINVAL for what is no packet, EIO where the device is down
-- @usage tap:write(frame)

--- The descriptor, for event loops: readable when there is a packet. It stays the Tun's own.
-- @function Tun:fd
-- @treturn integer
-- @usage poll(tap:fd())

--- The name of the device.
-- @function Tun:name
-- @treturn string
-- @usage print(tap:name())

--- Let go of it; the device goes with it unless it is persistent. Twice is fine.
-- @function Tun:close
-- @usage tap:close()

--- The firewall of a namespace.
-- @type Nft
-- @tfield NftNoun table its tables; `ns.nft:table{ family =, name = }` makes one unless it is there
-- @usage local fw = ns.nft:table { family = "inet", name = "filter" }

--- The tables of a namespace, or the chains, sets ... of a table. Called as a method (`fw:chain{...}`), it makes one
-- unless it is there, and gives its handle.
-- @type NftNoun
-- @usage local input = fw:chain { name = "input", type = "filter", hook = "input", priority = 0 }

--- What handles of tables, chains, sets and the other objects have in common.
-- @type Handle
-- @tfield Nft nft
-- @tfield string kind "table", "chain" ...
-- @tfield table spec its keys, as known
-- @tfield string name
-- @tfield string family
-- @usage print(fw.name, fw.family)

--- A table of nftables.
-- @type Table
-- @tfield NftNoun chain its chains; likewise `set`, `map`, `counter`, `quota`, `limit`, `flowtable`, `synproxy` and
--   `secmark`
-- @tfield ?string|{string,...} flags asked of the kernel
-- @usage local fw = ns.nft:table { family = "inet", name = "filter" }

--- A chain.
-- @type Chain
-- @tfield RuleNoun rule its rules; `input:rule "tcp dport 22 accept"` adds one
-- @tfield ?string policy asked of the kernel
-- @usage local input = fw:chain { name = "input", type = "filter", hook = "input", priority = 0, policy = "drop" }

--- A rule.
-- @type Rule
-- @tfield integer handle
-- @tfield string text in nft's language; asked of the kernel, as are the following
-- @tfield {table,...} expr its statements, as in libnftables-json(5)
-- @tfield ?string comment
-- @tfield ?table counter packets and bytes
-- @tfield ?table quota
-- @usage local ssh = input:rule "tcp dport 22 counter accept"

--- A set.
-- @type Set
-- @tfield integer count how many elements it has now
-- @usage local bad = fw:set { name = "bad", type = "ipv4_addr", flags = "interval" }

--- A map: a set whose elements have values.
-- @type Map
-- @tfield integer count how many elements it has now
-- @usage local m = fw:map { name = "m", type = "inet_service", map = "verdict" }

--- A named counter.
-- @type Counter
-- @tfield integer packets asked of the kernel
-- @tfield integer bytes asked of the kernel
-- @usage local hits = fw:counter "hits"

--- A named quota.
-- @type Quota
-- @tfield integer used bytes; asked of the kernel
-- @tfield integer bytes
-- @tfield ?boolean inv
-- @usage local q = fw:quota { name = "q", bytes = 25000000 }

--- A named limit.
-- @type Limit
-- @tfield integer rate asked of the kernel
-- @tfield ?integer burst
-- @tfield string per "second", "minute" ...
-- @usage local l = fw:limit { name = "l", rate = 10, per = "second" }

--- A flowtable.
-- @type Flowtable
-- @usage fw:flowtable { name = "f", hook = "ingress", prio = 0, dev = { "eth0" } }

--- A synproxy.
-- @type Synproxy
-- @usage fw:synproxy { name = "s", mss = 1460, wscale = 7 }

--- A secmark.
-- @type Secmark
-- @usage fw:secmark { name = "s", context = "system_u:object_r:ssh_server_packet_t:s0" }

--- The rules of a chain. Called as a method, `chain:rule(given, opts)`, it adds one.
-- @type RuleNoun
-- @usage for rule in input.rule:each() do print(rule) end

--- Changes of nftables by anyone; see netns.nft.monitor for its events.
-- @type NftMonitor
-- @usage local monitor <close> = ns.nft:monitor()

--- The next event, as the kernel told it, without readable values of elements.
-- @function NftMonitor:receive
-- @tparam[opt] number timeout seconds; default: for ever
-- @treturn ?table
-- @raise netns.Error
-- @usage local event = monitor:receive(0)

--- The descriptor, for event loops. It stays the monitor's own.
-- @function NftMonitor:fd
-- @treturn integer
-- @usage poll(monitor:fd())

--- Stop watching. Twice is fine.
-- @function NftMonitor:close
-- @usage monitor:close()

--- What a recipe of `netns.firewall` gives.
-- @type Recipe
-- @tfield string name
-- @tfield table rules
-- @tfield Namespace ns
-- @usage local recipe = firewall.allow(ns, { proto = "tcp", port = 22 })

--- Probes that run together. `#probes` is how many there are.
-- @type Probes
-- @usage local probes <close> = netns.probes()

--- Add a probe.
-- @function Probes:add
-- @tparam string kind "ping", "traceroute", "path_mtu", "tcp" or "udp"
-- @tparam Namespace ns where it starts
-- @tparam string dst an address
-- @tparam[opt] table opts see netns.probe
-- @treturn integer its number
-- @raise netns.Error: EPERM without CAP_NET_RAW, EMFILE at a limit
-- @usage local number = probes:add("ping", ns, "10.0.0.2", { count = 3 })

--- Do what there is to do.
-- @function Probes:step
-- @tparam[opt] number seconds how long to wait for it; default: as long as it takes; 0: not at all
-- @treturn ?integer how many are not done yet; nil where a signal came in between
-- @usage repeat local left = probes:step(0.1) until left == 0

--- The descriptor, for event loops: readable when `step(0)` has something to do. It stays the set's own.
-- @function Probes:fd
-- @treturn integer
-- @usage poll(probes:fd())

--- Let go of all of them. Twice is fine.
-- @function Probes:close
-- @usage probes:close()

--- A description of a network, in `data`, a plain table. It prints as a picture.
-- @type Topology
-- @tfield table data
-- @usage local office = topology.new "office"

--- A node of a description. Its methods return it, so that calls chain.
-- @type Node
-- @tfield string name
-- @tfield Topology topology
-- @usage office:host("pc1"):attach(lan)

--- The operations that build a topology, in order. It prints as a shell script.
-- @type Plan
-- @usage print(topology.pair():plan())

--- A topology that is up: `lab.NAME` is a node, a Namespace that knows more. It prints as a picture of it, as it is.
-- @type Lab
-- @usage local lab <close> = topology.star { hosts = 3 }:up()

--- A raised error of the system; it prints as one line.
-- @type Error
-- @tfield string op "link add"
-- @tfield ?string object "eth0"
-- @tfield ?string netns in which namespace
-- @tfield string code "EEXIST"
-- @tfield integer errno 17
-- @tfield string message the system's words for it
-- @tfield ?string kernel the kernel's own words
-- @tfield ?string attr the key that it points at
-- @usage local ns, err = netns.try(netns.open, "nowhere")

return {}
