//! The app from outside: the compiled function, a browser before it, and the template around it.

mod support;

mod binary;
mod browser;
mod cookies;
mod documentation;
mod events;
mod forms;
mod headers;
mod logs;
mod pages;
mod requests;
mod routing;
mod store;
mod template;
mod traces;
