//! Settings that the builder accepts, and the messages for those that it refuses.

use super::*;
use crate::MemoryStore;

fn builder() -> SessionLayerBuilder {
    let keys = Keys::new(b"a long and random secret of at least 32 bytes").unwrap();
    SessionLayer::builder(MemoryStore::default(), keys)
}

#[test]
fn time_is_in_seconds_since_1970() {
    // The years 2025 and 2100.
    assert!((1_735_689_600..4_102_444_800).contains(&system_clock()));
}

/// The name and the attributes of the cookie, from the header that clears it.
fn cookie(builder: SessionLayerBuilder) -> String {
    let layer = builder.build().unwrap();
    let cleared = layer.settings.cookie.clear();
    let cleared = cleared.to_str().unwrap().trim_end_matches("; Max-Age=0");
    assert_eq!(cleared.split_once('=').unwrap().0, layer.cookie_name());
    assert_eq!(cleared.contains("; Secure"), layer.is_secure());
    cleared.to_owned()
}

#[test]
fn the_cookie_has_the_attributes_it_was_given() {
    const LAX: &str = "HttpOnly; SameSite=Lax; Path=/";
    for (builder, expected) in [
        (builder(), format!("__Host-session=; {LAX}; Secure")),
        (builder().cookie_name("shop"), format!("__Host-shop=; {LAX}; Secure")),
        (builder().secure(false), format!("session=; {LAX}")),
        (builder().secure(false).cookie_name("shop"), format!("shop=; {LAX}")),
        (
            builder().domain("example.com"),
            format!("__Secure-session=; {LAX}; Domain=example.com; Secure"),
        ),
        (
            builder().secure(false).domain("example.com").path("/shop"),
            format!("session=; {LAX}shop; Domain=example.com"),
        ),
        (
            builder().path("/shop").cookie_name("shop"),
            format!("__Secure-shop=; {LAX}shop; Secure"),
        ),
        (
            builder().same_site(SameSite::Strict),
            "__Host-session=; HttpOnly; SameSite=Strict; Path=/; Secure".to_owned(),
        ),
        (
            builder().secure(false).same_site(SameSite::Strict),
            "session=; HttpOnly; SameSite=Strict; Path=/".to_owned(),
        ),
        (
            builder().same_site(SameSite::None).partitioned(true),
            "__Host-session=; HttpOnly; SameSite=None; Path=/; Secure; Partitioned".to_owned(),
        ),
        (
            builder().cookie_name("__Http-shop").domain("example.com").path("/shop"),
            format!("__Http-shop=; {LAX}shop; Domain=example.com; Secure"),
        ),
        (
            builder().cookie_name("__secure-shop"),
            format!("__secure-shop=; {LAX}; Secure"),
        ),
        (
            builder().cookie_name("__Host-Http-shop"),
            format!("__Host-Http-shop=; {LAX}; Secure"),
        ),
    ] {
        assert_eq!(cookie(builder), expected);
    }
}

/// Every prefix, in two spellings, with every attribute that one of them forbids.
#[test]
fn a_prefix_is_refused_with_attributes_that_browsers_do_not_accept_with_it() {
    for (name, host) in [
        ("__Secure-shop", false),
        ("__sEcUrE-shop", false),
        ("__Http-shop", false),
        ("__http-shop", false),
        ("__Host-shop", true),
        ("__host-shop", true),
        ("__Host-Http-shop", true),
        ("__HOST-HTTP-shop", true),
    ] {
        let named = || builder().cookie_name(name);
        let wanted = |builder: SessionLayerBuilder| match builder.build().err() {
            None => "",
            Some(BuildError::Prefix(refused, wanted)) if refused == name => wanted,
            Some(other) => panic!("{name}: {other}"),
        };
        assert_eq!(wanted(named()), "", "{name}");
        assert_eq!(wanted(named().secure(false)), "with Secure", "{name}");
        let [domain, path] = if host {
            ["without a Domain", "with the Path /"]
        } else {
            [""; 2]
        };
        assert_eq!(wanted(named().domain("example.com")), domain, "{name}");
        assert_eq!(wanted(named().path("/shop")), path, "{name}");
    }
}

#[test]
fn a_name_is_as_long_as_browsers_take_it() {
    let longest = MOST_NAME_BYTES - "__Host-".len();
    assert!(builder().cookie_name("s".repeat(longest)).build().is_ok());
    let refused = builder().cookie_name("s".repeat(longest + 1)).build().err();
    assert_eq!(refused, Some(BuildError::LongCookieName(MOST_NAME_BYTES + 1)));
    // Without a prefix there is more room.
    let plain = builder().secure(false).cookie_name("s".repeat(MOST_NAME_BYTES));
    assert!(plain.build().is_ok());
}

#[test]
fn nonsense_is_refused_in_words() {
    let second = Duration::from_secs(1);
    for (builder, expected) in [
        (
            builder().cookie_name("my session"),
            "cookie name \"my session\" is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed",
        ),
        (
            builder().cookie_name(""),
            "cookie name \"\" is not a token: letters, digits and !#$%&'*+-.^_`|~ are allowed",
        ),
        (
            builder().cookie_name("s".repeat(5000)),
            "the cookie name has 5007 bytes; at most 4009 are allowed, because browsers ignore a longer cookie",
        ),
        (
            builder().secure(false).cookie_name("__host-shop"),
            "cookie name \"__host-shop\" is accepted by browsers only with Secure; a name without the prefix gets the \
             one that the cookie's attributes allow",
        ),
        (
            builder().domain("example.com").cookie_name("__Host-shop"),
            "cookie name \"__Host-shop\" is accepted by browsers only without a Domain; a name without the prefix gets \
             the one that the cookie's attributes allow",
        ),
        (
            builder().domain(".example.com"),
            "Domain \".example.com\" is not a host name; give one such as `example.com`, without a leading dot, scheme \
             or port",
        ),
        (
            builder().path("shop"),
            "Path \"shop\" is not the path of a URL; give one such as `/shop`: it begins with /, has at most 1024 \
             visible ASCII characters, and no ; ? # among them (for bound sessions, also no \" and no \\)",
        ),
        (
            builder().secure(false).same_site(SameSite::None),
            "SameSite=None is accepted by browsers only with Secure; leave out `secure(false)`, or the setting \
             that needs it",
        ),
        (
            builder().secure(false).partitioned(true),
            "Partitioned is accepted by browsers only with Secure; leave out `secure(false)`, or the setting \
             that needs it",
        ),
        (
            builder().idle_timeout(second / 2),
            "the idle timeout must be at least one second",
        ),
        (
            builder().lifetime(Duration::ZERO),
            "the lifetime must be at least one second",
        ),
        (
            builder().idle_timeout(second * 3_601).lifetime(second * 3_600),
            "the idle timeout (SESSION_IDLE_TIMEOUT) is longer than the lifetime (SESSION_LIFETIME), which would end \
             every session first; shorten the one, or extend the other",
        ),
    ] {
        let refused = builder.build().err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some(expected));
    }
    assert!(builder().idle_timeout(second).lifetime(second).build().is_ok());
}

#[cfg(feature = "bound")]
#[test]
fn sessions_are_not_bound_with_a_cookie_that_browsers_do_not_bind() {
    let refused = |builder: SessionLayerBuilder| builder.bound(true).build().err();
    assert_eq!(refused(builder()), None);
    assert_eq!(
        refused(builder().secure(false)),
        Some(BuildError::NeedsSecure("a bound session"))
    );
    assert_eq!(refused(builder().partitioned(true)), Some(BuildError::BoundPartitioned));
    let time = BuildError::NoTime("time of a bound session's second cookie");
    assert_eq!(refused(builder().bound_for(Duration::from_millis(999))), Some(time));
    for path in ["", "session", "/a b", "/a?b", "/\"", "/\\"] {
        assert_eq!(
            refused(builder().bound_path(path)),
            Some(BuildError::Path(path.to_owned())),
            "{path}"
        );
    }
    assert_eq!(refused(builder().bound_path("/shop/")), None);
    // Nothing of it matters if sessions are not bound.
    assert!(builder().secure(false).bound_path("session").build().is_ok());
}
