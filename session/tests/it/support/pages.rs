//! What a person does with a page in Chromium, and sees there.

use dev::PATIENCE;
use fantoccini::{Client, Locator};
use serde_json::Value;

pub(crate) async fn run(client: &Client, script: &str) -> Value {
    client.execute(script, Vec::new()).await.expect(script)
}

pub(crate) async fn assert_shown(client: &Client, element: &str, text: &str) {
    let path = format!("//{element}[normalize-space()='{text}']");
    let found = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
    assert!(found.is_ok(), "no {path} in {:?}", client.source().await);
}

pub(crate) async fn press(client: &Client, name: &str) {
    let path = format!("//*[self::button or self::a][normalize-space()='{name}' or @aria-label='{name}']");
    loop {
        let found = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        match found.expect(name).click().await {
            // The page was replaced by the next one meanwhile, which may have one of that name, too.
            Err(error) if error.is_stale_element_reference() => {}
            pressed => return pressed.expect(name),
        }
    }
}

pub(crate) async fn fill(client: &Client, id: &str, text: &str) {
    let field = client.wait().for_element(Locator::Id(id)).await.expect(id);
    field.clear().await.expect(id);
    field.send_keys(text).await.expect(id);
}
