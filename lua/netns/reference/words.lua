--- What the keys mean, and their units: a line each. Types and limits are not here; the core tells them.
-- @module netns.reference.words
local words = {}

--- The nouns.
words.about = [[
link     interfaces: ip-link(8)
addr     addresses: ip-address(8)
route    routes: ip-route(8)
rule     policy rules: ip-rule(8)
neigh    neighbours: ip-neighbour(8)
nexthop  nexthop objects: ip-nexthop(8)
fdb      forwarding entries of bridges and VXLANs: bridge(8)
vlan     VLANs of bridges and their ports: bridge(8)
mdb      multicast groups of bridges: bridge(8)
xfrm_state   states of IPsec, its security associations: ip-xfrm(8)
xfrm_policy  policies of IPsec: ip-xfrm(8)
qdisc    queueing disciplines: tc(8)
class    classes of queueing disciplines: tc(8)
filter   filters of qdiscs and classes, and their actions: tc(8)
]]

--- Nouns whose tables of keys are called otherwise (because a kind of link has that name).
words.table_of = { vlan = "bridge vlan" }

--- Within which noun tables of keys stand whose first word does not say it (else: link).
words.within = { encap = "route" }

words.keys = {}

words.keys.link = [[
name              its name: 1 to 15 bytes
dev               which link, by name or index (to change or delete one)
index             the index it gets; the kernel chooses one otherwise
ifindex           its index
type              its kind: "veth", "bridge", "vlan", "dummy" ...; each has keys of its own
up                administratively up
mtu               largest packet, in bytes
min_mtu           bytes
max_mtu           bytes
address           link-layer address, "02:00:00:00:00:01"
broadcast         link-layer broadcast address
permaddr          the hardware's own address
master            the bridge, bond or VRF it belongs to
nomaster          true takes it out of its bridge, bond or VRF
link              the link below (of a vlan, macvlan ...)
link_index        its index, where it is in another namespace
link_netnsid      that namespace's id
netns             a Namespace: where the link is made, or moved to
peer              the other end of a veth or netkit: its keys, with `netns`
alias             words for people
altnames          a list of further names
group             "default", a name of /etc/iproute2/group, or a number
txqlen            length of the queue, in packets
qdisc             the root queueing discipline
numtxqueues       transmit queues (of a veth 1 unless given)
numrxqueues       receive queues (of a veth 1 unless given)
operstate         what the kernel says of it: "up", "down", "lowerlayerdown", "unknown" ...
linkmode          who decides of the state
carrier           whether there is a carrier
carrier_up_count  how often it came
carrier_down_count how often it went
protodown         held down by a protocol
addrgenmode       how the IPv6 link-local address is made
arp               it uses ARP
multicast         it takes part in multicast
allmulticast      it receives all multicast
allmulti          how many want that
promisc           it receives everything
promiscuity       how many want that
dynamic           the address goes when it goes down
gso_max_size      bytes
gso_max_segs      segments
gro_max_size      bytes
tso_max_size      bytes
tso_max_segs      segments
link_type         "ether", "loopback" ...
parentbus         the bus of its device
parentdev         its device
phys_port_name    the port of a switch
new_netnsid       where it went (in an event)
new_ifindex       its index there
stats             counters: rx_bytes, tx_packets, rx_dropped ...
bond_slave        keys as a port of a bond: netns.help "bond_slave"
bridge_slave      keys as a port of a bridge: netns.help "bridge_slave"
vrf_slave         keys as a port of a VRF
]]

words.keys.addr = [[
address           "10.0.0.1/24"; without length a single address
dev               the link
peer              the far end's address on a point-to-point link, "10.0.0.2/32"
broadcast         broadcast address; "+" for the usual one
anycast           anycast address
label             "eth0:1"
scope             where it is valid
metric            of the route to its subnet; lower wins
valid_lft         seconds it is valid, or "forever"
preferred_lft     seconds it is preferred, or "forever"
proto             who made it
family            told by the address
nodad             do not look for duplicates first
noprefixroute     make no route for its subnet
optimistic        may be used while duplicates are looked for
home              home address of Mobile IPv6
mngtmpaddr        temporary addresses are made of it
autojoin          join the multicast group
tentative         duplicates are looked for
dadfailed         there is a duplicate
deprecated        its preferred time is over
dynamic           it has a lifetime
secondary         another one of its subnet came first
stable_privacy    made from a secret (RFC 7217)
]]

words.keys.route = [[
dst               where to: "10.0.0.0/8", an address, or "default"; with family = "mpls" a label
via               the gateway; of the other family as well
as                of MPLS: the label, or the stack "200/300", that takes the place of dst
dev               the link to leave by
src               the source address for what starts here
from              only from these sources (IPv6)
metric            preference; lower wins
table             "main", "local", a name of /etc/iproute2/rt_tables, or a number; "all" to list
proto             who made it: "static", "boot", "kernel" ...
scope             how far it reaches
type              what becomes of the packets
family            told by the addresses; "mpls" where dst is a label
nexthops          a list for multipath: keys of "route nexthop" each
nhid              a nexthop object, by its id
encap             what is put around packets: its type, and keys of "encap ip", "encap mpls", "encap seg6" ...
onlink            the gateway counts as reachable on dev
pref              preference of a router (IPv6)
mtu               bytes
advmss            bytes
lock              a list of metrics that the kernel may not change: { "mtu" }
window            largest TCP window, in bytes
rtt               first guess of the round trip, in units of 1/8 ms
rttvar            its variance, in units of 1/4 ms
rto_min           least retransmission time-out, in milliseconds
cwnd              congestion window, in segments; needs lock
initcwnd          first congestion window, in segments
initrwnd          first receive window, in segments
ssthresh          slow start threshold, in segments
reordering        segments
hoplimit          hops; 0: the sysctl's
features          bits: 1 is ecn
quickack          acknowledge at once
congctl           TCP's congestion control
fastopen_no_cookie TCP fast open without cookies
expires           seconds it lives (IPv6)
realms            "from/to" or "to"
tos               type of service
ttl_propagate     copy the TTL into MPLS labels
iif               where packets came in (of route get)
dead              its link is down
linkdown          its link has no carrier
offload           the hardware does it
]]

words.keys["route get"] = [[
dst               where to
from              source address
iif               as if it came in by this link
dev               must leave by this link
mark              firewall mark
ipproto           protocol
sport             source port
dport             destination port
tos               type of service
uid               user id
family            told by the addresses
fibmatch          give the route that matched, not the decision
]]

words.keys["route nexthop"] = [[
via               the gateway
dev               the link
weight            share of the flows: 1 to 256
onlink            the gateway counts as reachable on dev
encap             as of the route
realms            as of the route
dead              its link is down
linkdown          its link has no carrier
]]

words.keys.rule = [[
priority          its place: lower comes first
from              sources
to                destinations
iif               where packets come in
oif               the link a socket is bound to
fwmark            firewall mark; "0x1/0xff" with a mask
fwmask            its mask
tos               type of service
ipproto           protocol
sport             source port, or "1000-2000"
dport             destination port, or "80-90"
uidrange          user ids, "0-99"
tun_id            tunnel id
l3mdev            the table of the VRF that the packet belongs to
table             which routes to look at
action            what is done, "lookup" unless said
goto              go on at the rule of this priority
realms            "from/to"
not               everything else matches
proto             who made it
family            told by the addresses
suppress_prefixlength do not take routes of this length or shorter
suppress_ifgroup  do not take routes by links of this group
iif_detached      there is no such link
oif_detached      there is no such link
unresolved        the rule to go to is missing
]]

words.keys.neigh = [[
dst               its address
dev               the link
lladdr            its link-layer address
state             "permanent", "reachable", "stale" ...
proxy             answered for others
router            it is a router
proto             who made it
family            told by the address
managed           the kernel keeps it up to date
use               ask for it now
extern_learn      learned by something outside of the kernel
offload           the hardware does it
]]

words.keys.nexthop = [[
id                its number
via               the gateway
dev               the link
group             a list of ids, or of { id =, weight = }
type              of a group: "mpath" or "resilient"
resilient         keys of a resilient group
blackhole         drop packets
onlink            the gateway counts as reachable on dev
fdb               for use in a vxlan's fdb
proto             who made it
scope             how far it reaches
family            told by the addresses
master            of dev (to list)
dead              its link is down
linkdown          its link has no carrier
]]

words.keys["nexthop resilient group"] = [[
buckets           how many
idle_timer        hundredths of a second a bucket must be idle before it moves
unbalanced_timer  hundredths of a second after which busy ones move as well; 0: never
unbalanced_time   hundredths of a second it has been unbalanced
]]

words.keys.fdb = [[
lladdr            the address that is forwarded, "02:00:00:00:00:01"
dev               the bridge's port, the bridge or the VXLAN
master            true: the entry of the bridge whose port dev is; listed as the bridge's name
self              the entry of dev itself
state             "permanent", "static", "dynamic", "stale"
vlan              only in this VLAN
dst               of a VXLAN: the other end's address
port              of a VXLAN: the other end's UDP port
vni               of a VXLAN: the network
src_vni           of a VXLAN: the network it comes from
via               of a VXLAN: the link to leave by
nhid              of a VXLAN: a nexthop object
sticky            it does not move to another port
locked            it is behind a locked port
router            it is a router
use               refresh it now
extern_learn      learned by something outside of the kernel
offload           the hardware does it
link_netnsid      the id of the namespace of via
]]

words.keys["bridge vlan"] = [[
vid               1 to 4094, or a range, "10-20"
dev               the port, or the bridge
pvid              untagged frames belong to it
untagged          frames leave without a tag
self              of the bridge itself
master            of the port
state             of spanning tree
tunnel_id         the VXLAN network it belongs to
neigh_suppress    ARP and ND are answered by the bridge
mcast_router      0: never, 1: when queried, 2: always; 3: temporarily
mcast_max_groups  how many groups may be joined; 0: any number
mcast_n_groups    how many are
stats             counters
]]

words.keys.mdb = [[
dev               the bridge
port              its port, or the bridge itself
grp               the group: an address, or a link-layer address
src               only from this source
source_list       the sources of filter_mode
filter_mode       which sources pass
vid               only in this VLAN
state             "permanent" or "temp"
proto             who made it
timer             hundredths of a second it lives on
fast_leave        it goes at the first leave
blocked           its source is blocked
added_by_star_ex  made of a group with excluded sources
offload           the hardware does it
]]

words.keys["encap seg6"] = [[
mode              "encap" (unless given), "inline", "l2encap", "encap.red", "l2encap.red"
segs              the list of segments, in the order in which they are visited
hmac              the id of the key that signs the header
]]

words.keys["encap seg6local"] = [[
action            what this segment does: "End", "End.X", "End.DT6" ...
segs              of End.B6 and End.B6.Encaps: the segments to go on with
hmac              the id of the key that signs the header
table             of End.T and End.DT6: the table that is looked up
vrftable          of End.DT4, End.DT6 and End.DT46: the table of a vrf
nh4               of End.DX4: the next hop
nh6               of End.X and End.DX6: the next hop
iif               the link it came in by
oif               of End.DX2: the link to leave by
count             count packets
counters          what was counted: packets, bytes, errors
flavors           a list of "psp", "usp", "usd", "next-csid"
lblen             of next-csid: bits of the locator block
nflen             of next-csid: bits of node and function
]]

words.keys["encap rpl"] = [[
segs              the list of routers on the way
]]

words.keys["encap ioam6"] = [[
mode              "inline" (unless given), "encap", "auto"
tundst            of encap and auto: where the outer packet goes
trace             { type = 0x800000, ns = 1, size = 12 }: which data, of which namespace of IOAM, in how many bytes
freq              "1/3": that share of packets; all, unless given
]]

words.keys["encap xfrm"] = [[
if_id             of the xfrm link's states and policies
link_dev          the link below
]]

words.keys.xfrm_state = [[
src               where it begins
dst               where it ends
proto             "esp", "ah", "comp", "route2", "hao"
spi               the number that packets carry
mode              "transport" (unless given), "tunnel", "beet", "ro", "in_trigger"
reqid             what templates of policies ask for
seq               the sequence number of the request that it answers
aead              { name = "rfc4106(gcm(aes))", key = "0x...", icv = 128 }: encrypts and signs
enc               { name = "cbc(aes)", key = "0x..." }: encrypts
auth              { name = "hmac(sha256)", key = "0x...", trunc = 128 }: signs; trunc in bits
comp              { name = "deflate" }, or the name: compresses
sel               only these packets: keys of "xfrm_state selector"
limits            how long it lives: keys of "xfrm_state limits"
encap             ESP in UDP or TCP: keys of "xfrm_state encap"
replay_window     packets that may come late, or out of order
replay_seq        sequence number of the last packet that came
replay_oseq       of the last that went
replay_seq_hi     its upper half, with esn
replay_oseq_hi    its upper half, with esn
esn               extended sequence numbers, of 64 bits; needs a replay_window
noecn             congestion is not told across the tunnel
decap_dscp        the inner DSCP is that of the outer header
dont_encap_dscp   the outer DSCP is 0
nopmtudisc        packets may be fragmented
wildrecv          for any receiver
icmp              for what ICMP packets are about, too
af_unspec         for packets of either family
align4            headers are aligned to 4 bytes
oseq_may_wrap     sequence numbers may begin again
mark              only packets with this mark: a number, or "0x1/0xff"
output_mark       the mark that packets get
output_mark_mask  bits of it
coa               the care-of address
tfcpad            pad packets to so many bytes
if_id             of an xfrm link
stats             packets, bytes, times of making and first use (seconds since 1970), losses; listed with stats = true
]]

words.keys["xfrm_state selector"] = [[
src               a prefix
dst               a prefix
dev               the link
proto             the protocol: "tcp", "udp", "icmp" ...
sport             the source's port
dport             the destination's port
type              of ICMP
code              of ICMP
key               of GRE
]]

words.keys["xfrm_state limits"] = [[
byte_soft         bytes until a new state is asked for
byte_hard         bytes until it ends
packet_soft       packets until a new state is asked for
packet_hard       packets until it ends
time_soft         seconds until a new state is asked for
time_hard         seconds until it ends
time_use_soft     seconds from its first use until a new state is asked for
time_use_hard     seconds from its first use until it ends
]]

words.keys["xfrm_state encap"] = [[
type              "espinudp", "espinudp-nonike", "espintcp"
sport             the source's port
dport             the destination's port
oaddr             the original address
]]

words.keys.xfrm_policy = [[
src               from this prefix
dst               to this prefix
dir               "in", "out", "fwd"
dev               the link
proto             the protocol: "tcp", "udp", "icmp" ...
sport             the source's port
dport             the destination's port
type              of ICMP
code              of ICMP
key               of GRE
action            "allow" (unless given), "block"
priority          lower wins
tmpl              what is done to packets, one after the other: a list of keys of "xfrm_policy template"
limits            how long it lives: keys of "xfrm_state limits"
index             the number the kernel gives it
ptype             "main" (unless given), "sub"
localok           sockets may have a policy of their own instead
icmp              for what ICMP packets are about, too
mark              only packets with this mark: a number, or "0x1/0xff"
if_id             of an xfrm link
stats             packets, bytes, times of making and first use (seconds since 1970); listed with stats = true
]]

words.keys["xfrm_policy template"] = [[
proto             "esp", "ah", "comp", "route2", "hao"
mode              "transport" (unless given), "tunnel", "beet", "ro", "in_trigger"
src               of tunnels: where they begin
dst               of tunnels: where they end
spi               only the state of this number
reqid             only states of this request
level             "required" (unless given), "use": go without where there is no state
]]

words.keys.qdisc = [[
dev               the link it queues for
kind              "netem", "htb", "fq_codel" ...; each has keys of its own: netns.help "qdisc netem"
parent            "root" (unless given), "ingress", or the class it serves, "1:10"
root              true: parent is "root"
handle            its own identifier, "1:"; the kernel chooses one otherwise
ingress_block     number of the block that shares its ingress filters
egress_block      number of the block that shares its egress filters
offloaded         the hardware does it
stats             counters, where asked for by { stats = true }: bytes, packets, drops, backlog ...
]]

words.keys.class = [[
dev               the link whose qdisc it belongs to
kind              that of its qdisc: "htb" ...; each has keys of its own: netns.help "class htb"
parent            "root", or the class or qdisc above, "1:" or "1:1"
root              true: parent is "root"
classid           its own identifier, "1:10"
leaf              the qdisc that serves it
stats             counters, where asked for by { stats = true }
]]

words.keys.filter = [[
dev               the link whose packets it looks at
block             a block that qdiscs share, instead of dev
parent            "ingress" or "egress" of a clsact, or a qdisc or class, "1:" or "1:1" ("root", unless given)
kind              "flower", "matchall", "u32", "fw", "basic"; each has keys of its own: netns.help "filter flower"
protocol          "ip", "ipv6", "arp", "802.1Q" ...; "all" unless given
pref              its place: the least comes first; the kernel chooses one otherwise
handle            its number within a pref; of fw the mark, of u32 text such as "800::800"
chain             number of the chain it stands in
stats             true in a list: actions tell their counters
]]

words.keys["filter flower"] = [[
action            what becomes of the packet: "drop", "pass" ..., or a table of an action
actions           a list of those, one after the other: netns.help "action mirred"
classid           the class it belongs to
ip_proto          "tcp", "udp", "icmp" ...
dst_ip            a prefix
src_ip            a prefix
dst_port          a port, "100-200", or "0x50/0xfff0"
src_port          a port, "100-200", or "0x50/0xfff0"
type              of icmp and icmpv6
code              of icmp and icmpv6
ip_tos            "0x10/0xfc"
ip_ttl            "64", or with a mask
tcp_flags         "0x2/0x12"
ip_flags          "frag", "nofrag", "firstfrag", "nofirstfrag", with "/" between
ct_state          "+trk+est", "-new"
skip_hw           not in hardware
skip_sw           only in hardware
]]

words.keys["filter u32"] = [[
match             a list: "ip dst 10.0.0.0/8", "ip dport 80", "u16 0x800 0xffff at 2", { value =, mask =, at = }
link              hash table to look in next, "1:"
ht                hash table it stands in, "1:" or a bucket, "1:6:"
divisor           it is a hash table with that many buckets
hashkey_mask      bits of the packet that choose the bucket of link
hashkey_at        where they are
action            what becomes of the packet: "drop", "pass" ..., or a table of an action
actions           a list of those
classid           the class it belongs to
]]

words.keys["filter matchall"] = [[
action            what becomes of the packet: "drop", "pass" ..., or a table of an action
actions           a list of those
classid           the class it belongs to
]]

words.keys["filter fw"] = [[
mask              bits of the mark (handle) that count
]]

words.keys["filter basic"] = [[
ematches          what it compares, as bytes: listed, and given as it was listed
]]

words.keys["action mirred"] = [[
action            "redirect" or "mirror"
direction         "egress" (unless given) or "ingress" of that link
dev               the link
control           what becomes of the packet: "stolen" after a redirect, "pipe" after a mirror
]]

words.keys["action police"] = [[
rate              that packets may have
burst             bytes that may go at once
control           what becomes of those that are too many: "reclassify" unless given
conform           what becomes of the others
pkts_rate         packets/s, instead of rate
pkts_burst        packets that may go at once
]]

words.keys["action pedit"] = [[
munge             a list: "ip ttl set 9", "eth dst set 02:00:00:00:00:01", "ip tos add 4"; listed as words of 32 bits
]]

words.keys["action nat"] = [[
egress            translate destinations of what leaves, not sources of what comes
old               a prefix
new               the address that stands for it
]]

words.keys["qdisc netem"] = [[
delay             each packet waits
jitter            the delay varies by, both ways
correlation       how much a delay is like the one before
distribution      of the delays: "uniform", "normal", "pareto", "paretonormal"
loss              packets that get lost
loss_correlation  how much a loss is like the one before
loss_state        a model with four states: p13, p31, p32, p23, p14
loss_gemodel      the Gilbert-Elliott model: p, r, 1-h, 1-k
duplicate         packets that come twice
duplicate_correlation how much a duplicate is like the one before
corrupt           packets with a wrong bit
corrupt_correlation how much that is like the one before
reorder           packets that overtake: they do not wait
reorder_correlation how much that is like the one before
gap               every gap-th packet may overtake
rate              how fast packets leave
packet_overhead   bytes that each packet is longer on the way
cell_size         bytes of a cell, where packets travel in cells
cell_overhead     bytes that each cell is longer on the way
slot              packets leave in bursts: min_delay, max_delay, packets, bytes
slot_distribution of the bursts, with slot.delay and slot.jitter
ecn               mark packets instead of losing them
seed              of its random numbers: the same seed, the same losses (Linux 6.6)
limit             packets that may wait
]]

words.keys["qdisc tbf"] = [[
rate              that it holds
burst             bytes that may go at once
limit             bytes that may wait
latency           how long a packet may wait, instead of limit
peakrate          at which a burst goes
mtu               bytes that may go at once at the peakrate
overhead          bytes that each packet is longer on the wire
mpu               bytes that a packet has at least on the wire
linklayer         of the wire
]]

words.keys["qdisc htb"] = [[
default           class of packets that no filter sends elsewhere: "30" (hexadecimal, as with tc) or a number
r2q               the quantum of a class is its rate in bytes/s divided by this
direct_qlen       packets that may wait without a class
offload           the hardware does it
]]

words.keys["class htb"] = [[
rate              that it is sure of
ceil              that it may borrow up to (rate, unless given)
burst             bytes that may go at once
cburst            bytes that may go at once at ceil
prio              who borrows first: 0 .. 7
quantum           bytes it sends before the next gets its turn
mtu               the largest packet, which burst is at least (1600)
overhead          bytes that each packet is longer on the wire
mpu               bytes that a packet has at least on the wire
linklayer         of the wire
]]

words.keys["qdisc fq_codel"] = [[
limit             packets that may wait
flows             queues
memory_limit      bytes of memory that may wait
target            a queue may take that long
interval          for that long, before packets are dropped
quantum           bytes a flow sends before the next gets its turn
ecn               mark packets instead of dropping them
ce_threshold      packets that wait longer are marked in any case
drop_batch        packets dropped at once when too many wait
]]

words.keys["qdisc stats"] = [[
rate              bit/s, of the kernel's estimator
pps               packets/s, of the kernel's estimator
backlog           bytes that wait
qlen              packets that wait
overlimits        how often something had to wait
requeues          how often the link could not take a packet
]]

-- Keys that mean the same in every kind of link that has them.
words.keys.any = [[
ageing            seconds
fwmark            mark of the outer packets
ttl               TTL of the outer packets; "inherit"
hoplimit          hops of the outer packets
tos               type of service of the outer packets; "inherit"
tclass            traffic class of the outer packets; "inherit"
flowlabel         flow label of the outer packets
local             source of the outer packets
remote            destination of the outer packets
dstport           UDP port
id                the network's or VLAN's number
key               of both directions
ikey              key of packets that come in
okey              key of packets that go out
dev               the link below
external          other programs tell where packets go (collect metadata)
encaplimit        levels of encapsulation; "none"
mode              how it works
table             its routing table
]]

words.keys.bridge = [[
ageing_time       hundredths of a second
forward_delay     hundredths of a second
hello_time        hundredths of a second
max_age           hundredths of a second
mcast_last_member_interval hundredths of a second
mcast_membership_interval hundredths of a second
mcast_querier_interval hundredths of a second
mcast_query_interval hundredths of a second
mcast_query_response_interval hundredths of a second
mcast_startup_query_interval hundredths of a second
stp_state         1: spanning tree
vlan_filtering    look at VLAN tags
priority          of spanning tree; lower wins
fdb_max_learned   how many addresses it may learn; 0: any number
]]

words.keys.bond = [[
miimon            milliseconds between looks at the carrier
updelay           milliseconds
downdelay         milliseconds
peer_notify_delay milliseconds
arp_interval      milliseconds
lp_interval       seconds
resend_igmp       how many times
arp_ip_target     a list of IPv4 addresses
ns_ip6_target     a list of IPv6 addresses
]]

words.keys.vxlan = [[
maxaddress        how many addresses it may learn; 0: any number
srcport           source ports, "32768-61000"
]]

words.keys.wireguard = [[
private_key       32 bytes in base64, from netns.wireguard.genkey(); "none": none
public_key        what belongs to it
listen_port       UDP port; the kernel chooses one otherwise
fwmark            mark of the packets it sends; 0: none
peers             a list: keys of "wireguard peer" each; set adds and changes
replace_peers     peers that are not given go
]]

words.keys["wireguard peer"] = [[
public_key        who it is
preshared_key     a secret on top, from netns.wireguard.genpsk(); "none": none
endpoint          where it is: "192.0.2.1:51820", "[2001:db8::1]:51820"
allowed_ips       a list of prefixes it may use; what it had goes
replace_allowed_ips  false: what it had stays
persistent_keepalive  seconds; "off"
remove            it goes
update_only       nothing happens where there is no such peer
latest_handshake  seconds since 1970; nil before the first
rx_bytes          bytes received
tx_bytes          bytes sent
protocol_version  of WireGuard
]]

words.keys.macsec = [[
window            packets
icvlen            bytes
]]

words.keys.macvlan = [[
bcqueuelen        packets
]]

words.keys.netkit = [[
headroom          bytes
tailroom          bytes
]]

return words
