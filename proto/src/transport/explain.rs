//! Turns a failed connection into a sentence: libraries wrap errors five deep and say "transport error" on top.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// What went wrong, from the outermost error to the cause, and what to do where that is known.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let (mut parts, mut hint): (Vec<String>, _) = (Vec::new(), None);
    let mut next = Some(error);
    while let Some(current) = next {
        let text = match current.downcast_ref::<tonic::Status>() {
            Some(status) => status.message().to_string(),
            None => current.to_string(),
        };
        // Many wrappers repeat what they wrap.
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            parts.retain(|part| !text.contains(part.as_str()));
            parts.push(text);
        }
        hint = hint.or_else(|| current.downcast_ref::<rustls::Error>().and_then(advice));
        hint = hint.or_else(|| alert_advice(&current.to_string()));
        next = cause(current);
    }
    parts.extend(hint.map(str::to_string));
    parts.join(": ")
}

/// What is inside an error. An `io::Error` skips the error it was made of, which is the one that matters here.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

/// What the other side thought of our certificate. Its alert arrives after our half of the handshake, so it comes
/// through HTTP/2, which keeps only the text of the error.
fn alert_advice(text: &str) -> Option<&'static str> {
    use AlertDescription as Alert;
    let says = |alert| text.ends_with(&rustls::Error::AlertReceived(alert).to_string());
    if says(Alert::CertificateExpired) {
        return Some(
            "our certificate is not valid now; enrol again, or ask an operator for new credentials (is this host's \
             clock right?)",
        );
    }
    [Alert::UnknownCA, Alert::DecryptError, Alert::BadCertificate]
        .into_iter()
        .any(says)
        .then_some(
            "the other side does not accept our certificate: it is from another authority; enrol with this controller",
        )
}

fn advice(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the server's certificate is not from our authority: the address is wrong, something between intercepts \
             TLS, or the controller was set up anew"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "the server's certificate is not valid now; is this host's clock right?",
        rustls::Error::InvalidMessage(_) => "the other side does not speak TLS; is this the right port?",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Outer(#[source] io::Error);

    #[test]
    fn looks_into_io_errors_and_advises() {
        let tls = rustls::Error::AlertReceived(AlertDescription::CertificateExpired);
        let text = explain(&Outer(io::Error::new(io::ErrorKind::InvalidData, tls)));
        assert_eq!(
            text,
            "transport error: received fatal alert: CertificateExpired: our certificate is not valid now; enrol again, or \
             ask an operator for new credentials (is this host's clock right?)"
        );
    }

    #[test]
    fn says_nothing_twice() {
        let text = explain(&Outer(io::Error::other("no route")));
        assert_eq!(text, "transport error: no route");
    }
}
