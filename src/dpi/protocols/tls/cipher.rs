//! Names of cipher suites (IANA "TLS Cipher Suites"), and which of them are weak today.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

use crate::dpi::{fact::Fact, notes::Notes, protocols::tls::version::hex4};

/// Notes the cipher suite that the server chose, by its name or, if it has none, by its number, and its strength.
pub fn note(number: u16, notes: &mut Notes<'_>) {
    const PREFIX: &[u8] = b"TLS_";
    let Some(row) = row_of(number) else {
        let [a, b, c, d] = hex4(number);
        return notes.text(Fact::TlsCipher, &[b'0', b'x', a, b, c, d]);
    };
    let name = SUITES[row].1;
    let mut text = [0; 64];
    let len = PREFIX.len() + name.len();
    if let Some(room) = text.get_mut(..len) {
        room[..PREFIX.len()].copy_from_slice(PREFIX);
        room[PREFIX.len()..].copy_from_slice(name.as_bytes());
        notes.text(Fact::TlsCipher, room);
    }
    notes.text(Fact::TlsCipherStrength, if SECURE[row] { b"secure" } else { b"weak" });
}

fn row_of(number: u16) -> Option<usize> {
    SUITES.binary_search_by_key(&number, |row| row.0).ok()
}

/// Which suites are secure, by row: worked out by the compiler, because names are long.
static SECURE: [bool; SUITES.len()] = {
    let mut secure = [false; SUITES.len()];
    let mut row = 0;
    while row < SUITES.len() {
        secure[row] = is_secure(SUITES[row].1.as_bytes());
        row += 1;
    }
    secure
};

/// Returns whether a suite is as RFC 9325 section 4 recommends: authenticated encryption with a tag of full
/// length, and keys that a later theft of the server's key does not give away. All of TLS 1.3's are, but for short tags.
const fn is_secure(name: &[u8]) -> bool {
    const WITH: &[u8] = b"_WITH_";
    let with = find(name, WITH);
    let (exchange, cipher) = match with {
        Some(at) => {
            let (exchange, rest) = name.split_at(at);
            (exchange, rest.split_at(WITH.len()).1)
        }
        None => name.split_at(0),
    };
    let forward = exchange.is_empty()
        || matches!(exchange, [b'E', b'C', b'D', b'H', b'E', b'_', ..])
        || matches!(exchange, [b'D', b'H', b'E', b'_', ..] | [b'E', b'C', b'C', b'P', b'W', b'D', ..]);
    let authenticated = has(cipher, b"GCM")
        || has(cipher, b"CCM")
        || has(cipher, b"CHACHA20")
        || has(cipher, b"MGM")
        || has(cipher, b"AEGIS");
    forward && authenticated && !has(cipher, b"CCM_8") && !has(exchange, b"EXPORT")
}

const fn has(text: &[u8], word: &[u8]) -> bool {
    find(text, word).is_some()
}

/// Returns where a word begins in a text.
const fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + word.len() <= text.len() {
        let mut same = 0;
        while same < word.len() && text[at + same] == word[same] {
            same += 1;
        }
        if same == word.len() {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Number and name of each suite, by number.
#[rustfmt::skip]
const SUITES: &[(u16, &str)] = &[
    (0x0000, "NULL_WITH_NULL_NULL"),
    (0x0001, "RSA_WITH_NULL_MD5"),
    (0x0002, "RSA_WITH_NULL_SHA"),
    (0x0003, "RSA_EXPORT_WITH_RC4_40_MD5"),
    (0x0004, "RSA_WITH_RC4_128_MD5"),
    (0x0005, "RSA_WITH_RC4_128_SHA"),
    (0x0006, "RSA_EXPORT_WITH_RC2_CBC_40_MD5"),
    (0x0007, "RSA_WITH_IDEA_CBC_SHA"),
    (0x0008, "RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0009, "RSA_WITH_DES_CBC_SHA"),
    (0x000a, "RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x000b, "DH_DSS_EXPORT_WITH_DES40_CBC_SHA"),
    (0x000c, "DH_DSS_WITH_DES_CBC_SHA"),
    (0x000d, "DH_DSS_WITH_3DES_EDE_CBC_SHA"),
    (0x000e, "DH_RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x000f, "DH_RSA_WITH_DES_CBC_SHA"),
    (0x0010, "DH_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0011, "DHE_DSS_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0012, "DHE_DSS_WITH_DES_CBC_SHA"),
    (0x0013, "DHE_DSS_WITH_3DES_EDE_CBC_SHA"),
    (0x0014, "DHE_RSA_EXPORT_WITH_DES40_CBC_SHA"),
    (0x0015, "DHE_RSA_WITH_DES_CBC_SHA"),
    (0x0016, "DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0017, "DH_anon_EXPORT_WITH_RC4_40_MD5"),
    (0x0018, "DH_anon_WITH_RC4_128_MD5"),
    (0x0019, "DH_anon_EXPORT_WITH_DES40_CBC_SHA"),
    (0x001a, "DH_anon_WITH_DES_CBC_SHA"),
    (0x001b, "DH_anon_WITH_3DES_EDE_CBC_SHA"),
    (0x001e, "KRB5_WITH_DES_CBC_SHA"),
    (0x001f, "KRB5_WITH_3DES_EDE_CBC_SHA"),
    (0x0020, "KRB5_WITH_RC4_128_SHA"),
    (0x0021, "KRB5_WITH_IDEA_CBC_SHA"),
    (0x0022, "KRB5_WITH_DES_CBC_MD5"),
    (0x0023, "KRB5_WITH_3DES_EDE_CBC_MD5"),
    (0x0024, "KRB5_WITH_RC4_128_MD5"),
    (0x0025, "KRB5_WITH_IDEA_CBC_MD5"),
    (0x0026, "KRB5_EXPORT_WITH_DES_CBC_40_SHA"),
    (0x0027, "KRB5_EXPORT_WITH_RC2_CBC_40_SHA"),
    (0x0028, "KRB5_EXPORT_WITH_RC4_40_SHA"),
    (0x0029, "KRB5_EXPORT_WITH_DES_CBC_40_MD5"),
    (0x002a, "KRB5_EXPORT_WITH_RC2_CBC_40_MD5"),
    (0x002b, "KRB5_EXPORT_WITH_RC4_40_MD5"),
    (0x002c, "PSK_WITH_NULL_SHA"),
    (0x002d, "DHE_PSK_WITH_NULL_SHA"),
    (0x002e, "RSA_PSK_WITH_NULL_SHA"),
    (0x002f, "RSA_WITH_AES_128_CBC_SHA"),
    (0x0030, "DH_DSS_WITH_AES_128_CBC_SHA"),
    (0x0031, "DH_RSA_WITH_AES_128_CBC_SHA"),
    (0x0032, "DHE_DSS_WITH_AES_128_CBC_SHA"),
    (0x0033, "DHE_RSA_WITH_AES_128_CBC_SHA"),
    (0x0034, "DH_anon_WITH_AES_128_CBC_SHA"),
    (0x0035, "RSA_WITH_AES_256_CBC_SHA"),
    (0x0036, "DH_DSS_WITH_AES_256_CBC_SHA"),
    (0x0037, "DH_RSA_WITH_AES_256_CBC_SHA"),
    (0x0038, "DHE_DSS_WITH_AES_256_CBC_SHA"),
    (0x0039, "DHE_RSA_WITH_AES_256_CBC_SHA"),
    (0x003a, "DH_anon_WITH_AES_256_CBC_SHA"),
    (0x003b, "RSA_WITH_NULL_SHA256"),
    (0x003c, "RSA_WITH_AES_128_CBC_SHA256"),
    (0x003d, "RSA_WITH_AES_256_CBC_SHA256"),
    (0x003e, "DH_DSS_WITH_AES_128_CBC_SHA256"),
    (0x003f, "DH_RSA_WITH_AES_128_CBC_SHA256"),
    (0x0040, "DHE_DSS_WITH_AES_128_CBC_SHA256"),
    (0x0041, "RSA_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0042, "DH_DSS_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0043, "DH_RSA_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0044, "DHE_DSS_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0045, "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0046, "DH_anon_WITH_CAMELLIA_128_CBC_SHA"),
    (0x0060, "RSA_EXPORT1024_WITH_RC4_56_MD5"),
    (0x0061, "RSA_EXPORT1024_WITH_RC2_CBC_56_MD5"),
    (0x0062, "RSA_EXPORT1024_WITH_DES_CBC_SHA"),
    (0x0063, "DHE_DSS_EXPORT1024_WITH_DES_CBC_SHA"),
    (0x0064, "RSA_EXPORT1024_WITH_RC4_56_SHA"),
    (0x0065, "DHE_DSS_EXPORT1024_WITH_RC4_56_SHA"),
    (0x0066, "DHE_DSS_WITH_RC4_128_SHA"),
    (0x0067, "DHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0x0068, "DH_DSS_WITH_AES_256_CBC_SHA256"),
    (0x0069, "DH_RSA_WITH_AES_256_CBC_SHA256"),
    (0x006a, "DHE_DSS_WITH_AES_256_CBC_SHA256"),
    (0x006b, "DHE_RSA_WITH_AES_256_CBC_SHA256"),
    (0x006c, "DH_anon_WITH_AES_128_CBC_SHA256"),
    (0x006d, "DH_anon_WITH_AES_256_CBC_SHA256"),
    (0x0080, "GOSTR341094_WITH_28147_CNT_IMIT"),
    (0x0081, "GOSTR341001_WITH_28147_CNT_IMIT"),
    (0x0082, "GOSTR341094_WITH_NULL_GOSTR3411"),
    (0x0083, "GOSTR341001_WITH_NULL_GOSTR3411"),
    (0x0084, "RSA_WITH_CAMELLIA_256_CBC_SHA"),
    (0x0085, "DH_DSS_WITH_CAMELLIA_256_CBC_SHA"),
    (0x0086, "DH_RSA_WITH_CAMELLIA_256_CBC_SHA"),
    (0x0087, "DHE_DSS_WITH_CAMELLIA_256_CBC_SHA"),
    (0x0088, "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA"),
    (0x0089, "DH_anon_WITH_CAMELLIA_256_CBC_SHA"),
    (0x008a, "PSK_WITH_RC4_128_SHA"),
    (0x008b, "PSK_WITH_3DES_EDE_CBC_SHA"),
    (0x008c, "PSK_WITH_AES_128_CBC_SHA"),
    (0x008d, "PSK_WITH_AES_256_CBC_SHA"),
    (0x008e, "DHE_PSK_WITH_RC4_128_SHA"),
    (0x008f, "DHE_PSK_WITH_3DES_EDE_CBC_SHA"),
    (0x0090, "DHE_PSK_WITH_AES_128_CBC_SHA"),
    (0x0091, "DHE_PSK_WITH_AES_256_CBC_SHA"),
    (0x0092, "RSA_PSK_WITH_RC4_128_SHA"),
    (0x0093, "RSA_PSK_WITH_3DES_EDE_CBC_SHA"),
    (0x0094, "RSA_PSK_WITH_AES_128_CBC_SHA"),
    (0x0095, "RSA_PSK_WITH_AES_256_CBC_SHA"),
    (0x0096, "RSA_WITH_SEED_CBC_SHA"),
    (0x0097, "DH_DSS_WITH_SEED_CBC_SHA"),
    (0x0098, "DH_RSA_WITH_SEED_CBC_SHA"),
    (0x0099, "DHE_DSS_WITH_SEED_CBC_SHA"),
    (0x009a, "DHE_RSA_WITH_SEED_CBC_SHA"),
    (0x009b, "DH_anon_WITH_SEED_CBC_SHA"),
    (0x009c, "RSA_WITH_AES_128_GCM_SHA256"),
    (0x009d, "RSA_WITH_AES_256_GCM_SHA384"),
    (0x009e, "DHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0x009f, "DHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0x00a0, "DH_RSA_WITH_AES_128_GCM_SHA256"),
    (0x00a1, "DH_RSA_WITH_AES_256_GCM_SHA384"),
    (0x00a2, "DHE_DSS_WITH_AES_128_GCM_SHA256"),
    (0x00a3, "DHE_DSS_WITH_AES_256_GCM_SHA384"),
    (0x00a4, "DH_DSS_WITH_AES_128_GCM_SHA256"),
    (0x00a5, "DH_DSS_WITH_AES_256_GCM_SHA384"),
    (0x00a6, "DH_anon_WITH_AES_128_GCM_SHA256"),
    (0x00a7, "DH_anon_WITH_AES_256_GCM_SHA384"),
    (0x00a8, "PSK_WITH_AES_128_GCM_SHA256"),
    (0x00a9, "PSK_WITH_AES_256_GCM_SHA384"),
    (0x00aa, "DHE_PSK_WITH_AES_128_GCM_SHA256"),
    (0x00ab, "DHE_PSK_WITH_AES_256_GCM_SHA384"),
    (0x00ac, "RSA_PSK_WITH_AES_128_GCM_SHA256"),
    (0x00ad, "RSA_PSK_WITH_AES_256_GCM_SHA384"),
    (0x00ae, "PSK_WITH_AES_128_CBC_SHA256"),
    (0x00af, "PSK_WITH_AES_256_CBC_SHA384"),
    (0x00b0, "PSK_WITH_NULL_SHA256"),
    (0x00b1, "PSK_WITH_NULL_SHA384"),
    (0x00b2, "DHE_PSK_WITH_AES_128_CBC_SHA256"),
    (0x00b3, "DHE_PSK_WITH_AES_256_CBC_SHA384"),
    (0x00b4, "DHE_PSK_WITH_NULL_SHA256"),
    (0x00b5, "DHE_PSK_WITH_NULL_SHA384"),
    (0x00b6, "RSA_PSK_WITH_AES_128_CBC_SHA256"),
    (0x00b7, "RSA_PSK_WITH_AES_256_CBC_SHA384"),
    (0x00b8, "RSA_PSK_WITH_NULL_SHA256"),
    (0x00b9, "RSA_PSK_WITH_NULL_SHA384"),
    (0x00ba, "RSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0x00bb, "DH_DSS_WITH_CAMELLIA_128_CBC_SHA256"),
    (0x00bc, "DH_RSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0x00bd, "DHE_DSS_WITH_CAMELLIA_128_CBC_SHA256"),
    (0x00be, "DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0x00bf, "DH_anon_WITH_CAMELLIA_128_CBC_SHA256"),
    (0x00c0, "RSA_WITH_CAMELLIA_256_CBC_SHA256"),
    (0x00c1, "DH_DSS_WITH_CAMELLIA_256_CBC_SHA256"),
    (0x00c2, "DH_RSA_WITH_CAMELLIA_256_CBC_SHA256"),
    (0x00c3, "DHE_DSS_WITH_CAMELLIA_256_CBC_SHA256"),
    (0x00c4, "DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256"),
    (0x00c5, "DH_anon_WITH_CAMELLIA_256_CBC_SHA256"),
    (0x00c6, "SM4_GCM_SM3"),
    (0x00c7, "SM4_CCM_SM3"),
    (0x1301, "AES_128_GCM_SHA256"),
    (0x1302, "AES_256_GCM_SHA384"),
    (0x1303, "CHACHA20_POLY1305_SHA256"),
    (0x1304, "AES_128_CCM_SHA256"),
    (0x1305, "AES_128_CCM_8_SHA256"),
    (0x1306, "AEGIS_256_SHA512"),
    (0x1307, "AEGIS_128L_SHA256"),
    (0xc001, "ECDH_ECDSA_WITH_NULL_SHA"),
    (0xc002, "ECDH_ECDSA_WITH_RC4_128_SHA"),
    (0xc003, "ECDH_ECDSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc004, "ECDH_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc005, "ECDH_ECDSA_WITH_AES_256_CBC_SHA"),
    (0xc006, "ECDHE_ECDSA_WITH_NULL_SHA"),
    (0xc007, "ECDHE_ECDSA_WITH_RC4_128_SHA"),
    (0xc008, "ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc009, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
    (0xc00a, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
    (0xc00b, "ECDH_RSA_WITH_NULL_SHA"),
    (0xc00c, "ECDH_RSA_WITH_RC4_128_SHA"),
    (0xc00d, "ECDH_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc00e, "ECDH_RSA_WITH_AES_128_CBC_SHA"),
    (0xc00f, "ECDH_RSA_WITH_AES_256_CBC_SHA"),
    (0xc010, "ECDHE_RSA_WITH_NULL_SHA"),
    (0xc011, "ECDHE_RSA_WITH_RC4_128_SHA"),
    (0xc012, "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc013, "ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    (0xc014, "ECDHE_RSA_WITH_AES_256_CBC_SHA"),
    (0xc015, "ECDH_anon_WITH_NULL_SHA"),
    (0xc016, "ECDH_anon_WITH_RC4_128_SHA"),
    (0xc017, "ECDH_anon_WITH_3DES_EDE_CBC_SHA"),
    (0xc018, "ECDH_anon_WITH_AES_128_CBC_SHA"),
    (0xc019, "ECDH_anon_WITH_AES_256_CBC_SHA"),
    (0xc01a, "SRP_SHA_WITH_3DES_EDE_CBC_SHA"),
    (0xc01b, "SRP_SHA_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc01c, "SRP_SHA_DSS_WITH_3DES_EDE_CBC_SHA"),
    (0xc01d, "SRP_SHA_WITH_AES_128_CBC_SHA"),
    (0xc01e, "SRP_SHA_RSA_WITH_AES_128_CBC_SHA"),
    (0xc01f, "SRP_SHA_DSS_WITH_AES_128_CBC_SHA"),
    (0xc020, "SRP_SHA_WITH_AES_256_CBC_SHA"),
    (0xc021, "SRP_SHA_RSA_WITH_AES_256_CBC_SHA"),
    (0xc022, "SRP_SHA_DSS_WITH_AES_256_CBC_SHA"),
    (0xc023, "ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc024, "ECDHE_ECDSA_WITH_AES_256_CBC_SHA384"),
    (0xc025, "ECDH_ECDSA_WITH_AES_128_CBC_SHA256"),
    (0xc026, "ECDH_ECDSA_WITH_AES_256_CBC_SHA384"),
    (0xc027, "ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc028, "ECDHE_RSA_WITH_AES_256_CBC_SHA384"),
    (0xc029, "ECDH_RSA_WITH_AES_128_CBC_SHA256"),
    (0xc02a, "ECDH_RSA_WITH_AES_256_CBC_SHA384"),
    (0xc02b, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02c, "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02d, "ECDH_ECDSA_WITH_AES_128_GCM_SHA256"),
    (0xc02e, "ECDH_ECDSA_WITH_AES_256_GCM_SHA384"),
    (0xc02f, "ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc030, "ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xc031, "ECDH_RSA_WITH_AES_128_GCM_SHA256"),
    (0xc032, "ECDH_RSA_WITH_AES_256_GCM_SHA384"),
    (0xc033, "ECDHE_PSK_WITH_RC4_128_SHA"),
    (0xc034, "ECDHE_PSK_WITH_3DES_EDE_CBC_SHA"),
    (0xc035, "ECDHE_PSK_WITH_AES_128_CBC_SHA"),
    (0xc036, "ECDHE_PSK_WITH_AES_256_CBC_SHA"),
    (0xc037, "ECDHE_PSK_WITH_AES_128_CBC_SHA256"),
    (0xc038, "ECDHE_PSK_WITH_AES_256_CBC_SHA384"),
    (0xc039, "ECDHE_PSK_WITH_NULL_SHA"),
    (0xc03a, "ECDHE_PSK_WITH_NULL_SHA256"),
    (0xc03b, "ECDHE_PSK_WITH_NULL_SHA384"),
    (0xc03c, "RSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc03d, "RSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc03e, "DH_DSS_WITH_ARIA_128_CBC_SHA256"),
    (0xc03f, "DH_DSS_WITH_ARIA_256_CBC_SHA384"),
    (0xc040, "DH_RSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc041, "DH_RSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc042, "DHE_DSS_WITH_ARIA_128_CBC_SHA256"),
    (0xc043, "DHE_DSS_WITH_ARIA_256_CBC_SHA384"),
    (0xc044, "DHE_RSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc045, "DHE_RSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc046, "DH_anon_WITH_ARIA_128_CBC_SHA256"),
    (0xc047, "DH_anon_WITH_ARIA_256_CBC_SHA384"),
    (0xc048, "ECDHE_ECDSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc049, "ECDHE_ECDSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc04a, "ECDH_ECDSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc04b, "ECDH_ECDSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc04c, "ECDHE_RSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc04d, "ECDHE_RSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc04e, "ECDH_RSA_WITH_ARIA_128_CBC_SHA256"),
    (0xc04f, "ECDH_RSA_WITH_ARIA_256_CBC_SHA384"),
    (0xc050, "RSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc051, "RSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc052, "DHE_RSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc053, "DHE_RSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc054, "DH_RSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc055, "DH_RSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc056, "DHE_DSS_WITH_ARIA_128_GCM_SHA256"),
    (0xc057, "DHE_DSS_WITH_ARIA_256_GCM_SHA384"),
    (0xc058, "DH_DSS_WITH_ARIA_128_GCM_SHA256"),
    (0xc059, "DH_DSS_WITH_ARIA_256_GCM_SHA384"),
    (0xc05a, "DH_anon_WITH_ARIA_128_GCM_SHA256"),
    (0xc05b, "DH_anon_WITH_ARIA_256_GCM_SHA384"),
    (0xc05c, "ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc05d, "ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc05e, "ECDH_ECDSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc05f, "ECDH_ECDSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc060, "ECDHE_RSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc061, "ECDHE_RSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc062, "ECDH_RSA_WITH_ARIA_128_GCM_SHA256"),
    (0xc063, "ECDH_RSA_WITH_ARIA_256_GCM_SHA384"),
    (0xc064, "PSK_WITH_ARIA_128_CBC_SHA256"),
    (0xc065, "PSK_WITH_ARIA_256_CBC_SHA384"),
    (0xc066, "DHE_PSK_WITH_ARIA_128_CBC_SHA256"),
    (0xc067, "DHE_PSK_WITH_ARIA_256_CBC_SHA384"),
    (0xc068, "RSA_PSK_WITH_ARIA_128_CBC_SHA256"),
    (0xc069, "RSA_PSK_WITH_ARIA_256_CBC_SHA384"),
    (0xc06a, "PSK_WITH_ARIA_128_GCM_SHA256"),
    (0xc06b, "PSK_WITH_ARIA_256_GCM_SHA384"),
    (0xc06c, "DHE_PSK_WITH_ARIA_128_GCM_SHA256"),
    (0xc06d, "DHE_PSK_WITH_ARIA_256_GCM_SHA384"),
    (0xc06e, "RSA_PSK_WITH_ARIA_128_GCM_SHA256"),
    (0xc06f, "RSA_PSK_WITH_ARIA_256_GCM_SHA384"),
    (0xc070, "ECDHE_PSK_WITH_ARIA_128_CBC_SHA256"),
    (0xc071, "ECDHE_PSK_WITH_ARIA_256_CBC_SHA384"),
    (0xc072, "ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc073, "ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc074, "ECDH_ECDSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc075, "ECDH_ECDSA_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc076, "ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc077, "ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc078, "ECDH_RSA_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc079, "ECDH_RSA_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc07a, "RSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc07b, "RSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc07c, "DHE_RSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc07d, "DHE_RSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc07e, "DH_RSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc07f, "DH_RSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc080, "DHE_DSS_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc081, "DHE_DSS_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc082, "DH_DSS_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc083, "DH_DSS_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc084, "DH_anon_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc085, "DH_anon_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc086, "ECDHE_ECDSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc087, "ECDHE_ECDSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc088, "ECDH_ECDSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc089, "ECDH_ECDSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc08a, "ECDHE_RSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc08b, "ECDHE_RSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc08c, "ECDH_RSA_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc08d, "ECDH_RSA_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc08e, "PSK_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc08f, "PSK_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc090, "DHE_PSK_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc091, "DHE_PSK_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc092, "RSA_PSK_WITH_CAMELLIA_128_GCM_SHA256"),
    (0xc093, "RSA_PSK_WITH_CAMELLIA_256_GCM_SHA384"),
    (0xc094, "PSK_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc095, "PSK_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc096, "DHE_PSK_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc097, "DHE_PSK_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc098, "RSA_PSK_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc099, "RSA_PSK_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc09a, "ECDHE_PSK_WITH_CAMELLIA_128_CBC_SHA256"),
    (0xc09b, "ECDHE_PSK_WITH_CAMELLIA_256_CBC_SHA384"),
    (0xc09c, "RSA_WITH_AES_128_CCM"),
    (0xc09d, "RSA_WITH_AES_256_CCM"),
    (0xc09e, "DHE_RSA_WITH_AES_128_CCM"),
    (0xc09f, "DHE_RSA_WITH_AES_256_CCM"),
    (0xc0a0, "RSA_WITH_AES_128_CCM_8"),
    (0xc0a1, "RSA_WITH_AES_256_CCM_8"),
    (0xc0a2, "DHE_RSA_WITH_AES_128_CCM_8"),
    (0xc0a3, "DHE_RSA_WITH_AES_256_CCM_8"),
    (0xc0a4, "PSK_WITH_AES_128_CCM"),
    (0xc0a5, "PSK_WITH_AES_256_CCM"),
    (0xc0a6, "DHE_PSK_WITH_AES_128_CCM"),
    (0xc0a7, "DHE_PSK_WITH_AES_256_CCM"),
    (0xc0a8, "PSK_WITH_AES_128_CCM_8"),
    (0xc0a9, "PSK_WITH_AES_256_CCM_8"),
    (0xc0aa, "PSK_DHE_WITH_AES_128_CCM_8"),
    (0xc0ab, "PSK_DHE_WITH_AES_256_CCM_8"),
    (0xc0ac, "ECDHE_ECDSA_WITH_AES_128_CCM"),
    (0xc0ad, "ECDHE_ECDSA_WITH_AES_256_CCM"),
    (0xc0ae, "ECDHE_ECDSA_WITH_AES_128_CCM_8"),
    (0xc0af, "ECDHE_ECDSA_WITH_AES_256_CCM_8"),
    (0xc0b0, "ECCPWD_WITH_AES_128_GCM_SHA256"),
    (0xc0b1, "ECCPWD_WITH_AES_256_GCM_SHA384"),
    (0xc0b2, "ECCPWD_WITH_AES_128_CCM_SHA256"),
    (0xc0b3, "ECCPWD_WITH_AES_256_CCM_SHA384"),
    (0xc0b4, "SHA256_SHA256"),
    (0xc0b5, "SHA384_SHA384"),
    (0xc0ff, "ECJPAKE_WITH_AES_128_CCM_8"),
    (0xc100, "GOSTR341112_256_WITH_KUZNYECHIK_CTR_OMAC"),
    (0xc101, "GOSTR341112_256_WITH_MAGMA_CTR_OMAC"),
    (0xc102, "GOSTR341112_256_WITH_28147_CNT_IMIT"),
    (0xc103, "GOSTR341112_256_WITH_KUZNYECHIK_MGM_L"),
    (0xc104, "GOSTR341112_256_WITH_MAGMA_MGM_L"),
    (0xc105, "GOSTR341112_256_WITH_KUZNYECHIK_MGM_S"),
    (0xc106, "GOSTR341112_256_WITH_MAGMA_MGM_S"),
    (0xcc13, "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcc14, "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcc15, "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca8, "ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xcca9, "ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccaa, "DHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccab, "PSK_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccac, "ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccad, "DHE_PSK_WITH_CHACHA20_POLY1305_SHA256"),
    (0xccae, "RSA_PSK_WITH_CHACHA20_POLY1305_SHA256"),
    (0xd001, "ECDHE_PSK_WITH_AES_128_GCM_SHA256"),
    (0xd002, "ECDHE_PSK_WITH_AES_256_GCM_SHA384"),
    (0xd003, "ECDHE_PSK_WITH_AES_128_CCM_8_SHA256"),
    (0xd005, "ECDHE_PSK_WITH_AES_128_CCM_SHA256"),
];

#[cfg(test)]
#[allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]
mod tests {
    use super::*;
    use crate::dpi::testing::Heard;

    #[test]
    fn suites_stand_by_number_and_fit() {
        assert!(SUITES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SUITES.iter().all(|(_, name)| name.len() <= 60 && !name.starts_with("TLS_")));
    }

    #[test]
    fn names_and_strengths() {
        for (number, name, strength) in [
            (0x1301, "TLS_AES_128_GCM_SHA256", "secure"),
            (0x1303, "TLS_CHACHA20_POLY1305_SHA256", "secure"),
            (0x1305, "TLS_AES_128_CCM_8_SHA256", "weak"),
            (0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "secure"),
            (0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "secure"),
            (0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", "secure"),
            (0x00a7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", "weak"),
            (0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", "weak"),
            (0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "weak"),
            (0x0004, "TLS_RSA_WITH_RC4_128_MD5", "weak"),
            (0x0000, "TLS_NULL_WITH_NULL_NULL", "weak"),
            (0xc0b4, "TLS_SHA256_SHA256", "weak"),
            (0x7777, "0x7777", ""),
        ] {
            let mut heard = Heard::default();
            note(number, &mut Notes::new(&mut heard));
            assert_eq!(
                (heard.first(Fact::TlsCipher), heard.first(Fact::TlsCipherStrength)),
                (name, strength)
            );
        }
    }
}
