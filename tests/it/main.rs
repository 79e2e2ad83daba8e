//! The app from outside: the compiled function, the app in a browser, the template, and the documentation.

mod support;

mod binary;
mod bound;
mod browser;
mod cookies;
mod documentation;
mod doors;
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
