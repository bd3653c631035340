//! AES-256-GCM, the one format of what is sealed, and what a sealed text is bound to.

use crate::VaultError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretBox};

/// First byte of everything that is sealed.
const FORMAT: u8 = 1;
/// Format, generation, nonce.
const HEAD: usize = 1 + 4 + NONCE_LEN;

/// 256 bits that nobody sees.
pub(crate) type KeyBytes = SecretBox<[u8; 32]>;

/// Fresh bits from the operating system.
pub(crate) fn random_key() -> KeyBytes {
    SecretBox::init_with_mut(|bytes: &mut [u8; 32]| random(bytes))
}

fn random(bytes: &mut [u8]) {
    // It fails only where the operating system has no randomness, and then nothing may go on.
    #[expect(clippy::expect_used, reason = "without randomness nothing may be sealed")]
    rand::fill(bytes).expect("the operating system gives random bits");
}

/// A key that is ready for use.
pub(crate) fn cipher(bytes: &KeyBytes) -> LessSafeKey {
    #[expect(clippy::expect_used, reason = "the length is the type's")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.expose_secret()).expect("32 bytes are a key"))
}

/// What a sealed text belongs to, in one unambiguous row of bytes: each part with its length before it. A text that was put
/// into another place does not open there.
#[derive(Debug, Clone, Default)]
pub struct Place(Vec<u8>);

impl Place {
    /// A place of this kind.
    pub(crate) fn of(kind: &str) -> Self {
        Self::default().and(kind.as_bytes())
    }

    /// One part more.
    pub(crate) fn and(mut self, part: &[u8]) -> Self {
        self.0.extend((part.len() as u64).to_be_bytes());
        self.0.extend(part);
        self
    }
}

/// Seals with a fresh random nonce of 96 bits: format, generation, nonce, what was sealed, tag of 128 bits.
pub(crate) fn seal(key: &LessSafeKey, generation: u32, place: Place, plain: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce);
    seal_with(key, generation, nonce, place, plain)
}

fn seal_with(key: &LessSafeKey, generation: u32, nonce: [u8; NONCE_LEN], place: Place, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEAD + plain.len() + 16);
    sealed.push(FORMAT);
    sealed.extend(generation.to_be_bytes());
    sealed.extend(nonce);
    sealed.extend(plain);
    let aad = Aad::from(place.and(&sealed[..HEAD - NONCE_LEN]).0);
    #[expect(clippy::expect_used, reason = "it fails only beyond 64 GiB")]
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed[HEAD..])
        .expect("what is sealed is short");
    sealed.extend(tag.as_ref());
    sealed
}

/// Which generation of its key sealed this; none if nothing did.
pub fn generation(sealed: &[u8]) -> Option<u32> {
    let head = sealed.get(..5).filter(|head| head[0] == FORMAT)?;
    Some(u32::from_be_bytes(head[1..5].try_into().ok()?))
}

/// Opens what [`seal`] sealed with this key in this place.
pub(crate) fn open(key: &LessSafeKey, place: Place, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let (head, body) = sealed.split_at_checked(HEAD).filter(|(head, _)| head[0] == FORMAT).ok_or(VaultError::Broken)?;
    let nonce = Nonce::try_assume_unique_for_key(&head[HEAD - NONCE_LEN..]).map_err(|_| VaultError::Broken)?;
    let mut text = body.to_vec();
    let aad = Aad::from(place.and(&head[..HEAD - NONCE_LEN]).0);
    let length = key.open_in_place(nonce, aad, &mut text).map_err(|_| VaultError::Broken)?.len();
    text.truncate(length);
    Ok(text)
}

/// Takes 32 bytes out of what was opened, and leaves none behind.
pub(crate) fn into_key(mut opened: Vec<u8>) -> Result<KeyBytes, VaultError> {
    let bytes: Result<[u8; 32], _> = opened.as_slice().try_into();
    opened.zeroize();
    let mut bytes = bytes.map_err(|_| VaultError::Broken)?;
    let key = SecretBox::init_with_mut(|kept: &mut [u8; 32]| *kept = bytes);
    bytes.zeroize();
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn key(byte: u8) -> LessSafeKey {
        cipher(&SecretBox::init_with_mut(|bytes: &mut [u8; 32]| bytes.fill(byte)))
    }

    fn place() -> Place {
        Place::of("test").and(b"tenant").and(b"field")
    }

    /// Test case 14 of the GCM specification (McGrew and Viega): key, nonce and text all zero.
    #[test]
    fn it_is_the_aes_gcm_that_everybody_has() {
        let key = key(0);
        let mut text = [0; 16];
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut text).unwrap();
        assert_eq!(hex::encode(text), "cea7403d4d606b6e074ec5d3baf39d18");
        assert_eq!(hex::encode(tag.as_ref()), "d0d1c8a799996bf0265b98b5d48ab919");
    }

    /// What was sealed once must open for ever: this is format 1 as other programs would write it.
    #[test]
    fn the_format_stays() {
        let sealed = seal_with(&key(7), 3, [9; NONCE_LEN], place(), b"ada@example.com");
        assert_eq!(hex::encode(&sealed[..HEAD]), "0100000003090909090909090909090909");
        assert_eq!(hex::encode(&sealed[HEAD..]), KNOWN);
        assert_eq!(open(&key(7), place(), &sealed).unwrap(), b"ada@example.com");
        assert_eq!(generation(&sealed), Some(3));
    }

    /// Computed with pyca/cryptography.
    const KNOWN: &str = "46e1e5d4db88a00cd00eae168585ce5130859a6496e08b593ecacf6b973d4e";

    #[test]
    fn any_flipped_bit_and_any_cut_is_one_and_the_same_error() {
        let sealed = seal(&key(1), 1, place(), b"secret");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(open(&key(1), place(), &flipped), Err(VaultError::Broken)), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(matches!(open(&key(1), place(), &sealed[..length]), Err(VaultError::Broken)), "{length} bytes");
        }
        assert!(matches!(open(&key(2), place(), &sealed), Err(VaultError::Broken)));
    }

    #[test]
    fn places_whose_letters_run_together_are_other_places() {
        let sealed = seal(&key(1), 1, Place::of("test").and(b"ab").and(b"c"), b"secret");
        for other in [
            Place::of("test").and(b"a").and(b"bc"),
            Place::of("test").and(b"abc"),
            Place::of("test").and(b"ab").and(b"c").and(b""),
            Place::of("other").and(b"ab").and(b"c"),
        ] {
            assert!(matches!(open(&key(1), other, &sealed), Err(VaultError::Broken)));
        }
    }

    #[test]
    fn no_nonce_comes_twice() {
        let key = key(1);
        let nonces: HashSet<Vec<u8>> =
            (0..100_000).map(|_| seal(&key, 1, Place::default(), b"")[HEAD - NONCE_LEN..HEAD].to_vec()).collect();
        assert_eq!(nonces.len(), 100_000);
    }
}
