//! Guards: tower layers that answer a request before its handler sees it.

pub(crate) mod asked;
pub(crate) mod login_page;
pub(crate) mod next;
pub(crate) mod require_login;
pub(crate) mod same_origin;

#[cfg(test)]
mod tests;
