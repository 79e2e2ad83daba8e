//! Chromium: how a page is displayed, clicks on links, and headings.

use dev::PATIENCE;
use dev::browser::command;
use fantoccini::{Client, Locator};
use serde_json::json;

/// The colour scheme and the window's width in which a page is displayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) dark: bool,
    pub(crate) width: u32,
}

pub(crate) async fn look(client: &Client, look: Look) {
    let scheme = if look.dark { "dark" } else { "light" };
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    command(client, "Emulation.setEmulatedMedia", media).await;
    let size = json!({ "width": look.width, "height": 640, "deviceScaleFactor": 1, "mobile": false });
    command(client, "Emulation.setDeviceMetricsOverride", size).await;
}

/// Clicks on the link with this text.
pub(crate) async fn follow(client: &Client, text: &str) {
    let link = client.wait().for_element(Locator::LinkText(text)).await.expect(text);
    link.click().await.expect(text);
}

/// Waits until the main heading has this text.
pub(crate) async fn assert_heading(client: &Client, text: &str) {
    let path = format!("//h1[normalize-space()='{text}']");
    let found = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
    assert!(found.is_ok(), "no {text:?} in {:?}", client.source().await);
}
