//! What every public type can do (Rust API Guidelines, C-SEND-SYNC, C-DEBUG, C-GOOD-ERR, C-COMMON-TRAITS).

use std::error::Error;
use std::fmt::Debug;
use std::hash::Hash;

use lambda_session::lambda::SourceAddress;
use lambda_session::testing::{Browser, Clock, Page};
use lambda_session::{
    Absence, Binding, BuildError, CodecError, Deadline, DynamoDbStore, EnvironmentError, ErrorPageLayer, Flash,
    FlashLevel, Keys, LazySession, Lifetime, Limits, ListedSession, LoginPage, MemoryStore, OpenSession, OwnerKey,
    OwnerList, Record, RecordKey, Refusal, RequireLoginLayer, ResponseBody, SameOriginLayer, SameSite, Session,
    SessionError, SessionErrorKind, SessionLayer, SessionLayerBuilder, SessionService, Sessions, ShortKey, StoreError,
    StoreErrorKind, Stored, Swap, Tombstone, Value, ValueError, ValueErrorKind, WriteToken,
};

fn goes_between_threads<T: Debug + Send + Sync>() {}
fn is_shared<T: Clone + Debug + Send + Sync>() {}
fn is_a_key<T: Clone + Debug + Eq + Hash + Send + Sync>() {}
fn is_an_error<T: Error + Clone + Send + Sync + 'static>() {}

macro_rules! each {
    ($check:ident: $($type:ty),+) => {$( $check::<$type>(); )+};
}

#[test]
fn every_type_goes_between_threads_and_has_the_common_traits() {
    each!(goes_between_threads: SessionLayerBuilder, OpenSession);
    each!(is_shared: Binding, Browser<()>, Clock, Deadline, DynamoDbStore, ErrorPageLayer<SessionError, fn()>, Keys);
    each!(is_shared: LazySession, Limits, LoginPage, MemoryStore, OwnerList, Page, Record, RequireLoginLayer);
    each!(is_shared: ResponseBody<String>, SameOriginLayer, Session, SessionLayer, SessionService<()>, Sessions);
    each!(is_shared: SourceAddress, Stored, Swap, Tombstone, Value);
    each!(is_a_key: Absence, Flash, FlashLevel, Lifetime, ListedSession, OwnerKey, RecordKey, Refusal, SameSite);
    each!(is_a_key: SessionErrorKind, StoreErrorKind, ValueErrorKind);
    each!(goes_between_threads: WriteToken);
    each!(is_an_error: BuildError, CodecError, EnvironmentError, Refusal, SessionError, ShortKey);
    each!(is_an_error: StoreError, ValueError);
}
