//! Bearer tokens: one in a file each.

use std::path::Path;

use zeroize::Zeroizing;

use super::private::{self, PrivateError};
use crate::secret::Secret;

/// What every token begins with, so that those who look for leaked secrets know one when they see it.
const TOKEN_PREFIX: &str = "cardwatch_";
/// Random bytes in a token.
const TOKEN_BYTES: usize = 32;
/// The longest token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 512;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// The file.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// The system's generator failed.
    #[error("the system gave no random bytes for a token: {0}")]
    Random(getrandom::Error),
}

/// Reads the token in the file at `path`.
///
/// # Errors
/// When it cannot be read, may be read by others, or is too long to be a token.
pub fn read_token(path: &Path) -> Result<Secret, TokenFileError> {
    Ok(private::read(path, TOKEN_BYTES_MAX)?)
}

/// Makes a token of 256 random bits in a new file at `path`, readable by its owner alone.
///
/// # Errors
/// When there is such a file, or it cannot be written.
pub fn create_token(path: &Path) -> Result<(), TokenFileError> {
    let mut random = Zeroizing::new([0u8; TOKEN_BYTES]);
    getrandom::fill(&mut *random).map_err(TokenFileError::Random)?;
    let encoding = data_encoding::BASE64URL_NOPAD;
    let prefix = TOKEN_PREFIX.len();
    let length = prefix + encoding.encode_len(TOKEN_BYTES);
    let mut text = Zeroizing::new(vec![b'\n'; length + 1]);
    text[..prefix].copy_from_slice(TOKEN_PREFIX.as_bytes());
    encoding.encode_mut(&*random, &mut text[prefix..length]);
    Ok(private::create(path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_new_long_enough_and_known_by_its_beginning() {
        let home = tempfile::tempdir().unwrap();
        let made = ["a", "b"].map(|name| {
            let path = home.path().join(name);
            create_token(&path).unwrap();
            read_token(&path).unwrap()
        });
        assert_ne!(made[0], made[1]);
        for token in made {
            let text = std::str::from_utf8(token.expose()).unwrap();
            assert!(text.starts_with("cardwatch_") && text.len() == 53, "{} characters", text.len());
        }
        assert!(create_token(&home.path().join("a")).unwrap_err().to_string().contains("is there already"));
    }
}
