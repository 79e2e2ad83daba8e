//! Sessions in DynamoDB: the only place that names AWS types.

mod client;
mod environment;
mod expression;
mod failure;
mod http_client;
mod item;
mod owners;
mod user_agent;

use std::time::Duration;
use std::{env, fmt};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Builder, Config, retry::RetryConfig};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use self::expression::Expression;
use self::failure::{Outcome as _, failed};
use crate::core::changes::Changes;
use crate::core::id::RecordKey;
use crate::core::limits::Limits;
use crate::core::moment::Moment;
use crate::core::record::{Record, Slide};
use crate::environment::EnvironmentError;
use crate::random;
use crate::store::{Load, OwnerStore, Store, StoreError, StoreFuture, WriteOutcome};

use self::item::PARTITION_KEY;

/// A [`Store`] in one DynamoDB table, whose partition key is `id` (a string) and whose TTL attribute is `expires_at`.
///
/// | attribute | |
/// |---|---|
/// | `id` | base64url SHA-256 of the session ID |
/// | `data` | the variables as native DynamoDB values |
/// | `created_at`, `expires_at` | seconds since 1970 |
/// | `revision` | counts changes of `data` |
/// | `writes` | tokens of the last changes, by which a request whose reply was lost finds out whether it was done; a tombstone keeps them |
/// | `owner`, `label`, `seen_at`, `remember` | only where somebody logged in by `login`, or is remembered |
/// | `sealed` | only where the variables and the owner are [encrypted](crate::SessionLayerBuilder::sealed) |
/// | `ended`, `replaced_by` | only on a tombstone |
///
/// An owner's list is an item of the same table: its `id` is a hash of the owner's name, and each other attribute but `expires_at`
/// is the key of a session, with the time of its login.
///
/// Conditional writes only, no transactions: a plain write beside a transaction fails with
/// `TransactionConflictException`, and two conditional writes in the right order suffice.
#[derive(Clone)]
pub struct DynamoDbStore {
    client: Client,
    table: String,
}

/// `Debug` omits the client, whose configuration holds credentials, and the table's name.
impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore").finish_non_exhaustive()
    }
}

impl DynamoDbStore {
    /// A store configured by the environment, as a Lambda function is: `TABLE_NAME` names the table, and `DYNAMODB_ENDPOINT`,
    /// where it is set, another DynamoDB than the region's, for local runs. Empty counts as unset.
    ///
    /// Everything else comes from `AWS_REGION` (or `AWS_DEFAULT_REGION`), `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, and, where they are set, `AWS_ENDPOINT_URL_DYNAMODB` or
    /// `AWS_ENDPOINT_URL`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` and the usual proxy variables. Profiles, roles
    /// and single sign-on are for [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// The table, a region or credentials are missing, or the table or the endpoint cannot be one; the message names the
    /// variable. Whatever else is wrong with them shows at the first call.
    ///
    /// ```no_run
    /// use lambda_session::DynamoDbStore;
    ///
    /// let store = DynamoDbStore::from_env()?;
    /// # Ok::<(), lambda_session::EnvironmentError>(())
    /// ```
    pub fn from_env() -> Result<Self, EnvironmentError> {
        let settings = environment::settings(|name| env::var_os(name))?;
        Ok(Self::new(
            &settings.sdk,
            &settings.table,
            settings.endpoint.as_deref().or(settings.sdk.endpoint_url()),
        ))
    }

    /// A store in `table` for a program that runs elsewhere, with the SDK's configuration as
    /// `aws_config::load_defaults(BehaviorVersion::latest())` makes it. All of it is used, but for timeouts, retries,
    /// stalled-stream protection and user agent, which are the store's own. `endpoint` comes before the configuration's.
    ///
    /// ```
    /// use aws_config::{BehaviorVersion, Region, SdkConfig};
    /// use lambda_session::DynamoDbStore;
    ///
    /// let sdk = SdkConfig::builder()
    ///     .behavior_version(BehaviorVersion::latest())
    ///     .region(Region::from_static("eu-central-1"))
    ///     .build();
    /// let store = DynamoDbStore::new(&sdk, "sessions", None);
    /// ```
    #[must_use]
    pub fn new(sdk: &SdkConfig, table: &str, endpoint: Option<&str>) -> Self {
        Self {
            client: client::new(sdk, endpoint),
            table: table.to_owned(),
        }
    }

    /// Connects and signs once, so that the first visitor does not wait for it: a read of a key that cannot exist.
    /// Never fails; what is wrong shows at the first real call.
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), lambda_session::EnvironmentError> {
    /// use lambda_session::DynamoDbStore;
    ///
    /// let store = DynamoDbStore::from_env()?;
    /// store.warm_up().await;
    /// # Ok::<(), lambda_session::EnvironmentError>(())
    /// # }
    /// ```
    pub async fn warm_up(&self) {
        let nobody = RecordKey::from_stored("-".to_owned());
        let read = self.get(&nobody).customize().config_override(once()).send();
        if tokio::time::timeout(client::ATTEMPT_TIMEOUT, read).await.is_err() {
            tracing::debug!("the warm-up read took too long");
        }
    }

    /// The store's own client, for what else the program keeps in DynamoDB: users, or attempts to log in. It has the timeouts,
    /// retries and connections that suit a visitor who waits; a second client would have a TLS stack of its own.
    ///
    /// It tries a call up to four times, for a second each, which the request's [`Deadline`](crate::Deadline) does not count. A write
    /// whose reply was lost is done twice, unless a condition prevents it; then the second attempt tells of a condition that failed,
    /// though the write was done.
    ///
    /// ```no_run
    /// # async fn find() -> Result<(), Box<dyn std::error::Error>> {
    /// use aws_sdk_dynamodb::types::AttributeValue;
    /// use lambda_session::DynamoDbStore;
    ///
    /// let store = DynamoDbStore::from_env()?;
    /// let get = store.client().get_item().table_name("users").consistent_read(true);
    /// let user = get.key("name", AttributeValue::S("alice".to_owned())).send().await?.item;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The name of the sessions' table.
    ///
    /// An item of another kind may be in it, too, where it dies as sessions do: under an `id` that has a character which base64url
    /// lacks, such as `:`, so that it is never taken for a session, and with an `expires_at`, by which DynamoDB deletes it within days: whoever
    /// reads it compares the time.
    ///
    /// ```
    /// # use aws_config::SdkConfig;
    /// # let sdk = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build();
    /// let store = lambda_session::DynamoDbStore::new(&sdk, "sessions", None);
    /// assert_eq!(store.table(), "sessions");
    /// ```
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    fn get(&self, key: &RecordKey) -> GetItemFluentBuilder {
        self.client
            .get_item()
            .table_name(&self.table)
            .key(PARTITION_KEY, text(key))
            .consistent_read(true)
    }

    fn update_item(&self, key: AttributeValue, expression: Expression) -> UpdateItemFluentBuilder {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let values = Some(expression.values).filter(|values| !values.is_empty());
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PARTITION_KEY, key)
            .update_expression(expression.update)
            .set_condition_expression(some(expression.condition))
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(values)
    }

    /// One conditional `UpdateItem`.
    async fn write(
        &self,
        key: &RecordKey,
        expression: Expression,
        attempts: Option<Builder>,
    ) -> Result<WriteOutcome, StoreError> {
        let request = self.update_item(text(key), expression).customize();
        let request = match attempts {
            Some(attempts) => request.config_override(attempts),
            None => request,
        };
        request.send().await.written()
    }
}

impl Store for DynamoDbStore {
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
    fn limits(&self) -> Limits {
        Limits {
            // An item may have 400 KB. What is left over is for the record's other attributes: a sealed owner has the most.
            bytes: 400 * 1024 - 4 * 1024,
            name_bytes: 65_535,
            // 32 levels, less the map that holds all variables and the innermost value.
            depth: 30,
            digits: 38,
            exponents: -130..=125,
        }
    }

    fn owners(&self) -> Option<&dyn OwnerStore> {
        Some(self)
    }

    fn system(&self) -> Option<&'static str> {
        Some("aws.dynamodb")
    }

    /// None after the first conflict, then full jitter:
    /// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
    fn pause(&self, conflicts: u32) -> Duration {
        if conflicts == 0 {
            return Duration::ZERO;
        }
        let longest = FIRST_PAUSE.saturating_mul(1 << (conflicts - 1).min(4));
        longest.mul_f64(random::fraction())
    }

    fn load<'a>(&'a self, key: &'a RecordKey, at: &'a Moment) -> StoreFuture<'a, Load> {
        Box::pin(async move {
            let output = self.get(key).send().await.map_err(failed)?;
            Ok(output.item.map_or(Load::Absent, |item| item::read(item, at)))
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, record: &'a Record) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(async move {
            let request = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(item::write(key, record)))
                .condition_expression("attribute_not_exists(#id)")
                .expression_attribute_names("#id", PARTITION_KEY);
            request.send().await.written()
        })
    }

    fn update<'a>(
        &'a self,
        key: &'a RecordKey,
        next: &'a Record,
        changes: &'a Changes,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(self.write(key, expression::update(next, changes, at), None))
    }

    fn slide<'a>(&'a self, key: &'a RecordKey, slide: Slide, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(self.write(key, expression::slide(slide, at), Some(once())))
    }

    fn replace<'a>(
        &'a self,
        key: &'a RecordKey,
        revision: u64,
        successor: &'a RecordKey,
        at: &'a Moment,
    ) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(self.write(key, expression::replace(revision, successor, at), None))
    }

    fn end<'a>(&'a self, key: &'a RecordKey, revision: Option<u64>, at: &'a Moment) -> StoreFuture<'a, WriteOutcome> {
        Box::pin(self.write(key, expression::end(revision, at), None))
    }
}

/// The longest pause after a write's second conflict. It doubles with each further one, six times.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// One attempt instead of several.
fn once() -> Builder {
    Config::builder().retry_config(RetryConfig::disabled())
}

fn text(key: &RecordKey) -> AttributeValue {
    AttributeValue::S(key.as_str().to_owned())
}
