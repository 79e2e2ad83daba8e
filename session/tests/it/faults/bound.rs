//! Sessions that are bound to a device: what a browser sees, and what a thief.

use std::ops::Deref;
use std::time::Duration;

use lambda_session::{SessionLayerBuilder, Sessions};

use super::World;
use crate::support::clock::Stopped;
use crate::support::device::Browser;
use crate::support::site::{Site, keys, layer, now, wait};

mod attacks;
mod life;

const FIRST: &str = "__Host-session";
const SECOND: &str = "__Host-session-bound";
const TEN_MINUTES: u64 = 600;

impl World {
    fn bound_layer(&self) -> SessionLayerBuilder {
        layer(self.store(), keys()).clock(now).bound(true)
    }

    fn bound_site(&self) -> Site {
        Site::of(self.bound_layer())
    }

    fn sessions(&self) -> Sessions {
        self.bound_layer().build().expect("a layer").sessions()
    }
}

/// A world in which no call takes too long, however busy the machine is.
struct Calm {
    world: World,
    _clock: Stopped,
}

impl Calm {
    async fn new() -> Self {
        Self {
            world: World::new().await,
            _clock: Stopped::now(),
        }
    }

    /// A visitor whose session is bound, and who has the second cookie.
    async fn bound() -> (Self, Site, Browser) {
        let world = Self::new().await;
        let site = world.bound_site();
        let browser = Browser::log_in(&site, "/login?admin").await;
        (world, site, browser)
    }
}

impl Deref for Calm {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// Checks that the visitor is `admin`.
#[track_caller]
fn assert_admin(answer: &http::Response<String>) {
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_str()),
        (200, "username=admin"),
        "{answer:?}"
    );
}

/// Checks that the visitor is nobody, and that the answer touches no cookie.
#[track_caller]
fn assert_nobody(answer: &http::Response<String>) {
    assert_eq!(
        (answer.status().as_u16(), answer.body().as_str()),
        (200, ""),
        "{answer:?}"
    );
    assert!(!answer.headers().contains_key("set-cookie"), "{answer:?}");
}
