//! The page: files that are part of the program.

use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::get;

/// Nothing comes from elsewhere, nothing goes elsewhere. The page says the same in a `meta` element; workers hear it only from here.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; worker-src 'self'; connect-src 'self'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A script of the page, under its own name.
macro_rules! script {
    ($name:literal) => {
        (concat!("/", $name), SCRIPT, include_str!(concat!("../page/", $name)))
    };
}

/// Path, content type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../page/index.html")),
    ("/page.css", CSS, include_str!("../page/page.css")),
    script!("artificial.js"),
    script!("call.js"),
    script!("chart.js"),
    script!("chat.js"),
    script!("codecs.js"),
    script!("connection.js"),
    script!("dom.js"),
    script!("facts.js"),
    script!("file-worker.js"),
    script!("files.js"),
    script!("media-source.js"),
    script!("media-stats.js"),
    script!("page.js"),
    script!("ping.js"),
    script!("samples.js"),
    script!("sha256.js"),
    script!("signalling.js"),
    script!("stats.js"),
    script!("storage.js"),
    script!("tabs.js"),
    script!("throughput.js"),
    script!("timeline.js"),
    script!("transfer.js"),
];

/// Routes for every file.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().copied().fold(Router::new(), |router, (path, kind, content)| {
        let headers: [(HeaderName, &str); 4] = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        router.route(path, get(move || async move { (headers, content) }))
    })
}
