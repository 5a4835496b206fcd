//! HMAC-SHA-256 (RFC 2104) of messages that end in one block: two compressions and nothing else.
//!
//! The hash in general keeps a buffer and a count, and wiping those twice for every number costs as much as a
//! compression. The tests hold this one against it.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// A SHA-256 block.
pub(super) const BLOCK_BYTES: usize = 64;
/// The longest message that ends in one block: padding needs one byte and the length in bits.
pub(super) const SHORT_BYTES_MAX: usize = BLOCK_BYTES - 1 - size_of::<u64>();

/// The state of SHA-256 before the first block (FIPS 180-4, 5.3.3).
const SHA256_START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// A key's two states.
#[derive(Clone, ZeroizeOnDrop)]
pub(super) struct ShortMac {
    /// The state of the inner hash after its pad.
    inner: [u32; 8],
    /// The state of the outer hash after its pad.
    outer: [u32; 8],
}

impl ShortMac {
    /// Compresses both pads of a key.
    pub(super) fn new(secret: &[u8]) -> ShortMac {
        let mut key = Zeroizing::new([0u8; BLOCK_BYTES]);
        if secret.len() <= BLOCK_BYTES {
            key[..secret.len()].copy_from_slice(secret);
        } else {
            key[..32].copy_from_slice(&Sha256::digest(secret));
        }
        let padded = |pad: u8| {
            let mut state = SHA256_START;
            let block = Zeroizing::new(key.map(|byte| byte ^ pad));
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        ShortMac { inner: padded(0x36), outer: padded(0x5c) }
    }

    /// The hash of the first `len` bytes of `block`, behind which all are zero. `block` is changed.
    ///
    /// # Panics
    /// When `len` is beyond [`SHORT_BYTES_MAX`].
    #[inline]
    pub(super) fn of(&self, block: &mut [u8; BLOCK_BYTES], len: usize) -> [u8; 32] {
        assert!(len <= SHORT_BYTES_MAX, "a message that does not end in its block");
        let mut inner = self.inner;
        end(block, len);
        compress256(&mut inner, std::slice::from_ref(block));
        let mut outer_block = [0u8; BLOCK_BYTES];
        outer_block[..32].copy_from_slice(&bytes(inner));
        end(&mut outer_block, 32);
        let mut outer = self.outer;
        compress256(&mut outer, &[outer_block]);
        bytes(outer)
    }
}

/// The padding of SHA-256 behind `len` bytes of the second and last block (FIPS 180-4, 5.1.1).
#[inline]
fn end(block: &mut [u8; BLOCK_BYTES], len: usize) {
    block[len] = 0x80;
    let bits = (BLOCK_BYTES + len) as u64 * 8;
    block[BLOCK_BYTES - 8..].copy_from_slice(&bits.to_be_bytes());
}

#[inline]
fn bytes(state: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    for (place, word) in bytes.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}
