//! Who may use the service: bearer tokens, EventBridge signatures, and the TLS identity.

mod browser;
mod eventbridge;
mod tls;
mod tokens;

pub use self::browser::{AccessRules, RequestDenied};
pub use self::eventbridge::{
    CertificateError, CertificateFuture, CertificateSource, EventBridge, HttpsCertificates,
    SignatureError,
};
pub use self::tls::{InvalidTlsIdentity, TlsIdentity};
pub(crate) use self::tokens::ANONYMOUS;
pub use self::tokens::{AccessDenied, Role, Token, Tokens};
