//! Tests of the axum-login site as a function, over the embedded DynamoDB, with faults between the two.

mod faults;
mod site;
