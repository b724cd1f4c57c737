//! The facts that recognisers learn (one table): name in exports and filters, and shape.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// The shape of a fact's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One text; the first one stays.
    Text,
    /// Distinct texts in the order of their appearance.
    List,
    /// One whole number; the first one stays.
    Number,
    /// It is so.
    Flag,
}

/// Bytes of one value at most; what is longer is cut. User agents and paths are the long ones.
pub const LONGEST_VALUE: usize = 512;
/// Values of one flow at most.
pub const MOST_VALUES: usize = 64;

/// Makes the enum and its table from one list of rows: `Name "key" Shape "what it is"`.
macro_rules! facts {
    ($($name:ident $key:literal $shape:ident $doc:literal)*) => {
        /// A fact about what a flow speaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Fact { $(#[doc = $doc] $name),* }

        impl Fact {
            /// Every fact, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the name in exports and filters.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }

            /// Returns the shape of its values.
            #[inline]
            pub const fn shape(self) -> Shape {
                match self { $(Self::$name => Shape::$shape),* }
            }

            /// Returns what it is, for people.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $doc),* }
            }
        }
    };
}

facts! {
    Sni "sni" Text "Server name of the ClientHello (RFC 6066 section 3), outer one with ECH."
    Alpn "alpn" List "Application protocols that the client offers (RFC 7301)."
    AlpnSelected "alpn_selected" Text "Application protocol that the server chose, where it can be read."
    TlsVersion "tls_version" Text "Version that was negotiated: `TLS1.3`, `SSL3.0`."
    DtlsVersion "dtls_version" Text "DTLS version that was negotiated: `DTLS1.2`."
    TlsClientVersion "tls_client_version" Text "Highest version that the client offers."
    TlsCipher "tls_cipher" Text "Cipher suite that the server chose, by its IANA name."
    TlsCipherStrength "tls_cipher_strength" Text "`secure` or `weak`."
    TlsResumed "tls_resumed" Flag "The session is a resumed one."
    Ech "ech" Flag "The client sent an encrypted ClientHello."
    Ja4 "ja4" Text "JA4 fingerprint of the client."
    CertName "cert_name" List "Names of the server's certificate, where it can be read."
    QuicVersion "quic_version" List "QUIC versions seen, the client's first: `v1`, `v2`, `draft-29`."
    QuicScid "quic_scid" List "Source connection ids, hexadecimal."
    QuicDcid "quic_dcid" Text "The client's first destination connection id, hexadecimal."
    QuicRetry "quic_retry" Flag "The server sent a Retry."
    QuicVersionNegotiation "quic_version_negotiation" Flag "The server sent a Version Negotiation packet."
    QuicZeroRtt "quic_0rtt" Flag "The client sent 0-RTT packets."
    QuicClose "quic_close" List "CONNECTION_CLOSE: `transport:N` or `app:N`."
    QuicCloseReason "quic_close_reason" Text "The reason phrase of CONNECTION_CLOSE."
    QuicUserAgent "quic_user_agent" Text "User agent of a gQUIC client."
    HttpMethod "http_method" List "Request methods."
    HttpHost "http_host" List "Host header or :authority."
    HttpPath "http_path" List "Request targets."
    HttpVersion "http_version" Text "Version of the request line."
    HttpUserAgent "http_user_agent" List "User-Agent header."
    HttpStatus "http_status" List "Status codes."
    HttpServer "http_server" Text "Server header."
    HttpContentType "http_content_type" Text "Content-Type of the first response."
    DnsQuery "dns_query" List "Names asked for, of mDNS and LLMNR too."
    DnsType "dns_qtype" List "Types asked for."
    DnsRcode "dns_rcode" List "Response codes, by number."
    DnsAddress "dns_addr" List "Addresses in answers."
    DnsCname "dns_cname" List "Canonical names in answers."
    DnsAnswered "dns_answered" Flag "A query was answered."
    DnsTime "dns_time_us" Number "Time from the first query to its answer in us."
    NbnsName "nbns_name" List "NetBIOS names."
    SshClient "ssh_client" Text "The client's identification line."
    SshServer "ssh_server" Text "The server's identification line."
    SshKex "ssh_kex" Text "Key exchange algorithm that both sides agree on."
    SshHostKey "ssh_host_key" Text "Host key algorithm that both sides agree on."
    SshCipher "ssh_cipher" Text "Cipher from client to server that both sides agree on."
    SshMac "ssh_mac" Text "MAC from client to server that both sides agree on."
    FtpCommand "ftp_command" List "FTP commands."
    FtpUser "ftp_user" Text "FTP user."
    MailCommand "mail_command" List "SMTP, IMAP or POP3 commands."
    MailServer "mail_server" Text "The server's greeting."
    StartTls "starttls" Flag "The session went on in TLS."
    SipMethod "sip_method" List "SIP methods."
    SipStatus "sip_status" List "SIP status codes."
    SipFrom "sip_from" Text "SIP From URI."
    SipTo "sip_to" Text "SIP To URI."
    RtspMethod "rtsp_method" List "RTSP methods."
    RtspUrl "rtsp_url" Text "RTSP URL."
    IrcNick "irc_nick" Text "IRC nick."
    XmppTo "xmpp_to" Text "XMPP domain of the stream."
    SsdpMethod "ssdp_method" List "SSDP methods."
    SsdpTarget "ssdp_target" Text "SSDP ST or NT."
    SsdpServer "ssdp_server" Text "SSDP SERVER."
    SyslogTag "syslog_tag" Text "The program that a syslog message names."
    NtpVersion "ntp_version" Number "NTP version."
    NtpMode "ntp_mode" List "NTP modes, by number."
    DhcpType "dhcp_type" List "DHCP(v6) message types."
    DhcpHostname "dhcp_hostname" Text "Host name of the DHCP client."
    SnmpVersion "snmp_version" Text "SNMP version: `1`, `2c`, `3`."
    SnmpCommunity "snmp_community" Text "SNMP community."
    StunType "stun_type" List "STUN message types, hexadecimal."
    RtpPayloadType "rtp_payload_type" List "RTP payload types."
    RtpSsrc "rtp_ssrc" List "RTP synchronisation sources, hexadecimal."
    TftpFile "tftp_file" Text "TFTP file name."
    RadiusUser "radius_user" Text "RADIUS user name."
    IkeVersion "ike_version" Text "IKE version."
    OpenVpnOpcode "openvpn_opcode" List "OpenVPN opcodes."
    WireGuardType "wg_type" List "WireGuard message types."
    BtInfoHash "bt_info_hash" List "BitTorrent info hashes, hexadecimal."
    KerberosType "kerberos_type" List "Kerberos message types."
    KerberosRealm "kerberos_realm" Text "Kerberos realm."
    KerberosName "kerberos_cname" Text "Kerberos client."
    LdapOp "ldap_op" List "LDAP operations."
    SmbVersion "smb_version" Text "SMB dialect."
    SmbCommand "smb_cmd" List "SMB commands, by number."
    RdpCookie "rdp_cookie" Text "RDP cookie (user name)."
    SqlUser "sql_user" Text "User of a database session."
    SqlDatabase "sql_database" Text "Database of a session."
    SqlQuery "sql_query" List "First queries of a database session."
    SqlVersion "sql_version" Text "Version of the database server."
    MqttType "mqtt_type" List "MQTT packet types."
    MqttClient "mqtt_clientid" Text "MQTT client id."
    MqttTopic "mqtt_topic" List "MQTT topics."
    SocksTarget "socks_target" Text "What a SOCKS proxy was asked for."
    BgpAs "bgp_as" List "BGP autonomous system numbers."
    ModbusFunction "modbus_function" List "Modbus function codes."
    IcmpId "icmp_id" Number "Identifier of the first echo request or reply."
    IcmpRtt "icmp_rtt_us" Number "Time from an echo request with that identifier to its reply in us, the first one seen."
    ArpMac "arp_mac" List "Hardware addresses that ARP replies named."
    Comment "comment" List "What the capture file says of its packets (pcapng comments), the first eight."
    Detail "detail" Text "The one fact to show of a service without a better one."
}
