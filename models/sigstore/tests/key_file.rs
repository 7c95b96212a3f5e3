//! Encrypted private keys: what is written is read back, and nothing else is.
#![allow(clippy::unwrap_used, reason = "tests")]

use dunlin_sigstore::key_file::{self, Algorithm, KeyFileError};
use dunlin_test_pki::Key;

#[test]
fn both_algorithms_come_back_under_their_passphrase_alone() {
    for (key, algorithm, passphrase) in [
        (Key::p256(), Algorithm::EcdsaP256, &b"a passphrase"[..]),
        (Key::ed25519(), Algorithm::Ed25519, b""),
    ] {
        let pem = key_file::seal(&key.pkcs8(), passphrase).unwrap();
        assert!(key_file::is_encrypted(&pem));
        assert!(pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
        let opened = key_file::open(&pem, passphrase).unwrap();
        assert_eq!((opened.pkcs8_der(), opened.algorithm()), (&key.pkcs8()[..], algorithm));
        assert!(!format!("{opened:?}").contains("pkcs8"));
        let wrong = key_file::open(&pem, b"another");
        assert!(matches!(wrong, Err(KeyFileError::Passphrase)), "{wrong:?}");
    }
}

#[test]
fn the_old_label_is_read_and_others_are_not() {
    let pem = key_file::seal(&Key::p256().pkcs8(), b"x").unwrap();
    let old = pem.replace("SIGSTORE", "COSIGN");
    assert!(key_file::is_encrypted(&old) && key_file::open(&old, b"x").is_ok());
    let other = pem.replace("ENCRYPTED SIGSTORE ", "");
    assert!(!key_file::is_encrypted(&other));
    assert!(matches!(key_file::open(&other, b"x"), Err(KeyFileError::Label { .. })));
    assert!(matches!(key_file::open("not PEM", b"x"), Err(KeyFileError::Pem { .. })));
    let huge = key_file::open(&"a".repeat(1 << 20), b"x");
    assert!(matches!(huge, Err(KeyFileError::TooLarge { .. })));
}

/// The JSON inside `pem` after `from` became `to`, back in PEM.
fn with(pem: &str, from: &str, to: &str) -> String {
    let (label, json) = der::pem::decode_vec(pem.as_bytes()).unwrap();
    let label = label.to_owned();
    let text = String::from_utf8(json).unwrap();
    assert!(text.contains(from), "{text} has no {from}");
    let changed = text.replacen(from, to, 1);
    der::pem::encode_string(&label, der::pem::LineEnding::LF, changed.as_bytes()).unwrap()
}

#[test]
fn hostile_files_are_refused_before_any_work() {
    let pem = key_file::seal(&Key::p256().pkcs8(), b"x").unwrap();
    let open = |from: &str, to: &str| key_file::open(&with(&pem, from, to), b"x");
    for to in [
        "\"N\":1073741824",
        "\"N\":18446744073709551615",
        "\"N\":1024",
        "\"N\":65535",
    ] {
        let verdict = open("\"N\":65536", to);
        assert!(matches!(verdict, Err(KeyFileError::Work { .. })), "{verdict:?}");
    }
    for (from, to) in [
        ("\"r\":8", "\"r\":1048576"),
        ("\"p\":1", "\"p\":4096"),
        ("\"r\":8", "\"r\":0"),
    ] {
        let verdict = open(from, to);
        assert!(matches!(verdict, Err(KeyFileError::Work { .. })), "{verdict:?}");
    }
    let method = open("nacl/secretbox", "aes/gcm");
    assert!(matches!(method, Err(KeyFileError::Method { .. })), "{method:?}");
    let method = open("scrypt", "pbkdf2");
    assert!(matches!(method, Err(KeyFileError::Method { .. })), "{method:?}");
    let field = open("\"nonce\":\"", "\"nonce\":\"AAAA");
    assert!(matches!(field, Err(KeyFileError::Field { .. })), "{field:?}");
    let unknown = open("\"kdf\"", "\"more\":1,\"kdf\"");
    assert!(matches!(unknown, Err(KeyFileError::Json { .. })), "{unknown:?}");
    let damaged = open("\"ciphertext\":\"", "\"ciphertext\":\"AAAA");
    assert!(matches!(damaged, Err(KeyFileError::Passphrase)), "{damaged:?}");
}

#[test]
fn only_signing_keys_are_sealed() {
    let verdict = key_file::seal(b"not a key", b"x");
    assert!(matches!(verdict, Err(KeyFileError::Algorithm)), "{verdict:?}");
}
