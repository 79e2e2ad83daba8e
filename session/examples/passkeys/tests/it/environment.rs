//! The example's environment variables.

use dev::lambda::Lambda;
use dev::program::SECRET_KEY;

use crate::site::{BASE_URL, PROGRAM};

#[tokio::test]
async fn a_function_without_its_tables_or_its_address_names_what_is_missing() {
    let all = [
        ("SECRET_KEY", SECRET_KEY),
        ("TABLE_NAME", "sessions"),
        ("USERS_TABLE_NAME", "users"),
        ("BASE_URL", BASE_URL),
        // There is nothing at this address, and a warm-up that fails is no reason to end.
        ("DYNAMODB_ENDPOINT", "http://127.0.0.1:1"),
    ];
    for missing in ["TABLE_NAME", "USERS_TABLE_NAME", "BASE_URL"] {
        let environment = all.into_iter().filter(|(name, _)| *name != missing);
        let exit = Lambda::start(PROGRAM, environment).await.exit().await;
        assert!(!exit.status.success(), "{missing}: {exit:?}");
        assert!(
            exit.stderr.contains(&format!("passkeys: {missing} is not set")),
            "{exit:?}"
        );
    }
}
