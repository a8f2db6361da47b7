//! Other sites may not use this server through a visitor's browser.
//!
//! A browser sends any site's POSTs anywhere, and says in the `Origin` header whose they are. Such a request would make
//! connections from inside the visitor's network; so what changes something must come from our own page, or from a
//! program that is no browser and sends no `Origin`.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Answers with 403 what another site's page sent.
pub async fn refuse_other_sites(request: Request, next: Next) -> Response {
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if only_reads || is_own(request.headers()) {
        return next.run(request).await;
    }
    let reason = "the request comes from another site's page (its Origin is not this server)";
    (StatusCode::FORBIDDEN, Json(serde_json::json!({ "error": reason }))).into_response()
}

/// Whether the page that sent this came from the address that it was sent to.
fn is_own(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let text = |value: &axum::http::HeaderValue| value.to_str().ok().map(str::to_ascii_lowercase);
    let Some(origin) = text(origin) else {
        return false;
    };
    let site = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")); // "null" is nobody's
    site.is_some() && site == headers.get(header::HOST).and_then(text).as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_own(&headers)
    }

    #[test]
    fn only_the_own_page_and_programs() {
        assert!(own("127.0.0.1:8080", None));
        assert!(own("127.0.0.1:8080", Some("http://127.0.0.1:8080")));
        assert!(own("Wigwag.example:8443", Some("https://wigwag.example:8443")));
        assert!(own("[::1]:8080", Some("http://[::1]:8080")));
        assert!(!own("127.0.0.1:8080", Some("http://127.0.0.1:8081")));
        assert!(!own("127.0.0.1:8080", Some("https://evil.example")));
        assert!(!own("127.0.0.1:8080", Some("http://127.0.0.1:8080.evil.example")));
        assert!(!own("127.0.0.1:8080", Some("null")));
        assert!(!own("127.0.0.1:8080", Some("")));
    }
}
