//! An issuer of JSON Web Tokens (RFC 7519) with ES256 (RFC 7518, 3.4), for the end-to-end tests and the tests in the mesh.

use std::time::{SystemTime, UNIX_EPOCH};

use rcgen::{KeyPair, SigningKey};
use serde_json::{Value, json};

/// The `iss` of every token.
pub(crate) const ISSUER: &str = "https://issuer.test";

/// The bytes of an integer of a P-256 signature or key.
const INTEGER: usize = 32;

/// The issuer's key. Two issuers have the same `kid`, so that a forged token names the right key.
pub(crate) struct Issuer(KeyPair);

impl Issuer {
    pub(crate) fn new() -> Self {
        Self(KeyPair::generate().unwrap())
    }

    /// The JSON Web Key Set (RFC 7517) that verifies this issuer's tokens.
    pub(crate) fn jwks(&self) -> String {
        // An uncompressed point: 4, x, y.
        let [4, point @ ..] = self.0.public_key_raw() else { panic!("not an uncompressed point") };
        let (x, y) = point.split_at(INTEGER);
        let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "test", "x": base64url(x), "y": base64url(y)});
        json!({"keys": [key]}).to_string()
    }

    /// A token with these claims that is valid for an hour. Claims of the same name replace `iss` and `exp`.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let signed = unsigned("ES256", claims);
        let signature = self.0.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(&fixed(&signature)))
    }

    /// `Bearer` and [`Issuer::token`].
    pub(crate) fn bearer(&self, claims: &Value) -> String {
        format!("Bearer {}", self.token(claims))
    }
}

/// A token without a signature (`"alg": "none"`).
pub(crate) fn unsecured(claims: &Value) -> String {
    format!("{}.", unsigned("none", claims))
}

/// RFC 4648, 5, without padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut payload = json!({"iss": ISSUER, "exp": now + 3600});
    payload.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let header = json!({"alg": algorithm, "typ": "JWT", "kid": "test"});
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(payload.to_string().as_bytes()))
}

/// A signature of two 32-byte integers, from its DER form: a sequence of two integers.
fn fixed(der: &[u8]) -> Vec<u8> {
    let [0x30, _, integers @ ..] = der else { panic!("not a sequence") };
    let mut rest = integers;
    let mut signature = Vec::new();
    for _ in 0..2 {
        let [0x02, length, bytes @ ..] = rest else { panic!("not an integer") };
        let (integer, after) = bytes.split_at(usize::from(*length));
        let digits = integer.strip_prefix(&[0]).unwrap_or(integer);
        signature.extend(std::iter::repeat_n(0, INTEGER - digits.len()));
        signature.extend(digits);
        rest = after;
    }
    signature
}
