//! The services that a flow may be recognised as (one table).
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// Makes the enum and its table from one list of rows: `Name "export label" "screen label"`.
macro_rules! services {
    ($($name:ident $export:literal $shown:literal)*) => {
        /// What a flow speaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the protocols' own names")]
        pub enum Service { $($name),* }

        impl Service {
            /// Every service, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the label in exports.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $export),* }
            }

            /// Returns the label on the screen.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $shown),* }
            }
        }
    };
}

services! {
    Http "HTTP" "HTTP"
    Http2 "HTTP2" "HTTP/2"
    WebSocket "WEBSOCKET" "WebSocket"
    Tls "TLS" "TLS"
    Dtls "DTLS" "DTLS"
    Quic "QUIC" "QUIC"
    Gquic "GQUIC" "gQUIC"
    Dns "DNS" "DNS"
    Mdns "MDNS" "mDNS"
    Llmnr "LLMNR" "LLMNR"
    NetbiosNs "NETBIOS-NS" "NetBIOS-NS"
    NetbiosDgm "NETBIOS-DGM" "NetBIOS-DGM"
    NetbiosSsn "NETBIOS-SSN" "NetBIOS-SSN"
    Ssh "SSH" "SSH"
    Ftp "FTP" "FTP"
    Smtp "SMTP" "SMTP"
    Imap "IMAP" "IMAP"
    Pop3 "POP3" "POP3"
    Nntp "NNTP" "NNTP"
    Irc "IRC" "IRC"
    Xmpp "XMPP" "XMPP"
    Telnet "TELNET" "Telnet"
    Rtsp "RTSP" "RTSP"
    Sip "SIP" "SIP"
    Ssdp "SSDP" "SSDP"
    Wsd "WSD" "WS-Discovery"
    Syslog "SYSLOG" "Syslog"
    Ntp "NTP" "NTP"
    Dhcp "DHCP" "DHCP"
    Dhcpv6 "DHCPV6" "DHCPv6"
    Snmp "SNMP" "SNMP"
    Stun "STUN" "STUN"
    Rtp "RTP" "RTP"
    Rtcp "RTCP" "RTCP"
    Tftp "TFTP" "TFTP"
    Radius "RADIUS" "RADIUS"
    Ike "IKE" "IKE"
    OpenVpn "OPENVPN" "OpenVPN"
    WireGuard "WIREGUARD" "WireGuard"
    BitTorrent "BITTORRENT" "BitTorrent"
    Kerberos "KERBEROS" "Kerberos"
    Ldap "LDAP" "LDAP"
    Smb "SMB" "SMB"
    DceRpc "DCERPC" "DCE/RPC"
    OncRpc "ONCRPC" "ONC RPC"
    Rdp "RDP" "RDP"
    Vnc "VNC" "VNC"
    X11 "X11" "X11"
    Postgres "POSTGRES" "PostgreSQL"
    Mysql "MYSQL" "MySQL"
    Redis "REDIS" "Redis"
    MongoDb "MONGODB" "MongoDB"
    Tds "TDS" "TDS"
    Memcached "MEMCACHED" "Memcached"
    Mqtt "MQTT" "MQTT"
    Amqp "AMQP" "AMQP"
    Kafka "KAFKA" "Kafka"
    Coap "COAP" "CoAP"
    Socks "SOCKS" "SOCKS"
    Pptp "PPTP" "PPTP"
    L2tp "L2TP" "L2TP"
    Bgp "BGP" "BGP"
    Rip "RIP" "RIP"
    RipNg "RIPNG" "RIPng"
    Modbus "MODBUS" "Modbus"
    Dnp3 "DNP3" "DNP3"
    S7Comm "S7COMM" "S7comm"
    Bacnet "BACNET" "BACnet"
    Vxlan "VXLAN" "VXLAN"
    Geneve "GENEVE" "Geneve"
    Gtp "GTP" "GTP"
    Teredo "TEREDO" "Teredo"
    Dropbox "DROPBOX" "Dropbox LAN"
    Rsync "RSYNC" "rsync"
    Git "GIT" "Git"
    Rtmp "RTMP" "RTMP"
    Netflow "NETFLOW" "NetFlow"
    Sflow "SFLOW" "sFlow"
    Diameter "DIAMETER" "Diameter"
    Megaco "MEGACO" "Megaco"
    NatPmp "NATPMP" "NAT-PMP"
    Ptp "PTP" "PTP"
    WakeOnLan "WOL" "Wake-on-LAN"
}

impl Service {
    /// Returns the service with this number, as `self as u8` gives it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}
