//! The cookie's attributes: their valid values, and the names that browsers accept with them.
//!
//! Browsers keep every cookie that is accepted here as it is written; `tests/it/browser_cookies.rs` tests that with a
//! browser.

use std::borrow::Cow;

use super::VALUE_BYTES;

/// The most bytes of a cookie's name and value together; browsers ignore a longer cookie (RFC 6265bis, section 5.6).
const MOST_COOKIE_BYTES: usize = 4096;

/// The most bytes of a cookie's name.
pub(crate) const MOST_NAME_BYTES: usize = MOST_COOKIE_BYTES - VALUE_BYTES;

/// The most bytes of an attribute's value; browsers ignore a longer attribute (RFC 6265bis, section 5.6).
const MOST_ATTRIBUTE_BYTES: usize = 1024;

/// The most bytes of a host name and of a label in it (RFC 1123, section 2.1; RFC 1035, section 2.3.4).
const MOST_HOST_BYTES: usize = 253;
const MOST_LABEL_BYTES: usize = 63;

/// Which requests from other sites carry the cookie.
///
/// ```
/// use lambda_session::{Keys, MemoryStore, SameSite, SessionLayer};
///
/// let keys = Keys::new(b"a long and random secret of at least 32 bytes")?;
/// let sessions = SessionLayer::builder(MemoryStore::default(), keys).same_site(SameSite::Strict).build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// No request. A visitor who follows a link from another site is not logged in on the page it leads to.
    Strict,
    /// Only requests that follow a link. This is the default.
    #[default]
    Lax,
    /// All requests, including posted forms and frames. Browsers accept it only with `Secure`.
    None,
}

/// The attributes of a `Set-Cookie` value, except for `Max-Age`.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    pub(crate) secure: bool,
    pub(crate) domain: Option<Cow<'static, str>>,
    pub(crate) path: Cow<'static, str>,
    pub(crate) same_site: SameSite,
    pub(crate) partitioned: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            secure: true,
            domain: None,
            path: Cow::Borrowed("/"),
            same_site: SameSite::default(),
            partitioned: false,
        }
    }
}

impl Attributes {
    /// The cookie's name: `stem` with the strictest prefix that these attributes allow, or as it is if it has a prefix.
    pub(crate) fn name(&self, stem: Cow<'static, str>) -> Cow<'static, str> {
        if wants_host(&stem).is_some() {
            return stem;
        }
        let mut prefixed = ["__Host-", "__Secure-"].iter().map(|prefix| format!("{prefix}{stem}"));
        let strictest = prefixed.find(|name| self.unmet(name).is_none());
        strictest.map_or(stem, Cow::Owned)
    }

    /// What browsers require for a cookie of this name, if these attributes do not meet it.
    pub(crate) fn unmet(&self, name: &str) -> Option<&'static str> {
        let host = wants_host(name)?;
        if !self.secure {
            Some("with Secure")
        } else if host && self.domain.is_some() {
            Some("without a Domain")
        } else if host && self.path != "/" {
            Some("with the Path /")
        } else {
            None
        }
    }

    /// The attributes as they follow the value (RFC 6265bis, section 4.1). `HttpOnly` hides the cookie from scripts.
    pub(crate) fn tail(&self) -> String {
        // The variants have the names of the attribute's values.
        let (same_site, path) = (self.same_site, &self.path);
        let domain = self.domain.as_ref().map(|domain| format!("; Domain={domain}"));
        let domain = domain.unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        let partitioned = if self.partitioned { "; Partitioned" } else { "" };
        format!("; HttpOnly; SameSite={same_site:?}; Path={path}{domain}{secure}{partitioned}")
    }
}

/// Whether browsers require a cookie with this name's prefix to have no `Domain` and the `Path` `/`, so that only this
/// host can have set it. `None` if the name has no prefix (RFC 6265bis, section 4.1.3, and its successor's `__Http-`).
///
/// All prefixes require `Secure`, and `__Http-` and `__Host-Http-` also `HttpOnly`, which this cookie always has.
/// Browsers compare prefixes without regard to case.
fn wants_host(name: &str) -> Option<bool> {
    let name = name.to_ascii_lowercase();
    let prefixes = [("__host-", true), ("__secure-", false), ("__http-", false)];
    let (_, host) = prefixes.into_iter().find(|(prefix, _)| name.starts_with(prefix))?;
    Some(host)
}

/// Whether `domain` is a DNS name. IP addresses are rejected, because they have no hosts below them that a `Domain`
/// would cover. An IPv4 address is recognized by its last label, which begins with a digit.
pub(crate) fn is_host_name(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MOST_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.len() <= MOST_HOST_BYTES
        && domain.split('.').all(is_label)
        && last.starts_with(|first: char| first.is_ascii_alphabetic())
}

/// Whether `path` can be a cookie's `Path`. A URL's path is visible ASCII without `?` and `#`, so browsers never send a
/// cookie with any other. A `;` would end the attribute, and browsers ignore an attribute that is too long.
pub(crate) fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.len() <= MOST_ATTRIBUTE_BYTES
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b";?#".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_gets_the_strictest_prefix_that_its_attributes_allow() {
        let host = Attributes::default;
        let domain = || Attributes {
            domain: Some("example.com".into()),
            ..host()
        };
        let path = || Attributes {
            path: "/shop".into(),
            ..host()
        };
        let plain = || Attributes {
            secure: false,
            ..host()
        };
        for (attributes, stem, name) in [
            (host(), "shop", "__Host-shop"),
            (domain(), "shop", "__Secure-shop"),
            (path(), "shop", "__Secure-shop"),
            (plain(), "shop", "shop"),
            (host(), "__Hostess", "__Host-__Hostess"),
            (host(), "__Secure-shop", "__Secure-shop"),
            (host(), "__secure-shop", "__secure-shop"),
            (host(), "__HTTP-shop", "__HTTP-shop"),
            (host(), "__Host-Http-shop", "__Host-Http-shop"),
        ] {
            assert_eq!(attributes.name(stem.into()), name, "{attributes:?}");
        }
    }

    #[test]
    fn a_prefix_is_found_whatever_its_case() {
        for (name, host) in [
            ("__Host-shop", Some(true)),
            ("__hOST-shop", Some(true)),
            ("__Host-Http-shop", Some(true)),
            ("__host-http-shop", Some(true)),
            ("__Secure-shop", Some(false)),
            ("__SECURE-shop", Some(false)),
            ("__Http-shop", Some(false)),
            ("__http-shop", Some(false)),
            ("shop", None),
            ("_Host-shop", None),
            ("__Host", None),
            ("x__Host-shop", None),
            ("__Hos\u{e9}", None),
        ] {
            assert_eq!(wants_host(name), host, "{name}");
        }
    }

    #[test]
    fn a_domain_is_a_host_name() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        assert_eq!(longest.len(), 253);
        for domain in [
            "example.com",
            "Shop.EXAMPLE.com",
            "localhost",
            "a-b.x1",
            "x.example",
            "3com.com",
            &longest,
        ] {
            assert!(is_host_name(domain), "{domain:?}");
        }
        let too_long = format!("a{longest}");
        for domain in [
            "",
            ".",
            ".example.com",
            "example.com.",
            "shop..example.com",
            "example.com:443",
            "https://example.com",
            "example.com/shop",
            "example.com; Path=/",
            " example.com",
            "my_shop.example.com",
            "*.example.com",
            "b\u{fc}cher.example",
            "-shop.example.com",
            "shop-.example.com",
            "127.0.0.1",
            "[::1]",
            &format!("{label}a.example.com"),
            &too_long,
        ] {
            assert!(!is_host_name(domain), "{domain:?}");
        }
    }

    #[test]
    fn a_path_is_one_that_a_url_can_have() {
        let longest = format!("/{}", "a".repeat(1023));
        for path in ["/", "/shop", "/shop/", "/a%20b/~c,d=e", &longest] {
            assert!(is_path(path), "{path:?}");
        }
        let too_long = format!("{longest}a");
        for path in [
            "",
            "shop",
            " /",
            "/shop; Domain=example.com",
            "/my shop",
            "/shop ",
            "/shop?a",
            "/shop#a",
            "/shop\n",
            "/shop\t",
            "/shop\u{7f}",
            "/caf\u{e9}",
            &too_long,
        ] {
            assert!(!is_path(path), "{path:?}");
        }
    }
}
