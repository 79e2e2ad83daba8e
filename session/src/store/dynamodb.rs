//! Sessions in DynamoDB: the only module that uses the AWS SDK.

mod client;
mod environment;
mod expression;
mod failure;
mod http_client;
mod item;

use std::pin::pin;
use std::time::Duration;
use std::{env, fmt};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{Config, retry::RetryConfig};
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use self::expression::Expression;
use crate::config::environment::EnvironmentError;
use crate::core::id::{OwnerKey, RecordKey};
use crate::core::limits::Limits;
use crate::core::record::{Record, Stored, Tombstone};
use crate::store::{AnyOwnerStore, OwnerList, OwnerStore, Store, StoreError, StoreErrorKind, Swap, causes};

use self::item::PARTITION_KEY;

/// A [`Store`] in one DynamoDB table, whose partition key is `id` (a string) and whose TTL attribute is `expires_at`.
///
/// | attribute | |
/// |---|---|
/// | `id` | base64url SHA-256 of the session ID |
/// | `data` | the variables as native DynamoDB values |
/// | `created_at`, `expires_at` | seconds since 1970 |
/// | `revision` | counts changes of `data` |
/// | `writes` | tokens of the last changes, which tell a request that lost its reply whether its change was made |
/// | `owner`, `label`, `seen_at` | only for a session with an owner |
/// | `remember`, `idle`, `lifetime` | only for a session that outlives the browser, or has its own timeouts |
/// | `sealed` | only where the variables and the owner are [encrypted](crate::SessionLayerBuilder::sealed) |
/// | `bound` | only where the session is [bound](crate::SessionLayerBuilder::bound) to a device: its public key |
/// | `ended`, `ended_at`, `replaced_by`, `renewed` | only on a tombstone |
///
/// An owner's list is an item of the same table. Its `id` is a hash of the owner's name. Each other attribute, except
/// for `expires_at`, has a session's key as its name and the time of that session's login as its value.
///
/// The store uses no transactions, because a single write that meets a transaction on the same item fails with
/// `TransactionConflictException`. Where two items change, two single writes in the right order suffice. Every write of
/// a session is conditional.
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
    /// Makes a store with the settings of a Lambda function's environment. `TABLE_NAME` names the table, and
    /// `DYNAMODB_ENDPOINT`, if set, is the address of a DynamoDB for local runs. An empty variable counts as unset.
    ///
    /// Everything else comes from `AWS_REGION` (or `AWS_DEFAULT_REGION`), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// and, if they are set, `AWS_SESSION_TOKEN`, `AWS_ACCOUNT_ID`, `AWS_ENDPOINT_URL_DYNAMODB` or `AWS_ENDPOINT_URL`,
    /// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` and the usual proxy variables. For profiles, roles and
    /// single sign-on, use [`new`](Self::new). The machine's clock must be right, as Lambda's is, because the SDK's
    /// correction of a wrong clock is off.
    ///
    /// # Errors
    ///
    /// Fails if the table, a region or credentials are missing, or if one of these variables has a value that no call
    /// could use: an invalid name of a table or a region, an endpoint without `http://` or `https://`, credentials with
    /// a line break. The message names the variable. [`warm_up`](Self::warm_up) logs any other mistake in them.
    ///
    /// ```no_run
    /// use lambda_session::DynamoDbStore;
    ///
    /// let store = DynamoDbStore::from_env()?;
    /// # Ok::<(), lambda_session::EnvironmentError>(())
    /// ```
    pub fn from_env() -> Result<Self, EnvironmentError> {
        let (sdk, table) = environment::settings(&|name| env::var_os(name))?;
        Self::new(&sdk, &table, sdk.endpoint_url())
    }

    /// Makes a store as [`from_env`](Self::from_env) does, or returns `None` for a run on your own machine without
    /// `TABLE_NAME`, where a program can keep its sessions in a [`MemoryStore`](crate::MemoryStore). On Lambda, a
    /// missing `TABLE_NAME` is an error, because each instance of the function has a memory of its own.
    ///
    /// Lambda sets `AWS_LAMBDA_INITIALIZATION_TYPE`, which `cargo lambda watch` does not set. No variable tells a
    /// server of another kind from your own machine, so use [`from_env`](Self::from_env) in a container.
    ///
    /// # Errors
    ///
    /// As for [`from_env`](Self::from_env), unless it returns `None`.
    ///
    /// ```no_run
    /// use lambda_session::{DynamoDbStore, MemoryStore, SessionLayer};
    ///
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = match DynamoDbStore::from_env_unless_local()? {
    ///     Some(store) => {
    ///         store.warm_up().await;
    ///         SessionLayer::from_env(store)?
    ///     }
    ///     None => SessionLayer::from_env(MemoryStore::default())?,
    /// };
    /// let sessions = sessions.build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env_unless_local() -> Result<Option<Self>, EnvironmentError> {
        if environment::is_local(&|name| env::var_os(name)) {
            return Ok(None);
        }
        Self::from_env().map(Some)
    }

    /// Makes a store in `table` for a program that runs elsewhere, with the SDK's configuration as
    /// `aws_config::load_defaults(BehaviorVersion::latest())` makes it. The store uses all of it except for timeouts,
    /// retries, stalled-stream protection and user agent, which are its own. It sends no header `amz-sdk-request`, and
    /// with an HTTP client of the configuration no `User-Agent`. `endpoint` takes precedence over the configuration's.
    ///
    /// # Errors
    ///
    /// Fails if the table, the endpoint (the given one, or that of the configuration) or the region is missing or not
    /// valid. The message names it. The credentials are not checked: the SDK gets them at the first call, and panics
    /// there if one has a line break.
    ///
    /// ```
    /// use aws_config::{BehaviorVersion, Region, SdkConfig};
    /// use lambda_session::DynamoDbStore;
    ///
    /// let sdk = SdkConfig::builder()
    ///     .behavior_version(BehaviorVersion::latest())
    ///     .region(Region::from_static("eu-central-1"))
    ///     .build();
    /// let store = DynamoDbStore::new(&sdk, "sessions", None)?;
    /// # Ok::<(), lambda_session::EnvironmentError>(())
    /// ```
    pub fn new(sdk: &SdkConfig, table: &str, endpoint: Option<&str>) -> Result<Self, EnvironmentError> {
        environment::check(sdk, table, endpoint)?;
        Ok(Self {
            client: client::new(sdk, endpoint),
            table: table.to_owned(),
        })
    }

    /// Connects and signs once, by a read of a key that cannot exist, so that the first visitor does not wait for it.
    /// It takes one second at most.
    ///
    /// It returns no error. If the read fails, an event at level `ERROR` says why: the table does not exist or has
    /// another key, a permission is missing, or DynamoDB cannot be reached. If the read takes longer than a second,
    /// there is only an event at level `DEBUG`.
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
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let read = self.get("-").customize().config_override(once).send();
        match tokio::time::timeout(client::ATTEMPT_TIMEOUT, read).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let error = self.failed(&error);
                tracing::error!(event = "warm-up failed", cause = causes(&error), "{error}");
            }
            Err(_) => tracing::debug!("the warm-up read took too long"),
        }
    }

    /// The store's own client, for other data that the program keeps in DynamoDB, such as users or counted login
    /// attempts. It has the timeouts, retries and connections that suit a visitor who waits; a second client would have
    /// a TLS stack of its own.
    ///
    /// It tries a call up to four times, for a second each, regardless of the request's [`Deadline`](crate::Deadline).
    /// A write whose reply was lost is made twice, unless a condition prevents it. Then the second attempt reports a
    /// failed condition, although the write was made.
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

    /// The name or the ARN of the sessions' table, as it was given.
    ///
    /// The table may hold other items with a limited life, too. Such an item needs an `id` with a character that
    /// base64url lacks, such as `:`, so that it is never taken for a session, and an `expires_at`. DynamoDB deletes the
    /// item within days of that time, so compare the time when you read it.
    ///
    /// ```
    /// # use aws_config::{BehaviorVersion, Region, SdkConfig};
    /// # let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
    /// # let sdk = sdk.region(Region::from_static("eu-central-1"));
    /// let store = lambda_session::DynamoDbStore::new(&sdk.build(), "sessions", None)?;
    /// assert_eq!(store.table(), "sessions");
    /// # Ok::<(), lambda_session::EnvironmentError>(())
    /// ```
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    fn get(&self, key: &str) -> GetItemFluentBuilder {
        self.client
            .get_item()
            .table_name(&self.table)
            .key(PARTITION_KEY, item::string(key))
            .consistent_read(true)
    }

    fn update(&self, key: &str, expression: Expression) -> UpdateItemFluentBuilder {
        let (update, condition) = (expression.update(), expression.condition());
        self.client
            .update_item()
            .table_name(&self.table)
            .key(PARTITION_KEY, item::string(key))
            .update_expression(update)
            .set_condition_expression(condition)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values).filter(|values| !values.is_empty()))
    }

    /// The value that a refused write found. Some services that speak DynamoDB's protocol never return the item with
    /// the refusal, so it is loaded if it is missing.
    async fn found(&self, key: &RecordKey, item: Option<item::Item>) -> Result<Option<Stored>, StoreError> {
        match item {
            Some(item) => Ok(Some(item::read(item))),
            None => Store::load(self, key).await,
        }
    }
}

impl Store for DynamoDbStore {
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
    fn limits(&self) -> Limits {
        Limits::DYNAMODB
    }

    fn owners(&self) -> Option<&dyn AnyOwnerStore> {
        Some(self)
    }

    fn system(&self) -> Option<&'static str> {
        Some("aws.dynamodb")
    }

    /// No pause after the first conflict, then full jitter, or half of the longest pause if the operating system gives
    /// no random numbers:
    /// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
    fn pause(&self, conflicts: u32) -> Duration {
        let Some(before) = conflicts.checked_sub(2) else {
            return Duration::ZERO;
        };
        let fraction = getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX));
        FIRST_PAUSE.saturating_mul(1 << before.min(4)).mul_f64(fraction)
    }

    async fn load(&self, key: &RecordKey) -> Result<Option<Stored>, StoreError> {
        // `pin!` keeps the SDK's future where it is made. `await` alone would copy its 5 KB.
        let output = pin!(self.get(key.as_str()).send()).await;
        let output = output.map_err(|error| self.failed(&error))?;
        Ok(output.item.map(item::read))
    }

    async fn swap(&self, key: &RecordKey, read: Option<&Record>, next: &Stored) -> Result<Swap, StoreError> {
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let refused = if let Some(read) = read {
            let update = self.update(key.as_str(), expression::swap(read, next));
            let update = update.return_values_on_condition_check_failure(all_old);
            pin!(update.send()).await.map(drop).map_err(|error| self.refused(error))
        } else {
            let put = self.client.put_item().table_name(&self.table);
            let put = put
                .set_item(Some(item::write(key, next)))
                .condition_expression(format!("attribute_not_exists({PARTITION_KEY})"))
                .return_values_on_condition_check_failure(all_old);
            pin!(put.send()).await.map(drop).map_err(|error| self.refused(error))
        };
        match refused {
            Ok(()) => Ok(Swap::Done),
            Err(item) => self.found(key, item?).await.map(Swap::Found),
        }
    }

    async fn end(&self, key: &RecordKey, at: u64) -> Result<Tombstone, StoreError> {
        let update = self
            .update(key.as_str(), expression::end(at))
            .return_values(ReturnValue::AllNew);
        let update = update.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await.map_err(|error| self.refused(error)) {
            Ok(output) => Ok(item::tombstone(output.attributes.unwrap_or_default())),
            Err(item) => match self.found(key, item?).await? {
                Some(Stored::Tombstone(tombstone)) => Ok(tombstone),
                _ => Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    "a tombstone was deleted meanwhile",
                )),
            },
        }
    }
}

/// The most keys that one write removes from a list: an expression may have 4 KB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters>
const MAX_STRUCK: usize = 400;

impl OwnerStore for DynamoDbStore {
    async fn enlist(&self, owner: &OwnerKey, key: &RecordKey, at: u64, until: u64) -> Result<OwnerList, StoreError> {
        let update = self.update(owner.as_str(), expression::enlist(key, at, until));
        let output = update
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(item::read_list(output.attributes.unwrap_or_default()))
    }

    async fn list(&self, owner: &OwnerKey) -> Result<OwnerList, StoreError> {
        let output = self.get(owner.as_str()).send().await;
        let output = output.map_err(|error| self.failed(&error))?;
        Ok(item::read_list(output.item.unwrap_or_default()))
    }

    async fn strike(&self, owner: &OwnerKey, keys: &[RecordKey]) -> Result<(), StoreError> {
        for keys in keys.chunks(MAX_STRUCK) {
            let struck = self.update(owner.as_str(), expression::strike(keys)).send().await;
            // If there is no list, there is nothing to remove.
            struck.map(drop).or_else(|error| self.refused(error).map(drop))?;
        }
        Ok(())
    }
}

/// The longest pause after a write's second conflict. It doubles with each further conflict, at most four times.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
