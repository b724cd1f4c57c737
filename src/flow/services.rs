//! Names of services by port, and which ports are registered.
//!
//! The names are those of the "Service Name and Transport Protocol Port Number Registry" (IANA, RFC
//! 6335), as far as they are in common use; where several share a port, the one that is meant today.
//! Nothing is read from the system: a file shows the same names on every machine.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::packet::key::proto;

/// Ports from here on are handed out to clients (Linux, `ip_local_port_range`; IANA: from 49152).
const EPHEMERAL: u16 = 32768;

/// Returns the name of the service on a port of an IP protocol, `None` if it has none. Costs a
/// binary search, and belongs where text is made.
pub fn service_name(proto: u8, port: u16) -> Option<&'static str> {
    let transport = match proto {
        proto::TCP => T,
        proto::UDP | proto::UDPLITE => U,
        proto::SCTP => S,
        _ => return None,
    };
    let start = SERVICES.partition_point(|row| row.0 < port);
    let on_port = SERVICES[start..].iter().take_while(|row| row.0 == port);
    on_port.into_iter().find(|row| row.1 & transport != 0).map(|row| row.2)
}

/// Returns whether a port is one that servers listen on: below 1024, or in the registry and below
/// those that are handed out to clients. One load.
#[inline]
pub const fn is_registered(port: u16) -> bool {
    REGISTERED[(port >> 6) as usize] >> (port & 63) & 1 != 0
}

/// One bit a port.
static REGISTERED: [u64; 1024] = {
    let mut bits = [0; 1024];
    let mut word = 0;
    while word < 1024 / 64 {
        bits[word] = u64::MAX;
        word += 1;
    }
    let mut row = 0;
    while row < SERVICES.len() {
        let port = SERVICES[row].0;
        if port < EPHEMERAL {
            bits[(port >> 6) as usize] |= 1 << (port & 63);
        }
        row += 1;
    }
    // Port 0 is no port.
    bits[0] &= !1;
    bits
};

/// TCP.
const T: u8 = 1;
/// UDP.
const U: u8 = 2;
/// SCTP.
const S: u8 = 4;
/// TCP and UDP.
const TU: u8 = T | U;
/// TCP and SCTP.
const TS: u8 = T | S;

/// Port, transports, name; sorted by port.
#[rustfmt::skip]
const SERVICES: &[(u16, u8, &str)] = &[
    (1, T, "tcpmux"), (7, TU, "echo"), (9, TU, "discard"), (11, T, "systat"), (13, TU, "daytime"),
    (15, T, "netstat"), (17, T, "qotd"), (19, TU, "chargen"), (20, T, "ftp-data"), (21, T, "ftp"),
    (21, U, "fsp"), (22, T, "ssh"), (23, T, "telnet"), (25, T, "smtp"), (37, TU, "time"), (43, T, "whois"),
    (49, TU, "tacacs"), (53, TU, "domain"), (67, U, "bootps"), (68, U, "bootpc"), (69, U, "tftp"),
    (70, T, "gopher"), (79, T, "finger"), (80, T, "http"), (88, TU, "kerberos"), (102, T, "iso-tsap"),
    (104, T, "acr-nema"), (106, T, "poppassd"), (110, T, "pop3"), (111, TU, "sunrpc"), (113, T, "auth"),
    (119, T, "nntp"), (123, U, "ntp"), (135, T, "epmap"), (137, U, "netbios-ns"), (138, U, "netbios-dgm"),
    (139, T, "netbios-ssn"), (143, T, "imap"), (161, TU, "snmp"), (162, TU, "snmptrap"),
    (163, TU, "cmip-man"), (164, TU, "cmip-agent"), (174, T, "mailq"), (177, U, "xdmcp"), (179, T, "bgp"),
    (199, T, "smux"), (209, T, "qmtp"), (210, T, "z3950"), (213, U, "ipx"), (319, U, "ptp-event"),
    (320, U, "ptp-general"), (345, T, "pawserv"), (346, T, "zserv"), (369, TU, "rpc2portmap"),
    (370, TU, "codaauth2"), (371, U, "clearcase"), (389, TU, "ldap"), (427, TU, "svrloc"),
    (443, TU, "https"), (444, T, "snpp"), (445, T, "microsoft-ds"), (464, TU, "kpasswd"),
    (465, T, "submissions"), (487, T, "saft"), (500, U, "isakmp"), (502, TU, "mbap"), (512, T, "exec"),
    (512, U, "biff"), (513, T, "login"), (513, U, "who"), (514, T, "shell"), (514, U, "syslog"),
    (515, T, "printer"), (517, U, "talk"), (518, U, "ntalk"), (520, U, "route"), (538, TU, "gdomap"),
    (540, T, "uucp"), (543, T, "klogin"), (544, T, "kshell"), (546, U, "dhcpv6-client"),
    (547, U, "dhcpv6-server"), (548, T, "afpovertcp"), (554, TU, "rtsp"), (563, T, "nntps"),
    (587, T, "submission"), (607, T, "nqs"), (623, U, "asf-rmcp"), (628, T, "qmqp"), (631, T, "ipp"),
    (636, TU, "ldaps"), (646, TU, "ldp"), (655, TU, "tinc"), (706, T, "silc"), (749, T, "kerberos-adm"),
    (750, TU, "kerberos4"), (751, TU, "kerberos-master"), (752, U, "passwd-server"), (754, T, "krb-prop"),
    (775, T, "moira-db"), (777, T, "moira-update"), (779, U, "moira-ureg"), (783, T, "spamd"),
    (853, TU, "domain-s"), (871, T, "supfilesrv"), (873, T, "rsync"), (989, T, "ftps-data"),
    (990, T, "ftps"), (992, T, "telnets"), (993, T, "imaps"), (995, T, "pop3s"), (1080, T, "socks"),
    (1093, T, "proofd"), (1094, T, "rootd"), (1099, T, "rmiregistry"), (1127, T, "supfiledbg"),
    (1178, T, "skkserv"), (1194, TU, "openvpn"), (1210, U, "predict"), (1236, T, "rmtcfg"),
    (1313, T, "xtel"), (1314, T, "xtelw"), (1352, T, "lotusnote"), (1433, TU, "ms-sql-s"),
    (1434, U, "ms-sql-m"), (1521, TU, "ncube-lm"), (1524, T, "ingreslock"), (1645, TU, "datametrics"),
    (1646, TU, "sa-msg-port"), (1649, T, "kermit"), (1677, T, "groupwise"), (1701, TU, "l2f"),
    (1720, TU, "h323hostcall"), (1723, TU, "pptp"), (1812, TU, "radius"), (1813, TU, "radius-acct"),
    (1883, TU, "mqtt"), (1900, TU, "ssdp"), (1935, TU, "macromedia-fcs"), (2000, T, "cisco-sccp"),
    (2049, TU, "nfs"), (2086, TU, "gnunet"), (2101, TU, "rtcm-sc104"), (2102, U, "zephyr-srv"),
    (2103, U, "zephyr-clt"), (2104, U, "zephyr-hm"), (2119, T, "gsigatekeeper"), (2121, T, "iprop"),
    (2123, TU, "gtp-control"), (2135, T, "gris"), (2152, TU, "gtp-user"), (2222, TU, "EtherNet-IP-1"),
    (2375, T, "docker"), (2376, T, "docker-s"), (2377, T, "swarm"), (2379, T, "etcd-client"),
    (2380, T, "etcd-server"), (2401, T, "cvspserver"), (2404, TU, "iec-104"), (2430, TU, "venus"),
    (2431, TU, "venus-se"), (2432, TU, "codasrv"), (2433, TU, "codasrv-se"), (2483, TU, "ttc"),
    (2484, TU, "ttc-ssl"), (2583, TU, "mon"), (2600, T, "zebrasrv"), (2601, T, "zebra"), (2602, T, "ripd"),
    (2603, T, "ripngd"), (2604, T, "ospfd"), (2605, T, "bgpd"), (2606, T, "ospf6d"), (2607, T, "ospfapi"),
    (2608, T, "isisd"), (2628, T, "dict"), (2775, TU, "smpp"), (2792, T, "f5-globalsite"),
    (2811, T, "gsiftp"), (2947, T, "gpsd"), (3050, T, "gds-db"), (3128, TU, "ndl-aas"), (3130, U, "icpv2"),
    (3205, TU, "isns"), (3260, T, "iscsi-target"), (3268, TU, "msft-gc"), (3269, TU, "msft-gc-ssl"),
    (3283, TU, "net-assistant"), (3306, T, "mysql"), (3310, TU, "dyna-access"), (3389, T, "ms-wbt-server"),
    (3478, TU, "stun"), (3493, TU, "nut"), (3544, U, "teredo"), (3632, T, "distcc"), (3689, T, "daap"),
    (3690, T, "svn"), (3702, TU, "ws-discovery"), (3868, TS, "diameter"), (4031, T, "suucp"),
    (4094, T, "sysrqd"), (4190, T, "sieve"), (4353, T, "f5-iquery"), (4369, T, "epmd"), (4373, T, "remctl"),
    (4460, T, "ntske"), (4500, TU, "ipsec-nat-t"), (4557, T, "fax"), (4559, T, "hylafax"), (4569, U, "iax"),
    (4691, T, "mtn"), (4789, U, "vxlan"), (4840, T, "opcua-tcp"), (4899, T, "radmin-port"),
    (4949, T, "munin"), (5000, TU, "commplex-main"), (5004, TU, "avt-profile-1"),
    (5005, TU, "avt-profile-2"), (5044, TU, "lxi-evntsvc"), (5060, TU, "sip"), (5061, TU, "sips"),
    (5190, TU, "aol"), (5222, T, "xmpp-client"), (5246, U, "capwap-control"), (5247, U, "capwap-data"),
    (5269, T, "xmpp-server"), (5308, T, "cfengine"), (5349, TU, "stuns"), (5350, U, "pcp-multicast"),
    (5351, TU, "pcp"), (5353, U, "mdns"), (5355, TU, "llmnr"), (5357, TU, "wsdapi"), (5358, TU, "wsdapi-s"),
    (5432, T, "postgresql"), (5555, U, "rplay"), (5556, T, "freeciv"), (5601, TU, "esmagent"),
    (5666, T, "nrpe"), (5667, T, "nsca"), (5671, T, "amqps"), (5672, TS, "amqp"), (5680, T, "canna"),
    (5683, TU, "coap"), (5684, TU, "coaps"), (5900, TU, "rfb"), (5938, TU, "teamviewer"),
    (5984, TU, "couchdb"), (5985, TU, "wsman"), (5986, TU, "wsmans"), (6000, T, "x11"), (6001, T, "x11-1"),
    (6002, T, "x11-2"), (6003, T, "x11-3"), (6004, T, "x11-4"), (6005, T, "x11-5"), (6006, T, "x11-6"),
    (6007, T, "x11-7"), (6081, U, "geneve"), (6346, TU, "gnutella-svc"), (6347, TU, "gnutella-rtr"),
    (6379, T, "redis"), (6443, TU, "sun-sr-https"), (6444, T, "sge-qmaster"), (6445, T, "sge-execd"),
    (6446, T, "mysql-proxy"), (6513, T, "netconf-tls"), (6514, TU, "syslog-tls"), (6566, T, "sane-port"),
    (6653, TU, "openflow"), (6665, T, "ircu"), (6666, T, "ircu"), (6667, T, "ircd"), (6668, T, "ircu"),
    (6669, T, "ircu"), (6696, U, "babel"), (6697, T, "ircs-u"), (6881, TU, "bittorrent"), (7000, T, "bbs"),
    (7000, U, "afs3-fileserver"), (7001, U, "afs3-callback"), (7002, U, "afs3-prserver"),
    (7003, U, "afs3-vlserver"), (7004, U, "afs3-kaserver"), (7005, U, "afs3-volser"), (7007, U, "afs3-bos"),
    (7008, U, "afs3-update"), (7009, U, "afs3-rmtsys"), (7100, T, "font-service"), (7474, T, "neo4j"),
    (7687, T, "bolt"), (8000, TU, "irdmi"), (8008, TU, "http-alt"), (8009, T, "nvme-disc"),
    (8021, T, "zope-ftp"), (8080, T, "http-alt"), (8081, T, "tproxy"), (8083, TU, "us-srv"),
    (8086, TU, "d-s-n"), (8088, T, "omniorb"), (8088, U, "radan-http"), (8090, T, "opsmessaging"),
    (8091, T, "jamlink"), (8140, T, "puppet"), (8181, T, "intermapper"), (8333, T, "bitcoin"),
    (8443, TU, "pcsync-https"), (8472, TU, "otv"), (8500, TU, "fmtp"), (8554, TU, "rtsp-alt"),
    (8600, U, "asterix"), (8883, TU, "secure-mqtt"), (8888, T, "ddi-tcp-1"), (8990, T, "clc-build-daemon"),
    (9000, TU, "cslistener"), (9090, TU, "websm"), (9091, TU, "xmltec-xmlmail"), (9092, T, "XmlIpcRegSvc"),
    (9098, T, "xinetd"), (9100, TU, "hp-pdl-datastr"), (9101, T, "bacula-dir"), (9102, T, "bacula-fd"),
    (9103, T, "bacula-sd"), (9160, TU, "apani1"), (9200, TU, "wap-wsp"), (9300, TU, "vrace"),
    (9418, T, "git"), (9443, TU, "tungsten-https"), (9667, T, "xmms2"), (9673, T, "zope"),
    (9999, TU, "distinct"), (10000, T, "webmin"), (10050, T, "zabbix-agent"), (10051, T, "zabbix-trapper"),
    (10080, T, "amanda"), (10081, T, "kamanda"), (10082, T, "amandaidx"), (10083, T, "amidxtape"),
    (10809, T, "nbd"), (11112, T, "dicom"), (11211, TU, "memcache"), (11371, T, "hkp"),
    (17001, U, "sgi-cmsd"), (17002, U, "sgi-crsd"), (17003, U, "sgi-gcd"), (17004, T, "sgi-cad"),
    (17500, T, "db-lsp"), (20000, TU, "dnp"), (22125, T, "dcap"), (22128, T, "gsidcap"), (22273, T, "wnn6"),
    (24554, T, "binkp"), (25565, T, "minecraft"), (27017, T, "mongodb"), (27374, TU, "asp"),
    (30865, T, "csync2"), (44818, TU, "EtherNet-IP-2"), (47808, TU, "bacnet"), (51820, U, "wireguard"),
    (57000, T, "dircproxy"), (60177, T, "tfido"), (60179, T, "fido"), (64738, TU, "murmur"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_services_have_their_names() {
        let cases = [
            (proto::TCP, 22, Some("ssh")),
            (proto::TCP, 443, Some("https")),
            (proto::UDP, 443, Some("https")),
            (proto::UDP, 53, Some("domain")),
            (proto::TCP, 143, Some("imap")),
            (proto::UDP, 5353, Some("mdns")),
            (proto::UDP, 1900, Some("ssdp")),
            (proto::TCP, 5432, Some("postgresql")),
            (proto::TCP, 27017, Some("mongodb")),
            (proto::SCTP, 5672, Some("amqp")),
            // The same port, another service by transport.
            (proto::TCP, 514, Some("shell")),
            (proto::UDP, 514, Some("syslog")),
            (proto::TCP, 7000, Some("bbs")),
            (proto::UDP, 7000, Some("afs3-fileserver")),
            (proto::UDP, 22, None),
            (proto::TCP, 0, None),
            (proto::TCP, 65535, None),
            (proto::ICMP, 22, None),
        ];
        for (proto, port, want) in cases {
            assert_eq!(service_name(proto, port), want, "{port}/{proto}");
        }
    }

    #[test]
    fn the_table_is_sorted_and_has_one_name_for_each_port_and_transport() {
        for pair in SERVICES.windows(2) {
            assert!(pair[0].0 <= pair[1].0, "{pair:?}");
        }
        let mut seen = std::collections::HashSet::new();
        for (port, transports, name) in SERVICES {
            assert!(!name.is_empty() && name.is_ascii() && *transports != 0);
            for one in [T, U, S] {
                assert!(transports & one == 0 || seen.insert((port, one)), "{port} {name}");
            }
        }
        assert!(SERVICES.len() > 350);
    }

    #[test]
    fn registered_are_low_ports_and_known_services_below_the_clients() {
        for port in [1, 22, 1023, 3306, 5432, 8080, 27017] {
            assert!(is_registered(port), "{port}");
        }
        for port in [0, 1024, 9998, 32768, 47808, 51820, 60177, 65535] {
            assert!(!is_registered(port), "{port}");
        }
    }
}
